package desk

// AppendJSON appends the members of e's JSON form, without braces and without a leading comma: the envelope is around it.
func (e *Event) AppendJSON(b []byte) []byte { panic("not yet") }

// MarshalJSON gives the form of the wire.
func (c *Config) MarshalJSON() ([]byte, error) { panic("not yet") }

package shift

func (s *Summary) writePage(file string) error { return nil }

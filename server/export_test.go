package server

import "holdfast/internal/door"

// UseLoad replaces what measures the load, before Serve.
func (s *Server) UseLoad(cfg door.LoadConfig) { s.load = door.NewLoad(cfg) }

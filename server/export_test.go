package server

import (
	"time"

	"holdfast/internal/door"
)

// UseLoad replaces what measures the load, before Serve.
func (s *Server) UseLoad(cfg door.LoadConfig) { s.load = door.NewLoad(cfg) }

// Alarm is what ends the wait of a request that began at start.
func (s *Server) Alarm(start time.Time) <-chan struct{} { return s.alarm(start).Done() }

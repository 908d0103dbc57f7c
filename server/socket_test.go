package server_test

import (
	"testing"
	"testing/synctest"
)

// TestSocket: hello, a claim with both stages, standing, ping.
func TestSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := serve(t, nil)
		s.term()
		p := s.hello("ann")
		p.say(`{"id":2,"do":"claim","pool":"c1"}`)
		p.hear("reply=2 status=seated seat=1 durability=preapproved seq=")
		p.hear("reply=2 status=seated seat=1 durability=confirmed seq=4 as_of=4")
		p.say(`{"id":3,"do":"standing","pool":"c1"} {"id":4,"do":"ping"}`)
		p.hear("reply=3 status=seated durability=confirmed")
		p.hear("reply=4 do=ping")
	})
}

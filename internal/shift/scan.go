package shift

import (
	"bytes"

	"holdfast/internal/play"
)

// The client's side shares the machine with the server, so it looks at messages as little as it can while the shift runs: at
// how they begin and at single members. All are read whole afterwards.
var (
	beginsReply        = []byte(`{"reply":`)
	beginsAgent        = []byte(`{"push":"agent",`)
	beginsOffer        = []byte(`{"push":"offer",`)
	beginsOfferClosed  = []byte(`{"push":"offer_closed",`)
	beginsRequest      = []byte(`{"push":"request",`)
	beginsAvailability = []byte(`{"push":"availability",`)
)

// The members that are looked at. The first one of a name is the message's own: what is nested stands behind it.
var (
	memberAsOf    = []byte(`"as_of":`)
	memberOffer   = []byte(`"offer":`)
	memberRequest = []byte(`"request":`)
	memberSession = []byte(`"session":`)
	memberState   = []byte(`"state":"`)
	memberKey     = []byte(`"key":"`)
	memberCode    = []byte(`"code":"`)
	memberLog     = []byte(`"log":"`)
	nestedSession = []byte(`"session":{`)
	saysAccepting = []byte(`"accepting":true`)

	statesThatEnded = [...]string{"done", "cancelled", "expired", "all_declined", "aborted"}
)

// number gives a member that is a number; 0: it is not there.
func number(line, member []byte) uint64 {
	for rest := line; ; {
		i := bytes.Index(rest, member)
		if i < 0 {
			return 0
		}
		rest = rest[i+len(member):]
		if n := play.LeadingNumber(rest); n > 0 {
			return n
		}
	}
}

// word gives a member that is a string without escapes; nil: it is not there.
func word(line, member []byte) []byte {
	i := bytes.Index(line, member)
	if i < 0 {
		return nil
	}
	rest := line[i+len(member):]
	if end := bytes.IndexByte(rest, '"'); end >= 0 {
		return rest[:end]
	}
	return nil
}

// asOf is the place in the log at which a message was true: it stands behind what the message shows, which may be people's text.
func asOf(line []byte) uint64 {
	i := bytes.LastIndex(line, memberAsOf)
	if i < 0 {
		return 0
	}
	return play.LeadingNumber(line[i+len(memberAsOf):])
}

func ended(state []byte) bool {
	for _, s := range statesThatEnded {
		if string(state) == s {
			return true
		}
	}
	return false
}

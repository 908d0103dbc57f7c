package mirror

import (
	"encoding/hex"
	"fmt"
	"time"

	"holdfast/seat"
)

// Names of rows, for whoever has to look at them.

func eventName(seq uint64) string { return fmt.Sprintf("table events, row seq=%d", seq) }

func realmName(realm string) string { return "table realms, row realm=" + realm }

func poolName(k poolKey) string {
	return fmt.Sprintf("table pools, row realm=%s pool=%s", k.realm, k.pool)
}

func claimName(k claimKey) string {
	return fmt.Sprintf("table claims, row realm=%s pool=%s person=%s", k.realm, k.pool, k.person)
}

// holds says whether the status has a seat.
func holds(s seat.Status) bool { return s == seat.Seated || s == seat.Offered }

// counts says whether a count of the row changes.
func (p *poolRow) counts() bool {
	return p.seated != 0 || p.offered != 0 || p.waiting != 0 || p.entered != 0
}

// seedHash is the hash of a lottery's seed in hex; "" of other pools.
func seedHash(c *seat.Config) string {
	if c.Order != seat.Lottery {
		return ""
	}
	return hex.EncodeToString(c.SeedHash[:])
}

// seedOf is the seed of a lottery that was drawn, in hex; "" of other pools.
func seedOf(v *seat.PoolView) string {
	if !v.Drawn {
		return ""
	}
	return hex.EncodeToString(v.Seed[:])
}

func answerSeconds(c *seat.Config) uint32 { return uint32(c.AnswerWithin / time.Second) }

// causeName: a row that was made from a snapshot has no cause until its event says it.
func causeName(c seat.Cause) string {
	if c == 0 {
		return ""
	}
	return c.String()
}

func stampText(at seat.Time) string {
	var b [32]byte
	text, _ := at.AppendText(b[:0]) // never fails
	return string(text)
}

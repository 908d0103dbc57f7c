package story

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"holdfast"
	"holdfast/seat"
)

// drawTale is the person's place in the draw of the pool's lottery; place 0: none.
type drawTale struct {
	place, of uint32
}

// watchDraw works out, when the seed is revealed, where the draw puts the person: as many are before as have a lower
// SHA-256(seed ‖ pool ‖ person).
func (t *Teller) watchDraw(e *holdfast.Event) {
	t.draw = drawTale{}
	if me, _ := t.standing(t.person); me.Status != seat.Entered {
		return
	}
	hash := func(person string) []byte {
		sum := sha256.Sum256([]byte(string(e.Seat.Seed[:]) + t.pool + person))
		return sum[:]
	}
	mine := hash(t.person)
	t.draw.place = 1
	for cursor, more := uint32(0), true; more; more = cursor != 0 {
		var rows []seat.Row
		rows, cursor = t.seats().Roster(t.pool, cursor, func(st seat.Status) bool { return st == seat.Entered }, 1000)
		for _, row := range rows {
			t.draw.of++
			if bytes.Compare(hash(row.Person), mine) < 0 {
				t.draw.place++
			}
		}
	}
}

func (t *Teller) drawWords() string {
	if t.draw.place == 0 {
		return "the draw came to this entry" // it began before the log that is left
	}
	return fmt.Sprintf("drawn as number %d of %d", t.draw.place, t.draw.of)
}

// lotteryWords is what a pool's making says of its lottery.
func lotteryWords(c *seat.Config) string {
	return fmt.Sprintf(", a lottery that is drawn at %s (SHA-256 of its seed: %s)", clock(c.OpensAt), hex.EncodeToString(c.SeedHash[:]))
}

// barredWords: a seat was free, and the draw passed the person by.
func (t *Teller) barredWords() string {
	if p, ok := t.seats().Pool(t.pool); ok && p.Free > 0 {
		return ", but might not sit (limit or group)"
	}
	return ""
}

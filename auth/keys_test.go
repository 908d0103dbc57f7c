package auth

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// closed says whether Changed has spoken.
func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// inBubble runs an authority over a file of keys by a bubble's clock.
func inBubble(t *testing.T, run func(cfg Config, logged *logBuffer)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		cfg, logged := hsConfig(t, time.Now)
		run(cfg, logged)
	})
}

// aSecond is within what Holdfast promises a revocation takes.
func aSecond() {
	time.Sleep(time.Second)
	synctest.Wait()
}

func TestRevocationIsSeenWithinASecond(t *testing.T) {
	t.Parallel()
	inBubble(t, func(cfg Config, _ *logBuffer) {
		f := keyFile(cfg)
		k, token := mustCreate(t, f, Key{Role: Backend})
		_, other := mustCreate(t, f, Key{Role: Admin})
		a, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		id, err := a.Check(token)
		if err != nil || !a.Holds(id) {
			t.Fatal(err)
		}
		otherID, err := a.Check(other)
		if err != nil {
			t.Fatal(err)
		}
		ticket, _, err := a.Ticket(id, "spring", "")
		if err != nil {
			t.Fatal(err)
		}
		changed := a.Changed()
		aSecond()
		if closed(changed) || !a.Holds(id) {
			t.Fatal("something changed although nothing did")
		}
		if _, err := f.Revoke(k.ID); err != nil {
			t.Fatal(err)
		}
		aSecond()
		if !closed(changed) {
			t.Error("nobody was told of the revocation")
		}
		if _, err := a.Check(token); !errors.Is(err, ErrToken) {
			t.Errorf("the revoked key is accepted: %v", err)
		}
		if a.Holds(id) {
			t.Error("the identity of a revoked key holds")
		}
		if _, err := a.Redeem(ticket, "spring", ""); !errors.Is(err, ErrToken) {
			t.Errorf("the ticket of a revoked key is accepted: %v", err)
		}
		if _, _, err := a.Ticket(id, "spring", ""); !errors.Is(err, ErrToken) {
			t.Errorf("a revoked key gets a ticket: %v", err)
		}
		if !a.Holds(otherID) {
			t.Error("the other key does not hold any more")
		}
		if closed(a.Changed()) {
			t.Error("the next Changed is closed already")
		}
	})
}

func TestRotationOverlaps(t *testing.T) {
	t.Parallel()
	inBubble(t, func(cfg Config, _ *logBuffer) {
		f := keyFile(cfg)
		old, oldToken := mustCreate(t, f, Key{Role: Staff, Realm: "spring", Person: "registrar", Note: "desk 4"})
		a, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		oldID, err := a.Check(oldToken)
		if err != nil {
			t.Fatal(err)
		}
		made, token, err := f.Rotate(old.ID, time.Hour, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if made.ID == old.ID || made.Replaces != old.ID || made.Note != old.Note || !made.Expires.IsZero() {
			t.Errorf("made %+v", made)
		}
		aSecond()
		id, err := a.Check(token)
		if err != nil || id.Person != "registrar" || id.Realm != "spring" || id.Role != Staff {
			t.Errorf("the new key: %+v, %v", id, err)
		}
		again, err := a.Check(oldToken)
		if err != nil || !a.Holds(oldID) || again.Expires.IsZero() {
			t.Errorf("the old key within the overlap: %+v, %v", again, err)
		}
		time.Sleep(time.Hour - 3*time.Second)
		changed := a.Changed()
		if !a.Holds(oldID) {
			t.Error("the overlap ended before its time")
		}
		time.Sleep(2 * time.Second)
		aSecond()
		if a.Holds(oldID) || !closed(changed) {
			t.Error("the overlap has ended, and nobody is told")
		}
		if _, err := a.Check(oldToken); !errors.Is(err, ErrToken) {
			t.Error("the old key outlives the overlap")
		}
		if !a.Holds(id) {
			t.Error("the new key ended with the old one")
		}
		if _, _, err := f.Rotate(old.ID, time.Hour, time.Time{}); !errors.Is(err, ErrNotLive) {
			t.Errorf("rotating an ended key: %v", err)
		}
	})
}

// TestScopeChanges: whoever edits the file narrows or widens a key; its connections must come again.
func TestScopeChanges(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]func(*Key){
		"role":   func(k *Key) { k.Role = Admin },
		"realm":  func(k *Key) { k.Realm = "autumn" },
		"secret": func(k *Key) { k.Hash = strings.Repeat("ab", 32) },
		"gone":   func(k *Key) { *k = Key{} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inBubble(t, func(cfg Config, _ *logBuffer) {
				f := keyFile(cfg)
				k, token := mustCreate(t, f, Key{Role: Backend, Realm: "spring"})
				a, err := Open(cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer a.Close()
				id, err := a.Check(token)
				if err != nil {
					t.Fatal(err)
				}
				changed := a.Changed()
				if err := f.edit(func(keys []Key) ([]Key, error) {
					edit(&keys[0])
					if keys[0].ID == "" {
						keys = keys[1:]
					}
					return slices.Clone(keys), nil
				}); err != nil && name != "gone" {
					t.Fatal(err)
				}
				if name == "gone" {
					write(t, cfg.Keys, `{"version":1,"keys":[]}`)
				}
				aSecond()
				if !closed(changed) || a.Holds(id) {
					t.Error("the identity holds in its old scope")
				}
				got, err := a.Check(token)
				if ok := name == "role" || name == "realm"; ok != (err == nil) {
					t.Errorf("%+v, %v", got, err)
				}
				_ = k
			})
		})
	}
}

// TestNoFileTurnsItOff: a damaged file leaves in force what it said last, one that is gone nobody; neither lets anybody in.
func TestNoFileTurnsItOff(t *testing.T) {
	t.Parallel()
	inBubble(t, func(cfg Config, logged *logBuffer) {
		f := keyFile(cfg)
		k, token := mustCreate(t, f, Key{Role: Backend})
		whole, err := os.ReadFile(cfg.Keys)
		if err != nil {
			t.Fatal(err)
		}
		a, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		id, err := a.Check(token)
		if err != nil {
			t.Fatal(err)
		}
		changed := a.Changed()
		write(t, cfg.Keys, string(whole[:len(whole)/2]))
		for range 5 {
			aSecond()
		}
		if _, err := a.Check(token); err != nil || closed(changed) {
			t.Errorf("a damaged file ended its keys: %v", err)
		}
		if n := strings.Count(logged.String(), "level=ERROR"); n != 1 {
			t.Errorf("the damage was told %d times:\n%s", n, logged)
		}
		if _, _, err := f.Create(Key{Role: Admin}); !errors.Is(err, ErrFile) {
			t.Errorf("a damaged file is edited: %v", err)
		}

		if err := os.Remove(cfg.Keys); err != nil {
			t.Fatal(err)
		}
		aSecond()
		if _, err := a.Check(token); !errors.Is(err, ErrToken) || a.Holds(id) || !closed(changed) {
			t.Errorf("the file is gone, and its key is accepted: %v", err)
		}
		if !Configured(cfg.Keys) {
			t.Error("the lock is there, but Configured does not see that there were keys")
		}

		changed = a.Changed()
		write(t, cfg.Keys, string(whole))
		aSecond()
		if _, err := a.Check(token); err != nil || !closed(changed) {
			t.Errorf("the file is back, and its key is refused: %v", err)
		}
		if a.Holds(id) {
			t.Error("an identity came back to life")
		}
		// The last key revoked: everybody is refused.
		if _, err := f.Revoke(k.ID); err != nil {
			t.Fatal(err)
		}
		aSecond()
		for _, token := range []string{token, "", "x"} {
			if _, err := a.Check(token); !errors.Is(err, ErrToken) {
				t.Errorf("%.5q is accepted after the last key was revoked", token)
			}
		}
	})
}

func TestKeysEnd(t *testing.T) {
	t.Parallel()
	inBubble(t, func(cfg Config, _ *logBuffer) {
		_, token := mustCreate(t, keyFile(cfg), Key{Role: Backend, Expires: time.Now().Add(10 * time.Second)})
		a, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		id, err := a.Check(token)
		if err != nil || !id.Expires.Equal(time.Now().Add(10*time.Second)) {
			t.Fatal(id, err)
		}
		changed := a.Changed()
		_, until, err := a.Ticket(id, "spring", "")
		if err != nil || !until.Equal(id.Expires) {
			t.Errorf("a ticket until %s outlives its identity, until %s (%v)", until, id.Expires, err)
		}
		time.Sleep(10*time.Second - 1)
		if _, err := a.Check(token); err != nil || !a.Holds(id) {
			t.Errorf("it ended before its time: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if _, err := a.Check(token); err == nil || a.Holds(id) {
			t.Error("it outlives its time")
		}
		aSecond()
		if !closed(changed) {
			t.Error("nobody is told that a key has ended")
		}
	})
}

// TestKeyEndMovesOn: a key whose end is put off before it comes keeps its connections.
func TestKeyEndMovesOn(t *testing.T) {
	t.Parallel()
	inBubble(t, func(cfg Config, _ *logBuffer) {
		f := keyFile(cfg)
		_, token := mustCreate(t, f, Key{Role: Backend, Expires: time.Now().Add(10 * time.Second)})
		a, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		end := func(at time.Time) {
			t.Helper()
			changed := a.Changed()
			if err := f.edit(func(keys []Key) ([]Key, error) { keys[0].Expires = at; return keys, nil }); err != nil {
				t.Fatal(err)
			}
			aSecond()
			if !closed(changed) {
				t.Error("nobody is told of another end")
			}
		}
		id, _ := a.Check(token)
		end(time.Now().Add(5 * time.Second).Truncate(time.Second))
		if !a.Holds(id) {
			t.Error("a nearer end cut it at once")
		}
		time.Sleep(5 * time.Second)
		if a.Holds(id) {
			t.Error("it holds beyond its nearer end")
		}
		aSecond()
		end(time.Now().Add(time.Hour).Truncate(time.Second))
		if a.Holds(id) {
			t.Error("an ended identity came back to life")
		}
		if id, err := a.Check(token); err != nil || !a.Holds(id) {
			t.Errorf("a key with a new end is refused: %v", err)
		}
	})
}

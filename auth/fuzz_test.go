package auth

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
)

// FuzzCheck: no text but those that were given out is a token, and none makes it fall over.
func FuzzCheck(f *testing.F) {
	c := &clock{at: morning}
	cfg, _ := hsConfig(f, c.now)
	key := "hf_abcdefgh_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
	write(f, cfg.Keys, fmt.Sprintf(`{"version":1,"keys":[{"id":"abcdefgh","sha256":"%x","role":"backend","created":"2026-01-01T00:00:00Z"}]}`, sha256.Sum256([]byte(key))))
	a := open(f, cfg)
	good := signHS(testSecret, hsHeader, claims(morning, nil))
	forged := &forger{now: morning}
	forged.wrongHeaders()
	forged.wrongPayloads()
	forged.wrongSignatures()
	for _, x := range forged.list {
		if len(x.token) < 2000 {
			f.Add(x.token)
		}
	}
	f.Add(good)
	f.Add(key)
	f.Fuzz(func(t *testing.T, token string) {
		id, err := a.Check(token)
		switch {
		case token == good || token == key:
			if err != nil || !a.Holds(id) {
				t.Fatal("the good token is refused", err)
			}
		case err == nil:
			t.Fatalf("%q is accepted as %+v", token, id)
		case !errors.Is(err, ErrToken):
			t.Fatal(err)
		}
	})
}

// FuzzKeys: whatever a file holds, it is read whole or refused, and what was read is written as it was.
func FuzzKeys(f *testing.F) {
	f.Add([]byte(`{"version":1,"keys":[{"id":"abcdefgh","sha256":"b1f51a511f1da0cd348b8f8598db32e61cb963e5fc69e2b41485bf99590ed75a","role":"staff","realm":"r","desk":"d","person":"p","note":"n","created":"2026-01-01T00:00:00Z","expires":"2027-01-01T00:00:00+02:00","revoked":"2026-02-01T00:00:00.5Z","replaces":"bcdefghi"}]}`))
	f.Add([]byte(`{"version":1,"keys":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		keys, err := decodeKeys(b)
		if err != nil {
			if !errors.Is(err, ErrFile) {
				t.Fatal(err)
			}
			return
		}
		text, err := encodeKeys(keys)
		if err != nil {
			t.Fatal(err)
		}
		again, err := decodeKeys(text)
		if err != nil || len(again) != len(keys) {
			t.Fatalf("%v: %s", err, text)
		}
		for n := range keys {
			same := keys[n]
			same.Created, same.Expires, same.Revoked = again[n].Created, again[n].Expires, again[n].Revoked
			if same != again[n] || !keys[n].Created.Equal(again[n].Created) || !keys[n].Expires.Equal(again[n].Expires) || !keys[n].Revoked.Equal(again[n].Revoked) {
				t.Fatalf("%+v, and then %+v", keys[n], again[n])
			}
		}
	})
}

package auth

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestNoSecretIsTold: not in an error, not in a log, not in whatever is printed, not in the file.
func TestNoSecretIsTold(t *testing.T) {
	t.Parallel()
	inBubble(t, func(cfg Config, logged *logBuffer) {
		f := keyFile(cfg)
		made, key := mustCreate(t, f, Key{Role: Backend, Realm: "spring"})
		a, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		secret := key[len(keyPrefix)+idLen+1:]
		jwt := signHS(testSecret, hsHeader, claims(time.Now(), map[string]any{"sub": "canary-person"}))
		parts := strings.Split(jwt, ".")
		id, err := a.Check(key)
		if err != nil {
			t.Fatal(err)
		}
		person, err := a.Check(jwt)
		if err != nil {
			t.Fatal(err)
		}
		ticket, _, err := a.Ticket(id, "spring", "o")
		if err != nil {
			t.Fatal(err)
		}
		canaries := []string{secret, testSecret, hex.EncodeToString([]byte(testSecret)), fmt.Sprint([]byte(testSecret))[1:60], parts[1], parts[2], ticket[4:]}
		told := []string{}
		tell := func(things ...any) {
			for _, x := range things {
				told = append(told, fmt.Sprintf("%v", x), fmt.Sprintf("%+v", x), fmt.Sprintf("%#v", x), fmt.Sprintf("%s", x))
				if b, err := json.Marshal(x); err == nil {
					told = append(told, string(b))
				}
			}
		}
		b, err := Open(cfg) // one more, that knows the same and is at rest: printing reads all its fields
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{key, jwt} {
			if _, err := b.Check(token); err != nil {
				t.Fatal(err)
			}
		}
		bTicket, _, err := b.Ticket(id, "spring", "o")
		if err != nil {
			t.Fatal(err)
		}
		canaries = append(canaries, bTicket[4:])
		b.Close()
		tell(b, b.cfg, b.keys, b.jwt, &b.tickets, b.jwt.trust.keys.Load(), (*b.jwt.trust.keys.Load())[0], id, person, made, f)
		for _, bad := range []string{key + "x", "x" + key, strings.ToUpper(key), key[:30], strings.Replace(key, "_", "-", 2), jwt + "x", jwt[:len(jwt)-2], parts[0] + "." + parts[1] + ".AAAA",
			parts[0] + "." + parts[1], ticket, signHS(testSecret, `{"alg":"`+secret+`"}`, "{}"), signHS(testSecret, `{"alg":"HS256","kid":"`+secret+`","typ":"`+secret+`"}`, "{}"),
			signHS(testSecret, hsHeader, claims(time.Now(), map[string]any{"iss": secret})), signHS(testSecret, hsHeader, claims(time.Now(), map[string]any{"sub": secret + "/"})),
			signHS(testSecret, hsHeader, claims(time.Now(), map[string]any{"holdfast_role": secret})), signHS(testSecret, hsHeader, `{"`+secret+`":1,"`+secret+`":2}`), strings.Repeat(secret, 300)} {
			_, err := a.Check(bad)
			_, err2 := a.Redeem(bad, "spring", "o2")
			if bad != ticket && err2 == nil || err == nil {
				t.Errorf("accepted: %.20s", bad)
			}
			tell(err, err2)
		}
		// Whoever edits the file by hand may put a secret where it does not belong.
		whole, err := os.ReadFile(cfg.Keys)
		if err != nil {
			t.Fatal(err)
		}
		told = append(told, string(whole))
		for _, member := range []string{"sha256", "id", "created", "role", "realm"} {
			var file map[string]any
			if err := json.Unmarshal(whole, &file); err != nil {
				t.Fatal(err)
			}
			for _, value := range []any{key, []string{key}, map[string]string{key: "x"}} {
				if text, ok := value.(string); ok && member != "sha256" && member != "created" {
					_ = text // an id or a role is repeated, cut, in its error: nobody takes a secret for one
					continue
				}
				file["keys"].([]any)[0].(map[string]any)[member] = value
				b, err := json.Marshal(file)
				if err != nil {
					t.Fatal(err)
				}
				_, err = decodeKeys(b)
				if !errors.Is(err, ErrFile) {
					t.Errorf("%s: %v", member, err)
				}
				tell(err)
			}
		}
		write(t, cfg.Keys, string(whole[:len(whole)-30])+key)
		write(t, cfg.JWT.SecretFile, testSecret[:20])
		aSecond()
		tell(second(f.Create(Key{Role: Admin})), func() error { _, err := f.Revoke(key); return err }())
		told = append(told, logged.String())
		if !strings.Contains(logged.String(), "level=ERROR") {
			t.Error("nothing was logged: there is nothing to look through")
		}
		for _, text := range told {
			for _, canary := range canaries {
				if strings.Contains(text, canary) {
					t.Errorf("%s is told in %.300s", canary, text)
				}
			}
		}
		if len(told) < 150 {
			t.Errorf("only %d texts were looked through", len(told))
		}
	})
}

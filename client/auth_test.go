package client_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"holdfast/auth"
	"holdfast/client"
	"holdfast/server"
)

// TestRealTokens: the client against the real server's authentication.
func TestRealTokens(t *testing.T) {
	t.Parallel()
	file := auth.KeyFile{Path: filepath.Join(t.TempDir(), "keys")}
	key := func(like auth.Key) string {
		t.Helper()
		_, token, err := file.Create(like)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	ann := key(auth.Key{Role: auth.Person, Realm: "spring", Person: "ann"})
	backend := key(auth.Key{Role: auth.Backend, Realm: "spring"})
	elsewhere := key(auth.Key{Role: auth.Backend, Realm: "autumn"})
	cfg := auth.DefaultConfig()
	cfg.Keys, cfg.Poll = file.Path, 10*time.Millisecond
	authority, err := auth.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(authority.Close)
	s := serve(t)
	s.world.set = func(cfg *server.Config) { cfg.Auth = authority }
	s.crash()
	with := func(token string) *client.Client {
		return s.client(func(cfg *client.Config) {
			cfg.Token = func(context.Context) (string, error) { return token, nil }
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()

	if _, err := s.client().Claim(ctx, "c1", "ann", client.About{}); !errors.Is(err, client.ErrUnauthenticated) {
		t.Error(err)
	}
	if _, err := with(ann).Claim(ctx, "c1", "bob", client.About{}); !errors.Is(err, client.ErrForbidden) {
		t.Error(err)
	}
	if a, err := with(elsewhere).Claim(ctx, "c1", "ann", client.About{}); err != nil || !a.RefusedAs(client.UnknownRealm) {
		t.Errorf("%+v %v", a, err)
	}
	w := with(ann).Watch(ctx, "ann", client.Cursor{})
	defer w.Close()
	until(t, w.Next, online)
	l := with(backend).Dial(ctx, "", client.Cursor{})
	defer l.Close()
	if a, err := l.Claim(ctx, "c1", "ann", client.About{}); err != nil || !a.Seated() {
		t.Errorf("%+v %v", a, err)
	}
	until(t, w.Next, func(u client.Update) bool { return len(u.Claims) == 1 && u.Claims[0].Status == client.Seated })
	ticket, ends, err := with(backend).Ticket(ctx, "bob", "https://portal.example.edu")
	if err != nil || ticket == "" || time.Until(ends) < 10*time.Second || time.Until(ends) > time.Minute {
		t.Errorf("%q %v %v", ticket, ends, err)
	}
	if _, _, err := with(ann).Ticket(ctx, "bob", ""); !errors.Is(err, client.ErrForbidden) {
		t.Error(err)
	}
	for person, c := range map[string]*client.Client{"bob": with(ann), "ann": with("nonsense"), "cid": with(elsewhere)} {
		x := c.Watch(ctx, person, client.Cursor{})
		if _, err := x.Next(ctx); err == nil || ctx.Err() != nil {
			t.Errorf("%s: %v", person, err)
		}
		x.Close()
	}
}

package client_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"holdfast/client"
	"holdfast/engine"
	"holdfast/internal/memlog"
	"holdfast/server"
)

func Example() {
	url, stop := demo() // holdfast serve, with the pool c0101 of one seat in the realm spring
	defer stop()

	cfg := client.DefaultConfig()
	cfg.URL, cfg.Realm = url, "spring"
	c, err := client.New(cfg)
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	for _, person := range []string{"ann", "bob"} {
		a, err := c.Claim(ctx, "c0101", person, client.About{})
		if err != nil {
			log.Fatal(err) // not decided, as far as this client knows
		}
		fmt.Println(person, a.Status, a.Durability)
	}
	w := c.Watch(ctx, "bob", client.Cursor{})
	defer w.Close()
	c.Release(ctx, "c0101", "ann", client.About{})
	for !(len(w.View()) == 1 && w.View()[0].Status == client.Seated) {
		if _, err := w.Next(ctx); err != nil {
			log.Fatal(err)
		}
	}
	fmt.Println("bob has seat", w.View()[0].Seat)
	// Output:
	// ann seated confirmed
	// bob waiting confirmed
	// bob has seat 1
}

// demo serves on a real socket.
func demo() (url string, stop func()) {
	must := func(err error) {
		if err != nil {
			log.Fatal(err)
		}
	}
	cfg := engine.DefaultConfig()
	cfg.SnapshotEvery = 0
	e, err := engine.Open(memlog.New(), cfg)
	must(err)
	s, err := server.New(e, nil, server.DefaultConfig())
	must(err)
	l, err := server.Listen("127.0.0.1:0")
	must(err)
	gone := make(chan error)
	go func() { gone <- s.Serve(l) }()
	url = "http://" + l.Addr().String()
	for _, at := range [][2]string{{"", "{}"}, {"/pools/c0101", `{"capacity":1}`}} {
		req, err := http.NewRequest("PUT", url+"/v1/realms/spring"+at[0], strings.NewReader(at[1]))
		must(err)
		res, err := http.DefaultClient.Do(req)
		must(err)
		res.Body.Close()
	}
	return url, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		s.Shutdown(ctx)
		must(<-gone)
		e.Close()
		http.DefaultClient.CloseIdleConnections()
	}
}

// TestDocsShowTheExample: the program in docs/CLIENTS.md is the one that runs here.
func TestDocsShowTheExample(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("example_test.go")
	if err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../docs/CLIENTS.md")
	if err != nil {
		t.Fatal(err)
	}
	_, body, _ := strings.Cut(string(source), "defer stop()\n\n")
	body, _, found := strings.Cut(body, "\t// Output:")
	if body = strings.TrimSpace(strings.ReplaceAll(body, "\n\t", "\n")); !found || len(body) < 300 {
		t.Fatalf("the example is not found: %q", body)
	}
	body = strings.Replace(body, "= url,", `= "http://127.0.0.1:7700",`, 1)
	if !strings.Contains(string(docs), body) {
		t.Errorf("docs/CLIENTS.md does not show\n%s", body)
	}
}

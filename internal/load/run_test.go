package load

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"holdfast/engine"
	"holdfast/internal/memlog"
	"holdfast/server"
)

// newTarget is a server in this process; before each request it asks front, which may answer itself.
func newTarget(t *testing.T, front func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	e, err := engine.Open(memlog.New(), engine.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	s, err := server.New(e, nil, server.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !front(w, r) {
			s.Handler().ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() {
		web.Close()
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return web.URL
}

func never(http.ResponseWriter, *http.Request) bool { return false }

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b := new(strings.Builder)
	if _, err := fmt.Fprint(b, resp.StatusCode, " "); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for {
		n, err := resp.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return b.String()
		}
	}
}

// TestSeatsInTheOrderOfTheFile: many pools at once, and each pool's first line has its lowest seat.
func TestSeatsInTheOrderOfTheFile(t *testing.T) {
	t.Parallel()
	target := newTarget(t, never)
	var pools, claims strings.Builder
	pools.WriteString("pool,capacity\n")
	claims.WriteString("pool,person\n")
	for p := range 20 {
		fmt.Fprintf(&pools, "c%d,30\n", p)
	}
	for i := range 30 {
		for p := range 20 {
			fmt.Fprintf(&claims, "c%d,s%d\n", p, (i*7+p)%30)
		}
	}
	poolsFile, claimsFile := files(t, pools.String(), claims.String())
	cfg := Config{Realm: "r", Pools: poolsFile, Claims: claimsFile, Target: target, Workers: 8}
	s, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if s.PoolsPut != 20 || s.Seated != 600 || s.PoolsSame+s.AlreadySeated+len(s.Refused)+len(s.Over) != 0 {
		t.Errorf("%+v", s)
	}
	for p := range 20 {
		for i := range 30 {
			if got := get(t, fmt.Sprintf("%s/v1/realms/r/pools/c%d/claims/s%d", target, p, (i*7+p)%30)); !strings.Contains(got, fmt.Sprintf(`"seat":%d,`, i+1)) {
				t.Errorf("line %d of c%d: %s", i+1, p, got)
			}
		}
	}
	if s, err = Run(t.Context(), cfg); err != nil || s.PoolsSame != 20 || s.AlreadySeated != 600 || s.PoolsPut+s.Seated != 0 {
		t.Errorf("again: %+v, %v", s, err)
	}
}

func TestRefusedAndOver(t *testing.T) {
	t.Parallel()
	target := newTarget(t, never)
	pools, claims := files(t, "pool,capacity,group\nm1,1,math\nm2,1,math\nx,1,\n", "pool,person\nm1,ann\nm2,bob\nx,ann\nx,bob\n")
	if _, err := Run(t.Context(), Config{Realm: "r", Pools: pools, Claims: claims, Target: target, Workers: 2}); err != nil {
		t.Fatal(err)
	}
	// bob has a seat of the group already; the group of m1 cannot change under ann; x has two people for one seat.
	pools, claims = files(t, "pool,capacity,group\nm1,1,\nm2,1,math\nx,1,\nm3,1,math\n", "pool,person\nm3,bob\nx,bob\nx,ann\n")
	s, err := Run(t.Context(), Config{Realm: "r", Pools: pools, Claims: claims, Target: target, Workers: 2})
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%d %d %d %d %v %v", s.PoolsPut, s.PoolsSame, s.Seated, s.AlreadySeated, s.Refused, s.Over)
	want := fmt.Sprintf("1 2 0 2 [{%s 2 bob in m3: group (m2)} {%s 2 pool m1: conflict}] [x: 2 people for 1 seats]", claims, pools)
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestAsksAgain: a server that is busy or cannot tell is asked again; one that answers something else is not.
func TestAsksAgain(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	target := newTarget(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet || asked.Add(1)%3 == 0 {
			return false
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprint(w, `{"code":"busy"}`)
		return true
	})
	pools, claims := files(t, "pool,capacity\nc1,2\n", "pool,person\nc1,ann\n")
	s, err := Run(t.Context(), Config{Realm: "r", Pools: pools, Claims: claims, Target: target, Workers: 1})
	if err != nil || s.PoolsPut != 1 || s.Seated != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if n := asked.Load(); n != 9 {
		t.Errorf("asked %d times, want 9", n)
	}

	other := newTarget(t, func(w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(w, "<html>hello</html>")
		return true
	})
	if _, err := Run(t.Context(), Config{Realm: "r", Pools: pools, Target: other, Workers: 1}); err == nil || !strings.Contains(err.Error(), "not Holdfast's") {
		t.Errorf("another server: %v", err)
	}
}

// TestLottery: the column order makes a lottery, and the same file again keeps its seed.
func TestLottery(t *testing.T) {
	t.Parallel()
	target := newTarget(t, never)
	pools, _ := files(t, "pool,capacity,opens_at,order\nl1,1,2099-01-01T08:00:00Z,lottery\na1,1,,arrival\n", "")
	cfg := Config{Realm: "r", Pools: pools, Target: target, Workers: 2}
	for i, want := range []Summary{{PoolsPut: 2}, {PoolsSame: 2}} {
		s, err := Run(t.Context(), cfg)
		if err != nil || s.PoolsPut != want.PoolsPut || s.PoolsSame != want.PoolsSame || len(s.Refused) > 0 {
			t.Errorf("load %d: %+v, %v", i+1, s, err)
		}
	}
	if got := get(t, target+"/v1/realms/r/pools/l1"); !strings.Contains(got, `"order":"lottery","seed_hash":"`) {
		t.Errorf("l1: %s", got)
	}
	if got := get(t, target+"/v1/realms/r/pools/a1"); !strings.Contains(got, `"order":"arrival"`) {
		t.Errorf("a1: %s", got)
	}
}

package engine_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/memlog"
	"holdfast/internal/sim"
	"holdfast/internal/vfs"
	"holdfast/seat"
)

// lots makes a lottery that opens in so long, in which n people are entered.
func lots(t *testing.T, e *engine.Engine, pool string, capacity uint32, in time.Duration, n int) {
	t.Helper()
	mustDo(t, e, holdfast.PutRealm{Limits: seat.DefaultLimits()})
	mustDo(t, e, seat.PutPool{Pool: pool, Config: seat.Config{Capacity: capacity, Order: seat.Lottery, OpensAt: e.Now().Add(in)}})
	for i := range n {
		if a := mustDo(t, e, seat.Claim{Pool: pool, Person: fmt.Sprintf("s%04d", i)}); a.Status != seat.Entered {
			t.Fatalf("%+v", a.Result)
		}
	}
}

func poolView(t *testing.T, e *engine.Engine, pool string) (v seat.PoolView) {
	t.Helper()
	if _, err := e.Read(func(s *holdfast.State) { v, _ = s.Realm(workRealm).Seats.Pool(pool) }); err != nil {
		t.Fatal(err)
	}
	return v
}

// byLots is the order that the seed of a pool gives to n people.
func byLots(v seat.PoolView, n int) (people []string) {
	for i := range n {
		people = append(people, fmt.Sprintf("s%04d", i))
	}
	slices.SortFunc(people, func(a, b string) int {
		x, y := sha256.Sum256([]byte(string(v.Seed[:])+v.Name+a)), sha256.Sum256([]byte(string(v.Seed[:])+v.Name+b))
		return bytes.Compare(x[:], y[:])
	})
	return people
}

// expectDrawn: the first have the seats, the next the places in line, in the order of the seed.
func expectDrawn(t *testing.T, e *engine.Engine, pool string, n int) {
	t.Helper()
	v := poolView(t, e, pool)
	if !v.Drawn || v.Entered != 0 || sha256.Sum256(v.Seed[:]) != v.Config.SeedHash {
		t.Fatalf("not drawn, or with another seed: %+v", v)
	}
	for i, who := range byLots(v, n) {
		st := standing(t, e, pool, who)
		if place := uint32(i) + 1; place <= v.Config.Capacity && st.Seat != place || place > v.Config.Capacity && st.Position != place-v.Config.Capacity {
			t.Fatalf("%s is number %d of the draw, and %+v", who, i+1, st)
		}
	}
}

// violations follows the whole log with the checker.
func violations(t *testing.T, e *engine.Engine) sim.Report {
	t.Helper()
	sub, err := e.Subscribe(0)
	if err != nil {
		t.Fatal(err)
	}
	defer sub.Close()
	c := sim.NewChecker(holdfast.NewState())
	for {
		ev, ok, err := sub.TryNext()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return c.Finish()
		}
		for i := range ev.List {
			c.Event(&ev.List[i])
		}
	}
}

// TestLotteryDrawsByItself: at the opening the timekeeper draws; a later claim comes behind everybody who was entered.
func TestLotteryDrawsByItself(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 2500 // more than one turn draws
		e := mustOpen(t, memlog.New(), engine.DefaultConfig())
		lots(t, e, "p", 10, time.Hour, n)
		before := poolView(t, e, "p")
		mustDo(t, e, seat.PutPool{Pool: "p", Config: seat.Config{Capacity: 20, Order: seat.Lottery, OpensAt: before.Config.OpensAt}})
		if v := poolView(t, e, "p"); v.Config.SeedHash != before.Config.SeedHash || v.Entered != n || v.Drawn {
			t.Errorf("the pool was put again: %+v", v)
		}
		time.Sleep(time.Hour - time.Microsecond)
		synctest.Wait()
		expectStatus(t, e, "p", "s0000", seat.Entered)
		time.Sleep(time.Microsecond)
		late := mustDo(t, e, seat.Claim{Pool: "p", Person: "late"})
		if late.Status != seat.Waiting || late.Position != n-20+1 {
			t.Errorf("a claim at the opening: %+v", late.Result)
		}
		synctest.Wait()
		expectDrawn(t, e, "p", n)
		if r := violations(t, e); r.Found > 0 {
			t.Errorf("%+v", r.Violations)
		}
		mustClose(t, e)
	})
}

// TestCrashInADraw: the log fails behind each frame of a draw in turn, the frame there or not. Whoever opens it then goes on
// with the same draw, also from a snapshot that was made in the middle of it.
func TestCrashInADraw(t *testing.T) {
	t.Parallel()
	const n = 3500 // four turns, a frame each
	for frames := range 5 {
		for _, late := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				log, left := memlog.New(), atomic.Int64{}
				left.Store(1 << 40)
				gate := func(uint64, int) error {
					if left.Add(-1) < 0 {
						return errors.New("cut")
					}
					return nil
				}
				if log.Gate = gate; late {
					log.Gate, log.Late = nil, gate
				}
				cfg := engine.DefaultConfig()
				cfg.FrameBytes, cfg.Seeds = 4<<10, &engine.MemoryVault{}
				e := mustOpen(t, log, cfg)
				lots(t, e, "p", 1200, time.Hour, n)
				synctest.Wait()
				left.Store(int64(frames))
				time.Sleep(time.Hour)
				synctest.Wait()
				if failed := e.Err() != nil; failed != (frames < 4) {
					t.Fatalf("behind %d frames the engine failed: %t", frames, failed)
				}
				_ = e.Close()
				log.Gate, log.Late = nil, nil
				e = mustOpen(t, log.Reopen(), cfg)
				undone := poolView(t, e, "p").Entered
				if err := e.Snapshot(); err != nil {
					t.Fatal(err)
				}
				late := mustDo(t, e, seat.Claim{Pool: "p", Person: "late"})
				if late.Status != seat.Waiting || late.Position != n-1200+1 {
					t.Errorf("behind %d frames, %d undone: a claim is %+v", frames, undone, late.Result)
				}
				expectDrawn(t, e, "p", n)
				synctest.Wait()
				if r := violations(t, e); r.Found > 0 {
					t.Errorf("%+v", r.Violations)
				}
				mustClose(t, e)
			})
		}
	}
}

// TestSnapshotInADraw: a process that knows a state only from a snapshot in the middle of a draw goes on with it.
func TestSnapshotInADraw(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 2500
		log, left := memlog.New(), atomic.Int64{}
		left.Store(1 << 40)
		snapshot := make(chan struct{}) // closed when it is made: the log fails no sooner
		second := false
		log.Gate = func(uint64, int) error {
			if left.Add(-1) < 0 {
				if second {
					<-snapshot
				}
				return errors.New("cut")
			}
			return nil
		}
		cfg := engine.DefaultConfig()
		cfg.FrameBytes, cfg.Seeds = 4<<10, &engine.MemoryVault{}
		e := mustOpen(t, log, cfg)
		lots(t, e, "p", 1200, time.Hour, n)
		synctest.Wait()
		left.Store(1)
		time.Sleep(time.Hour)
		synctest.Wait()
		_ = e.Close()
		left.Store(1) // the start, no more
		second = true
		e = mustOpen(t, log.Reopen(), cfg)
		err := e.Snapshot()
		close(snapshot)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		_ = e.Close()
		left.Store(1 << 40)
		before, err := engine.Recover(log.Reopen(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if v, _ := before.Realm(workRealm).Seats.Pool("p"); !v.Drawn || v.Entered == 0 {
			t.Fatalf("not in the middle of a draw: %+v", v)
		}
		e = mustOpen(t, log, cfg)
		time.Sleep(time.Second)
		synctest.Wait()
		expectDrawn(t, e, "p", n)
		if r := violations(t, e); r.Found > 0 {
			t.Errorf("%+v", r.Violations)
		}
		mustClose(t, e)
	})
}

// TestMissingSeed: a lottery whose seed is lost stays shut and holds nobody else up; it is told at the start and at the
// opening, once each, and drawn when the seed is back and the pool is put again.
func TestMissingSeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, kept := memlog.New(), &engine.MemoryVault{}
		cfg := engine.DefaultConfig()
		cfg.Seeds = kept
		e := mustOpen(t, log, cfg)
		lots(t, e, "p", 1, time.Hour, 5)
		hash := poolView(t, e, "p").Config.SeedHash
		mustClose(t, e)

		var said bytes.Buffer
		empty := &engine.MemoryVault{}
		cfg.Seeds, cfg.Logger = empty, slog.New(slog.NewTextHandler(&said, nil))
		e = mustOpen(t, log.Reopen(), cfg)
		if n := strings.Count(said.String(), "level=ERROR"); n != 1 {
			t.Errorf("told %d times at the start: %s", n, said.String())
		}
		mustDo(t, e, seat.PutPool{Pool: "other", Config: seat.Config{Capacity: 1}})
		time.Sleep(time.Hour)
		synctest.Wait()
		for range 3 {
			a := mustDo(t, e, seat.Claim{Pool: "p", Person: "late"})
			if a.Refusal.Code != seat.NotOpen || a.Refusal.Time == 0 {
				t.Errorf("a claim is %+v", a.Result)
			}
		}
		expectStatus(t, e, "p", "s0001", seat.Entered)
		if a := mustDo(t, e, seat.Claim{Pool: "other", Person: "late"}); a.Status != seat.Seated {
			t.Errorf("another pool is held up: %+v", a.Result)
		}
		if n := strings.Count(said.String(), "level=ERROR"); n != 2 || e.Stats().Undrawn != 1 {
			t.Errorf("told %d times, %+v: %s", n, e.Stats(), said.String())
		}
		again := seat.PutPool{Pool: "p", Config: seat.Config{Capacity: 1, Order: seat.Lottery, OpensAt: poolView(t, e, "p").Config.OpensAt}}
		mustDo(t, e, again) // still missing: told once more
		synctest.Wait()
		if v := poolView(t, e, "p"); v.Drawn || e.Stats().Undrawn != 1 {
			t.Errorf("drawn without its seed: %+v", v)
		}
		seed, err := kept.Reveal(hash)
		if err != nil {
			t.Fatal(err)
		}
		if err := empty.Keep(seed); err != nil {
			t.Fatal(err)
		}
		mustDo(t, e, again)
		synctest.Wait()
		expectDrawn(t, e, "p", 5)
		if e.Stats().Undrawn != 0 {
			t.Errorf("%+v", e.Stats())
		}
		mustClose(t, e)
	})
}

// liar is a vault that gives another seed.
type liar struct{ engine.MemoryVault }

func (l *liar) Reveal([32]byte) ([32]byte, error) { return [32]byte{1}, nil }

// TestSeedOfAProgram: a Go program may choose the seed; what the vault does not have is refused.
func TestSeedOfAProgram(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seed := [32]byte{7}
		cfg := engine.DefaultConfig()
		kept := &engine.MemoryVault{}
		cfg.Seeds = kept
		e := mustOpen(t, memlog.New(), cfg)
		mustDo(t, e, holdfast.PutRealm{Limits: seat.DefaultLimits()})
		put := seat.PutPool{Pool: "p", Config: seat.Config{Capacity: 1, Order: seat.Lottery, OpensAt: e.Now().Add(time.Hour), SeedHash: sha256.Sum256(seed[:])}}
		var invalid *seat.Invalid
		if _, err := e.Do(workRealm, put); !errors.As(err, &invalid) || invalid.Field != "seed_hash" {
			t.Errorf("an unknown seed: %v", err)
		}
		if err := kept.Keep(seed); err != nil {
			t.Fatal(err)
		}
		mustDo(t, e, put)
		mustDo(t, e, put) // it keeps its own
		again := put
		again.Pool, again.Config.OpensAt = "q", put.Config.OpensAt.Add(time.Hour)
		taken := func(when string) {
			t.Helper()
			if _, err := e.Do(workRealm, again); !errors.As(err, &invalid) || invalid.Field != "seed_hash" || !strings.Contains(invalid.Problem, `pool "p"`) {
				t.Errorf("the seed of another lottery, %s: %v", when, err)
			}
		}
		taken("before its draw")
		time.Sleep(time.Hour)
		synctest.Wait()
		if v := poolView(t, e, "p"); !v.Drawn || v.Seed != seed {
			t.Errorf("%+v", v)
		}
		taken("behind its draw")
		mustClose(t, e)

		cfg.Seeds = &liar{}
		e = mustOpen(t, memlog.New(), cfg)
		mustDo(t, e, holdfast.PutRealm{Limits: seat.DefaultLimits()})
		if _, err := e.Do(workRealm, put); !errors.As(err, &invalid) {
			t.Errorf("another seed than the one asked for: %v", err)
		}
		mustClose(t, e)
	})
}

// counting is a vault that counts the seeds it was given.
type counting struct {
	engine.MemoryVault
	kept atomic.Int64
}

func (c *counting) Keep(seed [32]byte) error {
	c.kept.Add(1)
	return c.MemoryVault.Keep(seed)
}

// TestRefusedLotteryKeepsNoSeed: whoever tries again and again does not fill the vault.
func TestRefusedLotteryKeepsNoSeed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log, vault := memlog.New(), &counting{}
		var full atomic.Bool
		log.Full = func() error {
			if full.Load() {
				return errors.New("no room")
			}
			return nil
		}
		cfg := engine.DefaultConfig()
		cfg.Seeds = vault
		e := mustOpen(t, log, cfg)
		mustDo(t, e, holdfast.PutRealm{Limits: seat.DefaultLimits()})
		mustDo(t, e, seat.PutPool{Pool: "p", Config: seat.Config{Capacity: 1}})
		mustDo(t, e, seat.Claim{Pool: "p", Person: "s"})
		put := seat.PutPool{Pool: "p", Config: seat.Config{Capacity: 1, Order: seat.Lottery, OpensAt: e.Now().Add(time.Hour)}}
		if a := mustDo(t, e, put); a.Refusal.Code != seat.Conflict {
			t.Errorf("with a live claim: %+v", a.Result)
		}
		mustDo(t, e, seat.Release{Pool: "p", Person: "s"})
		full.Store(true)
		if _, err := e.Do(workRealm, put); !errors.Is(err, engine.ErrBusy) {
			t.Errorf("without room: %v", err)
		}
		full.Store(false)
		if n := vault.kept.Load(); n != 0 {
			t.Errorf("%d seeds are kept for nothing", n)
		}
		mustDo(t, e, put)
		mustDo(t, e, put)
		if v := poolView(t, e, "p"); v.Config.Order != seat.Lottery || vault.kept.Load() != 1 {
			t.Errorf("%d seeds for %+v", vault.kept.Load(), v)
		}
		mustClose(t, e)
		put.Pool = "q"
		if _, err := e.Do(workRealm, put); !errors.Is(err, engine.ErrStopped) || vault.kept.Load() != 1 {
			t.Errorf("after the end: %v, %d seeds", err, vault.kept.Load())
		}
	})
}

// TestVault: what Keep has returned survives a power loss, at each operation; what it has not is whole or not there.
func TestVault(t *testing.T) {
	t.Parallel()
	seed := [32]byte{1, 2, 3}
	hash := sha256.Sum256(seed[:])
	images := 0
	for n := int64(1); ; n++ {
		mem := vfs.NewMem()
		if err := mem.MkdirAll("/d"); err != nil {
			t.Fatal(err)
		}
		fault := vfs.NewFault(mem, nil)
		fault.Set(vfs.Plan{At: n})
		kept := engine.DirVault(fault, "/d/seeds").Keep(seed) == nil
		for _, mode := range vfs.CrashModes() {
			for round := range uint64(20) {
				images++
				after := engine.DirVault(mem.CrashClone(rand.New(rand.NewPCG(round, uint64(n))), mode), "/d/seeds")
				got, err := after.Reveal(hash)
				if kept && err != nil || err == nil && got != seed {
					t.Fatalf("failed operation %d, %s: kept %t, then %v", n, mode, kept, err)
				}
			}
		}
		if fault.Fired() == 0 {
			break
		}
		if kept {
			t.Errorf("operation %d failed and Keep did not say so", n)
		}
	}
	if images < 400 {
		t.Errorf("only %d images", images)
	}
}

// TestDirVault: an engine on a directory keeps seeds in files that only the owner reads, and draws after a restart.
func TestDirVault(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, err := engine.OpenDir(dir, engine.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	lots(t, e, "p", 1, time.Hour, 3)
	hash := poolView(t, e, "p").Config.SeedHash
	path := filepath.Join(dir, "seeds", hex.EncodeToString(hash[:]))
	for name, mode := range map[string]os.FileMode{path: 0o600, filepath.Dir(path): 0o700 | os.ModeDir} {
		if info, err := os.Stat(name); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if files, _ := os.ReadDir(filepath.Dir(path)); len(files) != 1 {
		t.Errorf("%d files for one lottery", len(files))
	}
	mustClose(t, e)
	if e, err = engine.OpenDir(dir, engine.DefaultConfig()); err != nil {
		t.Fatal(err)
	}
	mustDo(t, e, seat.PutPool{Pool: "p", Config: seat.Config{Capacity: 1, Order: seat.Lottery, OpensAt: e.Now().Add(-time.Hour)}})
	if a := mustDo(t, e, seat.Claim{Pool: "p", Person: "late"}); a.Status != seat.Waiting || a.Position != 3 {
		t.Errorf("%+v", a.Result)
	}
	expectDrawn(t, e, "p", 3)
	mustClose(t, e)
	if err := os.WriteFile(path, []byte("00\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.DirVault(vfs.OS{}, filepath.Dir(path)).Reveal(hash); err == nil {
		t.Error("a damaged file is believed")
	}
}

package engine

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"holdfast/internal/vfs"
	"holdfast/seat"
)

// Vault keeps the seeds of lotteries until their draws. The log has only their hashes, so what the vault loses is lost: the
// lottery is then never drawn. Whoever can read the vault knows the order of the draws before they are made.
//
// Its methods may be called by several goroutines at once.
type Vault interface {
	// Keep stores a seed; it is durable when Keep returns nil.
	Keep(seed [32]byte) error
	// Reveal gives the seed whose SHA-256 is hash; an error when it is missing or damaged.
	Reveal(hash [32]byte) (seed [32]byte, err error)
}

// dirVault keeps each seed in a file of its own, named by the hash in hex, readable by the owner only: 64 hex digits and a
// newline.
type dirVault struct {
	fs  vfs.FS
	dir string
}

func (v dirVault) path(hash [32]byte) string {
	return filepath.Join(v.dir, hex.EncodeToString(hash[:]))
}

// Keep implements Vault. After a crash there is the whole file under its name, or none.
func (v dirVault) Keep(seed [32]byte) error {
	if err := v.fs.MkdirAll(v.dir); err != nil {
		return err
	}
	path := v.path(sha256.Sum256(seed[:]))
	f, err := v.fs.Create(path + ".tmp")
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(hex.EncodeToString(seed[:])+"\n"), 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := v.fs.Rename(path+".tmp", path); err != nil {
		return err
	}
	return v.fs.SyncDir(v.dir)
}

// Reveal implements Vault.
func (v dirVault) Reveal(hash [32]byte) (seed [32]byte, err error) {
	f, err := v.fs.OpenFile(v.path(hash), vfs.ReadOnly)
	if err != nil {
		return seed, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return seed, err
	}
	text := make([]byte, min(size, 128))
	if _, err := f.ReadAt(text, 0); err != nil {
		return seed, err
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || sha256.Sum256(b) != hash {
		return seed, fmt.Errorf("%s is damaged: its SHA-256 is not its name", v.path(hash))
	}
	return [32]byte(b), nil
}

// MemoryVault forgets all seeds with the process. The zero value is ready to use: for tests, and for logs that end with
// the process too.
type MemoryVault struct {
	mu    sync.Mutex // guards what follows
	seeds map[[32]byte][32]byte
}

// Keep implements Vault.
func (v *MemoryVault) Keep(seed [32]byte) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.seeds == nil {
		v.seeds = map[[32]byte][32]byte{}
	}
	v.seeds[sha256.Sum256(seed[:])] = seed
	return nil
}

// Reveal implements Vault.
func (v *MemoryVault) Reveal(hash [32]byte) (seed [32]byte, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	seed, ok := v.seeds[hash]
	if !ok {
		return seed, errors.New("no such seed")
	}
	return seed, nil
}

// seeds is the vault, and what was read from it: a draw happens under the shard's lock and must not wait for a disk.
type seeds struct {
	vault Vault
	known map[[32]byte][32]byte // guarded by shard.mu; of lotteries that are to be drawn
}

// reveal asks the vault, and believes only what has the hash.
func (s *seeds) reveal(hash [32]byte) (seed [32]byte, err error) {
	seed, err = s.vault.Reveal(hash)
	if err == nil && sha256.Sum256(seed[:]) != hash {
		err = errors.New("the vault gives another seed")
	}
	return seed, err
}

// loadSeeds reads the seeds of all lotteries that are to be drawn, so that a missing one is told at the start and not only
// when people wait for the draw. Called before anything else runs.
func (e *Engine) loadSeeds() {
	e.seeds = seeds{e.cfg.Seeds, map[[32]byte][32]byte{}}
	e.stepper.Seed = e.seedLocked
	for _, realm := range e.stepper.State.Realms() {
		for _, lots := range realm.Seats.Undrawn() {
			seed, err := e.seeds.reveal(lots.SeedHash)
			if err != nil {
				e.cfg.Logger.Error("a lottery cannot be drawn, its seed is missing: bring it back, then start again or put the pool again",
					"realm", realm.Name, "pool", lots.Pool, "opens_at", lots.OpensAt.Std(), "seed_hash", hex.EncodeToString(lots.SeedHash[:]), "error", err)
				continue
			}
			e.seeds.known[lots.SeedHash] = seed
		}
	}
}

// seedLocked is asked once at each draw.
func (e *Engine) seedLocked(hash [32]byte) (seed [32]byte, ok bool) {
	seed, ok = e.seeds.known[hash]
	if !ok {
		e.cfg.Logger.Error("a lottery opens and is not drawn, its seed is missing: claims are refused not_open until the seed is back and the pool is put again",
			"seed_hash", hex.EncodeToString(hash[:]))
	}
	delete(e.seeds.known, hash)
	return seed, ok
}

// sealLottery gives a pool that is put as a lottery the hash of its seed. A new one gets a new seed, which the vault has before
// the log can have the hash; one that is a lottery already keeps its own, and the vault is asked for the seed if it was
// missing. A command that is about to be refused keeps no seed, however often it comes. Should the pool change meanwhile,
// the rules keep its hash or refuse: a seed that is kept for nothing harms nobody.
func (e *Engine) sealLottery(realm string, put *seat.PutPool) error {
	hash, need, err := e.lotteryNeeds(realm, put)
	switch {
	case err != nil:
		return err
	case need == noSeed:
		return nil
	case need == itsSeed:
		if seed, err := e.seeds.reveal(hash); err == nil {
			e.learn(hash, seed)
		}
		return nil
	}
	var seed [32]byte
	if hash = put.Config.SeedHash; hash == [32]byte{} {
		_, _ = rand.Read(seed[:]) // never fails
		if err := e.seeds.vault.Keep(seed); err != nil {
			return fmt.Errorf("%w: keep the seed of a lottery: %w", ErrBusy, err)
		}
		hash = sha256.Sum256(seed[:])
	} else { // a Go program's own, which its vault knows
		var err error
		if seed, err = e.seeds.reveal(hash); err != nil {
			return &seat.Invalid{Field: "seed_hash", Problem: "the vault has no such seed: " + err.Error()}
		}
	}
	put.Config.SeedHash = hash
	e.learn(hash, seed)
	return nil
}

// seedNeed is what a pool that is put as a lottery needs of the vault.
type seedNeed int

const (
	noSeed  seedNeed = iota // it is drawn, or the rules will refuse
	itsSeed                 // it is to be drawn by the hash it has
	newSeed
)

// lotteryNeeds says what the pool needs, and its hash if it has one; an error when no command is taken now, or the seed that a program
// chose is another lottery's.
func (e *Engine) lotteryNeeds(realm string, put *seat.PutPool) (hash [32]byte, need seedNeed, err error) {
	if err := e.log.Room(); err != nil {
		return hash, noSeed, fmt.Errorf("%w: %w", ErrBusy, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.stopping {
		return hash, noSeed, ErrStopped
	}
	if e.crowdedLocked() {
		return hash, noSeed, ErrBusy
	}
	r := e.stepper.State.Realm(realm)
	if r == nil {
		return hash, noSeed, nil
	}
	v, _ := r.Seats.Pool(put.Pool)
	switch {
	case v.Config.Order != seat.Lottery && v.Seated+v.Offered+v.Waiting+v.Entered > 0, v.Drawn:
		return hash, noSeed, nil
	case v.Config.Order == seat.Lottery:
		return v.Config.SeedHash, itsSeed, nil
	}
	return hash, newSeed, e.sownLocked(put.Config.SeedHash)
}

// sownLocked is an error where a lottery of the shard has the seed of this hash: drawn, everybody knows the seed; not yet drawn, they
// will before the other's draw. Two commands at once that bring the same new seed are not seen: that is for the program to keep apart.
func (e *Engine) sownLocked(hash [32]byte) error {
	if hash == [32]byte{} {
		return nil
	}
	for _, r := range e.stepper.State.Realms() {
		if pool, ok := r.Seats.SownBy(hash); ok {
			return &seat.Invalid{Field: "seed_hash", Problem: fmt.Sprintf("is that of pool %q of realm %q: each lottery needs a seed of its own", pool, r.Name)}
		}
	}
	return nil
}

func (e *Engine) learn(hash, seed [32]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seeds.known[hash] = seed
}

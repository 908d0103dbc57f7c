// Package logtest is the conformance suite of engine.Log: whatever keeps these tests may carry a shard.
package logtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"

	"holdfast/engine"
)

// Factory opens one log, again and again: each call is a new process after the one before has closed or aborted it.
// A log that goes on in segments should have them small, some ten frames of 100 bytes.
type Factory func() (engine.Log, error)

// Run runs the suite; fresh gives the factory of a new, empty log.
func Run(t *testing.T, fresh func(t *testing.T) Factory) {
	for _, c := range []struct {
		name string
		run  func(*store)
	}{
		{"an empty log", empty},
		{"append and read", appendAndRead},
		{"only what is durable is read", readsDurable},
		{"a refused append is final", refusedIsFinal},
		{"open again", reopen},
		{"close and abort", closeAndAbort},
		{"a reader goes on behind the end", readerGoesOn},
		{"readers beside an appender", beside},
		{"trim", trim},
		{"snapshots, two kept", snapshots},
		{"snapshots that are refused", refusedSnapshots},
		{"a snapshot that fails halfway", failedSnapshot},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(&store{t, fresh(t)})
		})
	}
}

type store struct {
	*testing.T
	open Factory
}

func (s *store) mustOpen() engine.Log {
	s.Helper()
	log, err := s.open()
	if err != nil {
		s.Fatal(err)
	}
	return log
}

func (s *store) check(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// payload of the frame that begins with an event: its content and length follow from it.
func payload(first uint64) []byte {
	return bytes.Repeat([]byte(fmt.Sprintf("frame %d.", first)), int(first%17)+3)
}

// fill appends n frames of 1 to 3 events, and gives the end.
func (s *store) fill(log engine.Log, n int) engine.Position {
	s.Helper()
	at := log.Last()
	for range n {
		first := at.Seq + 1
		count := int(first%3) + 1
		p := payload(first)
		var err error
		at, err = log.Append(first, count, p)
		s.check(err)
		clear(p) // the bytes are the caller's again
		if at.Seq != first+uint64(count)-1 || at.Epoch != log.Epoch() || at != log.Last() {
			s.Fatalf("append of %d events at %d gave %+v, the log says %+v", count, first, at, log.Last())
		}
	}
	return at
}

// read reads all behind after and checks that it is what fill appended, without a gap.
func (s *store) read(log engine.Log, after uint64) (frames []engine.Frame) {
	s.Helper()
	r, err := log.Read(after)
	s.check(err)
	frames = s.drain(r, after)
	s.check(r.Close())
	return frames
}

func (s *store) drain(r engine.Reader, after uint64) (frames []engine.Frame) {
	s.Helper()
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			return frames
		}
		s.check(err)
		if f.First > after+1 || f.Last() <= after || !bytes.Equal(f.Payload, payload(f.First)) {
			s.Fatalf("after %d came frame %d to %d, %.30q", after, f.First, f.Last(), f.Payload)
		}
		after = f.Last()
		f.Payload = bytes.Clone(f.Payload)
		frames = append(frames, f)
	}
}

func empty(s *store) {
	log := s.mustOpen()
	if log.Last().Seq != 0 || log.First() != 0 || log.Epoch() != 1 || log.Room() != nil {
		s.Errorf("an empty log: last %+v, first %d, epoch %d, room %v", log.Last(), log.First(), log.Epoch(), log.Room())
	}
	if log.Last().LogID == [16]byte{} {
		s.Error("an empty log has no id")
	}
	if got := s.read(log, 0); len(got) != 0 {
		s.Errorf("an empty log gave %d frames", len(got))
	}
	if infos, err := log.Snapshots(); err != nil || len(infos) != 0 {
		s.Errorf("an empty log has snapshots %v, %v", infos, err)
	}
	if _, err := log.OpenSnapshot(1); err == nil {
		s.Error("a snapshot that was never put was opened")
	}
	s.check(log.Close())
}

func appendAndRead(s *store) {
	log := s.mustOpen()
	defer log.Abort()
	end := s.fill(log, 50)
	frames := s.read(log, 0)
	if len(frames) != 50 || log.First() != 1 {
		s.Fatalf("%d frames of 50, the first event is %d", len(frames), log.First())
	}
	last := frames[len(frames)-1]
	if last.Hash != end.Hash || last.Epoch != end.Epoch || last.Last() != end.Seq {
		s.Errorf("the last frame is %+v, the log ends at %+v", last, end)
	}
	hashes := map[[32]byte]bool{}
	for _, f := range frames {
		hashes[f.Hash] = true
	}
	if len(hashes) != len(frames) {
		s.Error("two frames have one hash")
	}
	for after := range end.Seq + 1 { // from every place, the middle of frames too
		got := s.read(log, after)
		if after == end.Seq && len(got) != 0 {
			s.Fatalf("behind the end came %d frames", len(got))
		}
		if after < end.Seq && (got[0].First > after+1 || got[0].Last() < after+1) {
			s.Fatalf("after %d began with %d to %d", after, got[0].First, got[0].Last())
		}
	}
}

func readsDurable(s *store) {
	log := s.mustOpen()
	defer log.Abort()
	r, err := log.Read(0)
	s.check(err)
	defer r.Close()
	for i := range 40 {
		if got := s.drain(r, uint64(log.Last().Seq)); len(got) != 0 {
			s.Fatalf("before append %d a reader saw %d frames more", i, len(got))
		}
		before := log.Last().Seq
		s.fill(log, 1)
		if got := s.drain(r, before); len(got) != 1 {
			s.Fatalf("after append %d a reader saw %d frames", i, len(got))
		}
	}
}

func refusedIsFinal(s *store) {
	for _, c := range []struct {
		name  string
		first func(last uint64) uint64
		count int
	}{
		{"a gap", func(last uint64) uint64 { return last + 2 }, 1},
		{"a repeat", func(last uint64) uint64 { return last }, 1},
		{"no events", func(last uint64) uint64 { return last + 1 }, 0},
	} {
		log := s.mustOpen()
		s.fill(log, 3)
		end := log.Last()
		if _, err := log.Append(c.first(end.Seq), c.count, payload(1)); err == nil {
			s.Fatalf("%s was appended", c.name)
		}
		if _, err := log.Append(end.Seq+1, 1, payload(end.Seq+1)); err == nil {
			s.Fatalf("after %s was refused, the log took more", c.name)
		}
		if log.Last() != end {
			s.Fatalf("%s was refused, but moved the end from %+v to %+v", c.name, end, log.Last())
		}
		s.read(log, 0)
		log.Abort()
	}
	log := s.mustOpen()
	defer log.Abort()
	s.fill(log, 3)
	s.read(log, 0)
}

func reopen(s *store) {
	id, end, frames := [16]byte{}, engine.Position{}, 0
	for epoch := uint64(1); epoch <= 5; epoch++ {
		log := s.mustOpen()
		if epoch == 1 {
			id, end = log.Last().LogID, log.Last()
		}
		if log.Epoch() != epoch || log.Last().LogID != id || log.Last() != end {
			s.Fatalf("opening %d: epoch %d, %+v, was closed at %+v", epoch, log.Epoch(), log.Last(), end)
		}
		if got := s.read(log, 0); len(got) != frames {
			s.Fatalf("opening %d: %d frames of %d", epoch, len(got), frames)
		}
		if epoch != 3 { // an opening that appends nothing counts too
			end = s.fill(log, 7)
			frames += 7
		}
		if epoch%2 == 0 {
			log.Abort()
			continue
		}
		s.check(log.Close())
	}
	log := s.mustOpen()
	defer log.Abort()
	seen := map[uint64]int{}
	for _, f := range s.read(log, 0) {
		seen[f.Epoch]++
	}
	for _, epoch := range []uint64{1, 2, 4, 5} {
		if seen[epoch] != 7 {
			s.Errorf("epochs of the frames: %v", seen)
		}
	}
}

func closeAndAbort(s *store) {
	for _, end := range []func(engine.Log){
		func(l engine.Log) { s.check(l.Close()) },
		func(l engine.Log) { l.Abort() },
		func(l engine.Log) { s.check(l.Close()); l.Abort() },
		func(l engine.Log) { l.Abort(); l.Abort() },
	} {
		log := s.mustOpen()
		at := s.fill(log, 3)
		r, err := log.Read(0)
		s.check(err)
		end(log)
		if _, err := log.Append(at.Seq+1, 1, payload(at.Seq+1)); err == nil {
			s.Fatal("a released log took an append")
		}
		s.drain(r, 0) // readers stay usable
		s.check(r.Close())
		if log.Last() != at {
			s.Fatalf("a released log ends at %+v, had ended at %+v", log.Last(), at)
		}
	}
}

func readerGoesOn(s *store) {
	log := s.mustOpen()
	defer log.Abort()
	r, err := log.Read(0)
	s.check(err)
	ahead, err := log.Read(5) // behind the end: it waits there
	s.check(err)
	after := uint64(0)
	for n := range 60 {
		for range 3 { // io.EOF is no end
			if _, err := r.Next(); !errors.Is(err, io.EOF) {
				s.Fatalf("at the end: %v", err)
			}
		}
		s.fill(log, n%4)
		for _, f := range s.drain(r, after) {
			after = f.Last()
		}
		if after != log.Last().Seq {
			s.Fatalf("the reader is at %d, the log at %d", after, log.Last().Seq)
		}
	}
	if got := s.drain(ahead, 5); len(got) == 0 || got[0].Last() < 6 {
		s.Errorf("a reader that waited behind the end got %d frames", len(got))
	}
	s.check(r.Close())
	s.check(ahead.Close())
}

func beside(s *store) {
	log := s.mustOpen()
	defer log.Abort()
	const frames = 300
	done := make(chan struct{})
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			r, err := log.Read(0)
			if err != nil {
				s.Error(err)
				return
			}
			defer r.Close()
			after, ended := uint64(0), false
			for {
				select {
				case <-done:
					ended = true
				default:
				}
				got := s.drain(r, after)
				if len(got) > 0 {
					after = got[len(got)-1].Last()
				} else if ended {
					break
				}
				log.First()
				log.Room()
				log.Epoch()
				if log.Last().Seq < after {
					s.Error("a reader is ahead of the end")
				}
			}
			if end := log.Last().Seq; after != end {
				s.Errorf("a reader ended at %d, the log at %d", after, end)
			}
		})
	}
	s.fill(log, frames)
	close(done)
	wait.Wait()
}

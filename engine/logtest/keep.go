package logtest

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"holdfast/engine"
)

// trim: segments go from the front, never what is asked for, never the end; and nobody is told less silently.
func trim(s *store) {
	log := s.mustOpen()
	s.fill(log, 3)
	if s.check(log.Trim(1)); log.First() != 1 {
		s.Fatalf("trim before 1 let go what is before %d", log.First())
	}
	slow, err := log.Read(0)
	s.check(err)
	for tries := 0; log.First() == 1; tries++ {
		if tries == 100 {
			s.Fatal("nothing was ever let go")
		}
		s.fill(log, 10)
		s.check(log.Trim(log.Last().Seq - 5))
	}
	first, end := log.First(), log.Last()
	if first > end.Seq-5 {
		s.Fatalf("trim before %d let go what is before %d", end.Seq-5, first)
	}
	if got := s.read(log, first-1); got[0].First != first {
		s.Errorf("the oldest frame begins with %d, First says %d", got[0].First, first)
	}
	if _, err := log.Read(first - 2); !errors.Is(err, engine.ErrTrimmed) {
		s.Errorf("read of what is gone: %v", err)
	}
	after := uint64(0)
	for err = nil; err == nil; { // overtaken: it may give what it still has, then it must say so
		var f engine.Frame
		if f, err = slow.Next(); err == nil {
			if f.First != after+1 {
				s.Fatalf("an overtaken reader went from %d to %d", after, f.First)
			}
			after = f.Last()
		}
	}
	if after != end.Seq && !errors.Is(err, engine.ErrTrimmed) {
		s.Errorf("an overtaken reader ended at %d of %d with: %v", after, end.Seq, err)
	}
	s.check(slow.Close())
	s.check(log.Trim(end.Seq + 1000))
	if last := log.Last(); last != end || log.First() > end.Seq+1 {
		s.Errorf("trim of all moved the end to %+v, First is %d", last, log.First())
	}
	s.fill(log, 3)
	first = log.First()
	s.check(log.Close())
	log = s.mustOpen()
	defer log.Abort()
	if log.First() != first {
		s.Errorf("opened again the log begins with %d, began with %d", log.First(), first)
	}
	s.read(log, first-1)
}

// put keeps a snapshot at the end of the log, whose body is text.
func (s *store) put(log engine.Log, text string) engine.Position {
	s.Helper()
	at := log.Last()
	s.check(log.PutSnapshot(at, func(w io.Writer) error {
		_, err := io.Copy(w, strings.NewReader(text))
		return err
	}))
	return at
}

func (s *store) expectSnapshot(log engine.Log, at engine.Position, text string) {
	s.Helper()
	r, err := log.OpenSnapshot(at.Seq)
	s.check(err)
	got, err := io.ReadAll(r)
	s.check(errors.Join(err, r.Close()))
	if string(got) != text {
		s.Fatalf("the snapshot at %d is %.30q (%d bytes), was %.30q (%d)", at.Seq, got, len(got), text, len(text))
	}
}

func snapshots(s *store) {
	log := s.mustOpen()
	large := strings.Repeat("0123456789abcdef", 100_000)
	s.fill(log, 5)
	one := s.put(log, "one")
	s.fill(log, 5)
	two := s.put(log, large)
	s.put(log, large) // at the same place: it replaces itself
	s.expectSnapshot(log, one, "one")
	s.expectSnapshot(log, two, large)
	s.check(log.Close())
	log = s.mustOpen()
	defer func() { log.Abort() }()
	s.expectSnapshot(log, one, "one")
	s.fill(log, 5)
	three := s.put(log, "")
	infos, err := log.Snapshots()
	s.check(err)
	if len(infos) != 2 || infos[0].Position != three || infos[1].Position != two || infos[0].Bytes != 0 || infos[1].Bytes != int64(len(large)) {
		s.Fatalf("kept are %+v", infos)
	}
	if _, err := log.OpenSnapshot(one.Seq); err == nil {
		s.Error("the oldest of three is still there")
	}
	log.Abort()
	log = s.mustOpen()
	s.expectSnapshot(log, three, "")
	s.expectSnapshot(log, two, large)
}

func refusedSnapshots(s *store) {
	log := s.mustOpen()
	defer log.Abort()
	s.fill(log, 5)
	early := log.Last()
	s.fill(log, 5)
	end := s.put(log, "good")
	nothing := func(io.Writer) error { return nil }
	beyond, foreign := end, end
	beyond.Seq++
	foreign.LogID[3]++
	for name, at := range map[string]engine.Position{"beyond the end": beyond, "of another log": foreign, "before the newest": early} {
		if err := log.PutSnapshot(at, nothing); err == nil {
			s.Errorf("a snapshot %s was kept", name)
		}
	}
	if infos, err := log.Snapshots(); err != nil || len(infos) != 1 {
		s.Errorf("kept are %+v, %v", infos, err)
	}
	s.expectSnapshot(log, end, "good")
}

func failedSnapshot(s *store) {
	log := s.mustOpen()
	s.fill(log, 5)
	good := s.put(log, "good")
	s.fill(log, 5)
	cause := errors.New("halfway")
	err := log.PutSnapshot(log.Last(), func(w io.Writer) error {
		if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil {
			return err
		}
		return cause
	})
	if !errors.Is(err, cause) {
		s.Errorf("a failing snapshot: %v", err)
	}
	s.fill(log, 5)
	log.Abort()
	log = s.mustOpen()
	defer log.Abort()
	infos, err := log.Snapshots()
	s.check(err)
	if len(infos) != 1 || infos[0].Position != good {
		s.Errorf("kept are %+v", infos)
	}
	s.expectSnapshot(log, good, "good")
}

package rush

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"time"

	"holdfast"
	"holdfast/engine"

	"holdfast/internal/play"
)

// ErrViolations says that something a student was told is not true. The Summary has the list.
var ErrViolations = errors.New("the rush found violations")

// ErrToken: Config.Target does not know Config.Token, or it is not of role admin for all realms.
var ErrToken = play.ErrToken

// ErrNotEmpty: there is something in Config.Data.
var ErrNotEmpty = errors.New("--data: the directory is not empty")

// Run plays the rush, compares everything, writes the table to cfg.Stdout and the files that were asked for. Whatever
// happens, the child is stopped when it returns, and a temporary directory is gone. The Summary is there with ErrViolations
// too; with any other error it is nil.
func Run(ctx context.Context, cfg Config) (*Summary, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	wanted := cfg.Students
	if cfg.WS {
		if err := fitFiles(&cfg); err != nil {
			return nil, err
		}
		cfg.Connections = min(cfg.Connections, liveConnections)
	}
	plan, err := makePlan(&cfg)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	p := &performance{cfg: &cfg, plan: plan, progress: play.NewProgress(cfg.Stderr, cfg.Terminal), died: cancel, live: live{wanted: wanted}}
	defer p.progress.End()
	if err := p.open(ctx); err != nil {
		return nil, errors.Join(err, p.close())
	}
	summary, err := p.perform(ctx)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx) // why, instead of what broke because of it
	}
	if err = errors.Join(err, p.close()); err != nil {
		return nil, err
	}
	p.progress.End()
	if err := summary.write(&cfg); err != nil {
		return nil, err
	}
	if summary.Violations > 0 {
		return summary, ErrViolations
	}
	return summary, nil
}

// performance is one rush on its way. One goroutine owns it.
type performance struct {
	cfg      *Config
	plan     *plan
	progress *play.Progress
	died     func(error) // ends the rush: the server died without having been killed
	child    *play.Child // nil: a target
	dir      string      // of the child
	keep     bool        // dir was given
	crowd    *crowd
	outages  []outage // the kills and restarts of act 2, in order
	before   uint64   // of a target: where its log ended before the realm was made
	lobby    *lobby   // nil: the students take turns on a few connections
	live     live
}

// open starts the server, or finds the one that runs, and makes the realm with its pools.
func (p *performance) open(ctx context.Context) error {
	realm := "rush"
	target := p.cfg.Target
	if target == "" {
		if err := p.makeDir(); err != nil {
			return err
		}
		var err error
		if p.child, err = play.NewChild(p.cfg.Program, p.dir, p.cfg.Database); err != nil {
			return err
		}
		p.child.Died = p.died
		if err := p.child.Start(ctx); err != nil {
			return err
		}
		target = "http://" + p.child.Address
	} else {
		realm = fmt.Sprintf("rush-%d-%s", p.cfg.Seed, time.Now().UTC().Format("20060102T150405.000"))
	}
	address, err := play.ParseAddress(target, p.cfg.Token)
	if err != nil {
		return err
	}
	p.crowd = newCrowd(p.cfg, p.plan, realm, play.NewDoor(address))
	return p.makePools(ctx)
}

func (p *performance) makeDir() (err error) {
	if p.cfg.Data == "" {
		p.dir, err = os.MkdirTemp("", "holdfast-rush-")
		return err
	}
	p.dir, p.keep = p.cfg.Data, true
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(p.dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("%w: %s; a rush begins on an empty one", ErrNotEmpty, p.dir)
	}
	return err
}

// leave ends the connections of the students.
func (p *performance) leave() {
	if p.lobby != nil {
		p.lobby.close()
	}
}

// close stops the child and removes a temporary directory.
func (p *performance) close() (err error) {
	p.leave()
	if p.crowd != nil {
		p.crowd.hangUp()
	}
	if p.child != nil {
		err = p.child.Stop()
	}
	if p.dir != "" && !p.keep {
		err = errors.Join(err, os.RemoveAll(p.dir))
	}
	return err
}

// makePools makes the realm and all its pools.
func (p *performance) makePools(ctx context.Context) error {
	c := p.crowd
	if err := c.connect(ctx); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	if p.child == nil {
		if err := p.logEnd(ctx); err != nil {
			return err
		}
	}
	if err := c.askers[0].put(p.realmPath(), `{"max_waits_per_person":`+strconv.Itoa(p.plan.waits())+`}`); err != nil {
		return err
	}
	opensAt := time.Time{}
	if p.cfg.WS { // the instant is named when everybody is there
		opensAt = time.Now().Add(24 * time.Hour)
	}
	return p.putPools(ctx, opensAt)
}

func (p *performance) realmPath() string {
	return p.crowd.door.Address.Prefix + "/v1/realms/" + p.crowd.realm
}

// putPools makes all pools, or makes them anew; they open at an instant, or, if it is zero, are open.
func (p *performance) putPools(ctx context.Context, opensAt time.Time) error {
	opens := "}"
	if !opensAt.IsZero() {
		opens = `,"opens_at":"` + opensAt.UTC().Format("2006-01-02T15:04:05.000Z") + `"}`
	}
	return p.crowd.each(ctx, len(p.plan.courses), func(_ context.Context, a *asker, i int) error {
		course := p.plan.courses[i]
		return a.put(p.realmPath()+"/pools/"+course.name, `{"capacity":`+strconv.Itoa(course.capacity)+opens)
	})
}

// put makes a realm or a pool.
func (a *asker) put(path, body string) error {
	rep, err := a.conn.Do(&play.Request{Method: http.MethodPut, Path: []byte(path), Body: []byte(body)})
	if err == nil && rep.Status/100 != 2 {
		err = fmt.Errorf("the server answered %d: %.300s", rep.Status, rep.Body)
	}
	if err != nil {
		return fmt.Errorf("PUT %s: %w", path, err)
	}
	return nil
}

// logEnd notes where the target's log ends: the feed is read from there, however long the history before it.
func (p *performance) logEnd(ctx context.Context) error {
	address := &p.crowd.door.Address
	resp, err := address.Get(ctx, address.URL("/v1/log"), "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var log standpoint
	if err := json.NewDecoder(resp.Body).Decode(&log); err != nil {
		return fmt.Errorf("GET /v1/log: %w", err)
	}
	p.before = log.Durable
	return nil
}

// perform plays the acts, then compares.
func (p *performance) perform(ctx context.Context) (*Summary, error) {
	c := p.crowd
	w := watch(ctx, c)
	defer w.stop()
	opening, university, err := p.acts(ctx)
	if err != nil {
		return nil, err
	}
	p.progress.Phase("recording", 0, c.finished)
	recorded, hasDatabase, err := w.recorded(ctx, university.lastAsOf)
	if err != nil {
		return nil, err
	}
	_, most := w.now()
	answers, err := readAnswers(c, func(r *record) bool { return r.act <= 2 })
	if err != nil {
		return nil, err
	}
	p.progress.Phase("leaving", 0, c.finished)
	left, err := p.leaving(ctx, answers, university.lastAsOf)
	if err != nil {
		return nil, err
	}
	more, err := readAnswers(c, func(r *record) bool { return r.act > 2 })
	if err != nil {
		return nil, err
	}
	answers = mergeAnswers(answers, more)
	p.progress.Phase("checking", 0, c.finished)
	if len(more) > 0 {
		if _, _, err := w.recorded(ctx, answers[len(answers)-1].AsOf); err != nil {
			return nil, err
		}
	}
	w.stop()
	verdict, err := p.verify(ctx, answers)
	if err != nil {
		return nil, err
	}
	s := summarize(p, answers, verdict)
	s.addStages(p, opening, university, answers)
	s.addLeaving(left)
	s.addLive(p, answers, verdict)
	s.addMirror(hasDatabase, recorded-university.ended, most)
	if p.cfg.Answers != "" {
		if err := writeAnswers(p.cfg.Answers, answers); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// acts plays both acts.
func (p *performance) acts(ctx context.Context) (opening, university *stage, err error) {
	if p.cfg.WS {
		p.progress.Phase("connecting", 0, p.crowd.finished)
		p.lobby = newLobby(ctx, p.crowd, p.cfg.quiet)
		return p.playLive(ctx)
	}
	p.progress.Phase("act 1", len(p.plan.opening), p.crowd.finished)
	if opening, err = playOpening(ctx, p.crowd); err != nil {
		return nil, nil, err
	}
	p.progress.Phase("act 2", len(p.plan.order), p.crowd.finished)
	university, err = p.interrupted(ctx, len(p.plan.order), playUniversity)
	findGaps(p.crowd, p.outages, p.crowd.now())
	return opening, university, err
}

// leaving lets some of those who hold a seat of act 2 leave.
func (p *performance) leaving(ctx context.Context, answers []answer, after uint64) (*leaving, error) {
	latest := map[claimKey]told{}
	for i := range answers {
		if a := &answers[i]; a.standing() && a.course > 0 {
			key := claimKey{a.course, a.person}
			latest[key] = told{key, a.Status, a.Seq}
		}
	}
	var seated []told
	for _, t := range latest {
		if t.status == "seated" {
			seated = append(seated, t)
		}
	}
	slices.SortFunc(seated, func(a, b told) int {
		return int(a.course-b.course)<<20 + int(a.person-b.person)
	})
	rng := random(p.cfg.Seed, streamLeave)
	rng.Shuffle(len(seated), func(i, j int) { seated[i], seated[j] = seated[j], seated[i] })
	most := int(p.cfg.Leave * float64(len(seated)))
	leavers := seated[:most]
	if p.lobby != nil {
		return p.leavingLive(ctx, leavers, seated[most:min(2*most, len(seated))])
	}
	if len(leavers) == 0 {
		return &leaving{}, nil
	}
	feed := follow(ctx, p.crowd, after)
	defer feed.stop()
	return playLeaving(ctx, p.crowd, leavers, feed)
}

// noDatabase is the --database of a child that keeps no copy in SQL.
const noDatabase = "none"

// verify stops the child and reads its log and its database, or reads the feed of the target.
func (p *performance) verify(ctx context.Context, answers []answer) (*verdict, error) {
	if p.child == nil {
		log, err := p.feedSource(ctx)
		if err != nil {
			return nil, err
		}
		v, _, err := verify(p.crowd, nil, answers, log)
		return v, err
	}
	p.leave()
	p.crowd.hangUp()
	if err := p.child.Stop(); err != nil {
		return nil, err
	}
	log, err := dirSource(p.dir)
	if err != nil {
		return nil, err
	}
	v, ledger, err := verify(p.crowd, p.runs(), answers, log)
	if err != nil {
		return nil, err
	}
	if p.cfg.Database == noDatabase {
		return v, nil
	}
	return v, v.compareRows(ledger, answers, func(each func(*row)) error {
		return readRows(ctx, p.cfg, p.dir, p.crowd.realm, each)
	})
}

// dirSource is the log in the directory of a server that was stopped.
func dirSource(dir string) (source, error) {
	log, err := engine.ViewDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading the log: %w", err)
	}
	if first := log.First(); first > 1 {
		return nil, fmt.Errorf("the log of this rush was so long that its beginning is trimmed: it reaches back to event %d only, and there is nothing to compare the answers before it with", first)
	}
	return func(each func(*holdfast.Event) error) error {
		_, err := log.Events(0, func(frame engine.Events) error {
			for i := range frame.List {
				if err := each(&frame.List[i]); err != nil {
					return err
				}
			}
			return nil
		})
		return err
	}, nil
}

package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"holdfast"
	"holdfast/engine"
	"holdfast/internal/story"
	"holdfast/seat"
)

// whyConfig says whose story is told: a person's in a pool, or, where Desk is given, that of one request or agent of it.
type whyConfig struct {
	Data         string
	Realm        string
	Pool, Person string
	Desk         string
	Request      uint64 // 0: Agent is given
	Agent        string
}

func newWhy() *cobra.Command {
	cfg := whyConfig{Data: defaultData}
	cmd := &cobra.Command{
		Use:   "why REALM POOL PERSON | why REALM --desk DESK (--request ID | --agent AGENT)",
		Short: "Tell the story of one person in one pool, or of a desk's request or agent, in words",
		Long: `Tells from the log what one person asked for in one pool and what became of it, with times (UTC) and the numbers of
the events; or, with --desk, why a request got the agent that it got, or what an agent was offered and did. Also beside a running
server. Refusals are in no log.`,
		Example: `  holdfast why spring c0101 s00017
  holdfast why help --desk acme --request 4711
  holdfast why help --desk acme --agent eve --data /var/lib/holdfast`,
		Args: func(cmd *cobra.Command, args []string) error {
			if cfg.Desk != "" {
				return exactly(1)(cmd, args)
			}
			return exactly(3)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg.Realm = args[0]
			if cfg.Desk == "" {
				cfg.Pool, cfg.Person = args[1], args[2]
			}
			if err := cfg.validate(); err != nil {
				return &usageError{err}
			}
			return adviseView(why(cmd.OutOrStdout(), cfg), cfg.Data)
		},
	}
	f := cmd.Flags()
	f.StringVar(&cfg.Data, "data", cfg.Data, "data `DIR`")
	f.StringVar(&cfg.Desk, "desk", "", "the story of a request or an agent of this `DESK`")
	f.Uint64Var(&cfg.Request, "request", 0, "the request's `ID`")
	f.StringVar(&cfg.Agent, "agent", "", "the `AGENT`")
	return cmd
}

func (c *whyConfig) validate() error {
	ids := [][2]string{{"realm", c.Realm}, {"pool", c.Pool}, {"person", c.Person}}
	if c.Desk == "" && (c.Request != 0 || c.Agent != "") {
		return errors.New("--desk is missing")
	}
	if c.Desk != "" {
		ids = [][2]string{{"realm", c.Realm}, {"desk", c.Desk}}
		switch {
		case (c.Request == 0) == (c.Agent == ""):
			return errors.New("one of --request and --agent says whose story")
		case c.Agent != "":
			ids = append(ids, [2]string{"agent", c.Agent})
		}
	}
	for _, id := range ids {
		if err := seat.ValidID(id[0], id[1]); err != nil {
			return err
		}
	}
	return nil
}

// teller keeps a story.
type teller interface {
	Event(*holdfast.Event) error
	Lines() []story.Line
	End() string
}

func (c *whyConfig) teller(state *holdfast.State) (t teller, title string) {
	switch {
	case c.Desk == "":
		return story.New(state, c.Realm, c.Pool, c.Person), fmt.Sprintf("%s in %s of %s", c.Person, c.Pool, c.Realm)
	case c.Request != 0:
		return story.OfRequest(state, c.Realm, c.Desk, c.Request), fmt.Sprintf("request %d at %s of %s", c.Request, c.Desk, c.Realm)
	}
	return story.OfAgent(state, c.Realm, c.Desk, c.Agent), fmt.Sprintf("agent %s at %s of %s", c.Agent, c.Desk, c.Realm)
}

func why(out io.Writer, cfg whyConfig) error {
	d, err := engine.ViewDir(cfg.Data)
	if err != nil {
		return err
	}
	state, err := d.State()
	if err != nil {
		return err
	}
	t, title := cfg.teller(state)
	_, err = d.Events(state.Seq(), func(ev engine.Events) error {
		for i := range ev.List {
			if err := t.Event(&ev.List[i]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%s (times are UTC)\n\n", title)
	for _, line := range t.Lines() {
		fmt.Fprintln(out, line)
	}
	_, err = fmt.Fprintln(out, t.End())
	return err
}

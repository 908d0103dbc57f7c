package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"holdfast/auth"
)

// keyConfig says which file of API keys a command works on.
type keyConfig struct {
	Data   string
	Keys   string // empty = keys.json in Data
	Now    func() time.Time
	Stdout io.Writer // what a script wants: the token, the table
	Stderr io.Writer // what a person wants to know beside
}

// keysOf is the file of API keys of a data directory, unless another is named.
func keysOf(dir, flag string) string { return cmp.Or(flag, filepath.Join(dir, "keys.json")) }

func (c *keyConfig) file() auth.KeyFile {
	return auth.KeyFile{Path: keysOf(c.Data, c.Keys), Now: c.Now}
}

// again is the flag that names this file in another command.
func (c *keyConfig) again() string {
	switch {
	case c.Keys != "":
		return " --keys " + c.Keys
	case c.Data != defaultData:
		return " --data " + c.Data
	}
	return ""
}

func newKey() *cobra.Command {
	c := &keyConfig{Data: defaultData, Now: time.Now}
	cmd := &cobra.Command{
		Use:   "key",
		Short: "Make, list, rotate and revoke the API keys of programs",
		Long: `API keys prove to a server which of your programs asks. Only a hash of each is kept.
A server that runs with the file follows it: a key that is made or revoked counts within a second.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			c.Stdout, c.Stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
		},
	}
	f := cmd.PersistentFlags()
	f.StringVar(&c.Data, "data", c.Data, "data `DIR`")
	f.StringVar(&c.Keys, "keys", "", "`FILE` of the API keys (default keys.json in the data directory)")
	cmd.AddCommand(newKeyCreate(c), newKeyList(c), newKeyRevoke(c), newKeyRotate(c))
	return cmd
}

func newKeyCreate(c *keyConfig) *cobra.Command {
	var k auth.Key
	var role, expires string
	cmd := &cobra.Command{
		Use:   "create --role ROLE",
		Short: "Make a key and print it, once",
		Long: `Makes a key and prints it on stdout, alone; what is to be said about it goes to stderr. It cannot be shown again.

Roles, from the one that may least: person, agent, client (each for one --person in one --realm), staff (acts for others,
with a reason), backend (your programs: act for everybody), admin (also sets up realms, pools and desks, and watches the server).`,
		Example: `  holdfast key create --role backend --realm spring --note "enrolment portal"
  holdfast key create --role admin --expires 90d
  KEY=$(holdfast key create --role staff --realm spring --person registrar.office)`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) (err error) {
			k.Role = auth.Role(role)
			if k.Expires, err = c.moment("--expires", expires); err != nil {
				return err
			}
			return c.create(k)
		},
	}
	f := cmd.Flags()
	f.StringVar(&role, "role", "", "person, agent, client, staff, backend or admin")
	f.StringVar(&k.Realm, "realm", "", "the one `REALM` it is for (default all)")
	f.StringVar(&k.Desk, "desk", "", "the one `DESK` of the realm it is for (default all)")
	f.StringVar(&k.Person, "person", "", "the `PERSON` it speaks for; of staff: in whose name it acts")
	f.StringVar(&k.Note, "note", "", "what it is for: shown by list")
	f.StringVar(&expires, "expires", "", "`WHEN` it ends: 90d, 12h, or 2027-01-31T18:00:00Z (default never)")
	return cmd
}

func newKeyList(c *keyConfig) *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the keys, the revoked ones too",
		Example: "  holdfast key list\n  holdfast key list --json --keys /etc/holdfast/keys.json",
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return c.list(asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "one JSON object: {\"keys\":[…]}")
	return cmd
}

func newKeyRevoke(c *keyConfig) *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID",
		Short:   "End a key now",
		Long:    "Ends a key now. A running server refuses it within a second, and closes its connections. It stays in the list.",
		Example: "  holdfast key revoke k3v7qd2x",
		Args:    exactly(1),
		RunE:    func(_ *cobra.Command, args []string) error { return c.revoke(args[0]) },
	}
}

func newKeyRotate(c *keyConfig) *cobra.Command {
	overlap, expires := "24h", ""
	cmd := &cobra.Command{
		Use:   "rotate ID",
		Short: "Make a key of the same scope; the old one ends after an overlap",
		Long: `Makes a key of the same role, realm, desk, person and note, and prints it on stdout, alone. The old one stays valid for
the overlap, so that you can change your programs one after another; revoke it when you are done.`,
		Example: "  holdfast key rotate k3v7qd2x\n  holdfast key rotate k3v7qd2x --overlap 7d",
		Args:    exactly(1),
		RunE: func(_ *cobra.Command, args []string) error {
			d, err := parseDays(overlap)
			if err != nil || d < 0 {
				return &usageError{fmt.Errorf("--overlap %q: it is a time like 24h or 7d", overlap)}
			}
			until, err := c.moment("--expires", expires)
			if err != nil {
				return err
			}
			return c.rotate(args[0], d, until)
		},
	}
	f := cmd.Flags()
	f.StringVar(&overlap, "overlap", overlap, "how `LONG` the old one stays valid: 24h, 7d, 0s")
	f.StringVar(&expires, "expires", "", "`WHEN` the new one ends: 90d, 12h, or 2027-01-31T18:00:00Z (default after as long as the old one had)")
	return cmd
}

// parseDays is time.ParseDuration that also knows whole days.
func parseDays(s string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err
	}
	return time.ParseDuration(s)
}

// moment reads how long from now or when; empty = zero.
func (c *keyConfig) moment(flag, s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	now := c.Now()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		d, err := parseDays(s)
		if err != nil {
			return time.Time{}, &usageError{fmt.Errorf("%s %q: it is 90d, 12h, or a moment like 2027-01-31T18:00:00Z", flag, s)}
		}
		at = now.Add(d)
	}
	if !at.After(now) {
		return time.Time{}, &usageError{fmt.Errorf("%s %q is over already", flag, s)}
	}
	return at.UTC().Truncate(time.Second), nil
}

func (c *keyConfig) create(k auth.Key) error {
	if k.Role == "" {
		return &usageError{errors.New("--role is missing")}
	}
	if err := k.Valid(); err != nil {
		return &usageError{fmt.Errorf("--%w", err)}
	}
	if c.Keys == "" {
		if err := os.MkdirAll(c.Data, 0o700); err != nil {
			return c.advise(err)
		}
	}
	first := !auth.Configured(c.file().Path)
	made, token, err := c.file().Create(k)
	if err != nil {
		return c.advise(err)
	}
	c.show(made, token)
	if first {
		fmt.Fprintf(c.Stderr, "It is the first key there. A server that runs without authentication goes on so: restart it. From then on it\nrefuses whoever has no key.\n")
	} else {
		fmt.Fprintf(c.Stderr, "A server that runs with this file takes it within a second.\n")
	}
	return nil
}

// show tells the token, the only time there is.
func (c *keyConfig) show(k auth.Key, token string) {
	fmt.Fprintln(c.Stdout, token)
	fmt.Fprintf(c.Stderr, "\nThis is API key %s: %s.\n", k.ID, describe(&k))
	fmt.Fprintf(c.Stderr, "Keep it now, it cannot be shown again; %s has only its hash.\n", c.file().Path)
	fmt.Fprintf(c.Stderr, "Your program sends it as the header  Authorization: Bearer %s…\n", token[:len("hf_")+len(k.ID)+1])
}

func describe(k *auth.Key) string {
	text := string(k.Role)
	if k.Person != "" {
		text += " " + k.Person
	}
	if k.Realm == "" {
		text += ", every realm"
	} else {
		text += ", realm " + k.Realm
	}
	if k.Desk != "" {
		text += ", desk " + k.Desk
	}
	if k.Expires.IsZero() {
		return text + ", until it is revoked"
	}
	return text + ", until " + k.Expires.Format(time.RFC3339)
}

func (c *keyConfig) list(asJSON bool) error {
	keys, err := c.file().List()
	if err != nil {
		return c.advise(err)
	}
	if asJSON {
		if keys == nil {
			keys = []auth.Key{}
		}
		e := json.NewEncoder(c.Stdout)
		e.SetIndent("", "  ")
		return e.Encode(map[string][]auth.Key{"keys": keys})
	}
	if len(keys) == 0 {
		fmt.Fprintf(c.Stdout, "There is no API key in %s.\nnext: holdfast key create --role admin%s\n", c.file().Path, c.again())
		return nil
	}
	return c.table(keys)
}

func (c *keyConfig) table(keys []auth.Key) error {
	next := map[string]string{}
	for _, k := range keys {
		next[k.Replaces] = k.ID
	}
	w := tabwriter.NewWriter(c.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tROLE\tREALM\tDESK\tPERSON\tCREATED\tSTATE\tNOTE")
	for _, k := range keys {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Role, cmp.Or(k.Realm, "all"), cmp.Or(k.Desk, "all"), cmp.Or(k.Person, "-"),
			k.Created.Format(time.DateOnly), state(&k, next[k.ID], c.Now()), k.Note)
	}
	return w.Flush()
}

func state(k *auth.Key, next string, now time.Time) string {
	text := "valid"
	switch {
	case !k.Revoked.IsZero():
		text = "revoked " + k.Revoked.Format(time.RFC3339)
	case !k.Live(now):
		text = "ended " + k.Expires.Format(time.RFC3339)
	case !k.Expires.IsZero():
		text = "valid until " + k.Expires.Format(time.RFC3339)
	}
	if next != "" {
		text += ", replaced by " + next
	}
	return text
}

func (c *keyConfig) revoke(id string) error {
	k, err := c.file().Revoke(id)
	if err != nil {
		return c.advise(err)
	}
	_, err = fmt.Fprintf(c.Stdout, "API key %s (%s) is revoked since %s. A server that runs with this file refuses it within a second.\n",
		k.ID, k.Role, k.Revoked.Format(time.RFC3339))
	return err
}

func (c *keyConfig) rotate(id string, overlap time.Duration, expires time.Time) error {
	made, token, err := c.file().Rotate(id, overlap, expires)
	if err != nil {
		return c.advise(err)
	}
	c.show(made, token)
	if overlap > 0 {
		fmt.Fprintf(c.Stderr, "The old one, %s, is valid until %s at the latest. When no program uses it any more: holdfast key revoke %s%s\n",
			id, c.Now().Add(overlap).UTC().Format(time.RFC3339), id, c.again())
	}
	return nil
}

// advise says what to do about a file of keys that could not be read or written.
func (c *keyConfig) advise(err error) error {
	path := c.file().Path
	switch {
	case err == nil:
		return nil
	case errors.Is(err, auth.ErrNoKey):
		return advise(err, "holdfast key list%s", c.again())
	case errors.Is(err, auth.ErrNotLive):
		return advise(err, "make a new one: holdfast key create --role ROLE%s", c.again())
	case errors.Is(err, auth.ErrFile):
		return advise(err, "mend what it names, or put back a copy of %s; a server that runs goes on with what it read last", path)
	case errors.Is(err, fs.ErrPermission):
		return advise(err, "run it as the user who owns %s", path)
	case errors.Is(err, fs.ErrNotExist):
		return advise(err, "make the directory of %s first", path)
	}
	return advise(err, "look at the disk of %s, then run the same command again: nothing is changed by halves", path)
}

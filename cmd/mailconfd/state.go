package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailconfd/config"
	"mailconfd/internal/monitor"
	"mailconfd/internal/store"
	"mailconfd/settings"
)

// stateTime bounds how long a command waits for a database.
const stateTime = 10 * time.Second

func (a *app) state() *cobra.Command {
	c := &cobra.Command{
		Use:   "state",
		Short: "check or back up what was seen",
		Long: `What mailconfd saw of the mail servers is its state: in a file by default, or in
PostgreSQL (--state). docs/state.md tells where, and what happens without it.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	backup := &cobra.Command{
		Use:   "backup FILE",
		Short: "copy a state in a file to a new file, also while serve runs",
		Args:  cobra.ExactArgs(1),
		RunE:  a.withState(func(ctx context.Context, s *store.SQL, args []string) error { return s.Backup(ctx, args[0]) }),
	}
	check := &cobra.Command{
		Use:   "check",
		Short: "say whether the state is whole, and how much is in it",
		Args:  cobra.NoArgs,
		RunE:  a.withState(a.checkState),
	}
	for _, sub := range []*cobra.Command{backup, check} {
		configKeys(sub, "state")
		c.AddCommand(sub)
	}
	return c
}

// withState runs a command on the state that the configuration names.
func (a *app) withState(run func(context.Context, *store.SQL, []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		cfg, err := a.load(c, "")
		if err != nil {
			return err
		}
		s, err := a.stateReader(cfg.State)
		if err != nil {
			return err
		}
		return errors.Join(run(c.Context(), s, args), s.Close())
	}
}

func (a *app) checkState(ctx context.Context, s *store.SQL, _ []string) error {
	summary, err := s.Check(ctx)
	if errors.Is(err, store.ErrDamaged) {
		fmt.Fprintln(a.stderr, err)
		return errFaults
	}
	if err != nil {
		return err
	}
	for _, fault := range summary.Faults {
		fmt.Fprintln(a.stderr, fault)
	}
	if len(summary.Faults) > 0 {
		fmt.Fprintf(a.stderr, "%s is damaged; put a backup in its place, or move it away: what it knew is seen again\n", s.Name())
		return errFaults
	}
	newest := "never"
	if !summary.Newest.IsZero() {
		newest = summary.Newest.Format(time.RFC3339)
	}
	_, err = fmt.Fprintf(a.stdout, "%s is whole: services %d, changes %d, newest observation %s\n", s.Name(), summary.Services, summary.Changes, newest)
	return err
}

// places returns where the state is by default, the first choice first: systemd's
// StateDirectory, the XDG base directory specification's state home, and where a
// service of the system has it.
func (a *app) places() []string {
	variable := func(name string) string {
		for _, v := range a.environ {
			if value, found := strings.CutPrefix(v, name+"="); found {
				return value
			}
		}
		return ""
	}
	var folders []string
	if first, _, _ := strings.Cut(variable("STATE_DIRECTORY"), ":"); first != "" { // systemd.exec(5): a list
		folders = append(folders, first)
	}
	if home := variable("XDG_STATE_HOME"); filepath.IsAbs(home) { // a relative one is to be ignored, the specification says
		folders = append(folders, filepath.Join(home, "mailconfd"))
	} else if home := variable("HOME"); filepath.IsAbs(home) {
		folders = append(folders, filepath.Join(home, ".local", "state", "mailconfd"))
	}
	folders = append(folders, "/var/lib/mailconfd")
	for i, folder := range folders {
		folders[i] = filepath.Join(folder, "mailconfd.db")
	}
	return folders
}

// openState opens the state for a daemon. One that cannot be used now is no error: what
// is seen is kept in memory until it can. One that a newer mailconfd has made is.
func (a *app) openState(ctx context.Context, url string) (monitor.Store, error) {
	if url == "" {
		url = a.defaultState()
	}
	s, err := store.New(url)
	if err != nil {
		return nil, err
	}
	db, ok := s.(*store.SQL)
	if !ok {
		return s, nil
	}
	ctx, cancel := context.WithTimeout(ctx, stateTime)
	defer cancel()
	if err := db.Open(ctx); errors.Is(err, store.ErrNewer) {
		return nil, errors.Join(err, db.Close())
	} else if err == nil {
		a.log.Info("what is seen is kept", "state", db.Name())
	}
	return db, nil // another error comes again, and is told by whom it concerns
}

// defaultState returns the first default place that can be written.
func (a *app) defaultState() string {
	var faults []string
	for _, file := range a.places() {
		err := store.MakeFile(file)
		if err == nil {
			if len(faults) > 0 {
				a.log.Warn("not the first choice of a place for the state", "state", file, "because", strings.Join(faults, "; "))
			}
			return store.URL(file)
		}
		faults = append(faults, err.Error())
	}
	a.log.Warn("what is seen is kept in memory only: a restart forgets it; give --state", "because", strings.Join(faults, "; "))
	return store.InMemory
}

// errNoState is the error of a state that is not there.
var errNoState = errors.New("there is no state yet: mailconfd serve makes it; or give --state")

// stateReader returns the state for reading.
func (a *app) stateReader(url string) (*store.SQL, error) {
	if url == store.InMemory {
		return nil, errors.New("a state in memory cannot be read by another process")
	}
	if url != "" {
		if file, err := store.Path(url); err == nil {
			if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("%s: %w", file, errNoState)
			}
		}
		return store.Reader(url)
	}
	for _, file := range a.places() {
		if _, err := os.Stat(file); err == nil {
			return store.Reader(store.URL(file))
		}
	}
	return nil, errNoState
}

// known is what a state knew when a command read it. A nil one knows nothing.
type known struct {
	app     *app
	name    string
	at      time.Time
	entries map[settings.Service][]monitor.Entry
	logins  []settings.Login
	told    bool
}

// readState returns what the state knows, nil where there is none. That it cannot be read
// is told, and no error.
func (a *app) readState(ctx context.Context, url string) *known {
	s, err := a.stateReader(url)
	if err != nil {
		if !errors.Is(err, errNoState) && url != store.InMemory {
			a.log.Warn("the state cannot be read; looking now", "error", err)
		}
		return nil
	}
	defer func() { _ = s.Close() }()
	ctx, cancel := context.WithTimeout(ctx, stateTime)
	defer cancel()
	entries, _, err := s.Since(ctx, 0)
	var logins []settings.Login
	if err == nil {
		logins, _, err = s.LoginsSince(ctx, 0)
	}
	if err != nil {
		a.log.Warn("the state cannot be read; looking now", "error", err)
		return nil
	}
	k := &known{app: a, name: s.Name(), at: time.Now(), entries: map[settings.Service][]monitor.Entry{}, logins: logins}
	for _, e := range entries {
		k.entries[e.Service] = append(k.entries[e.Service], e)
	}
	return k
}

// of decides what may be published for a provider of the configuration, if all its services
// have been seen lately: by a daemon that still runs.
func (k *known) of(cfg config.Config, provider int) (result settings.Result, fresh bool) {
	if k == nil {
		return result, false
	}
	p, d := cfg.Providers[provider], declared(cfg)
	histories := map[settings.Service]settings.Views{}
	for _, s := range p.Candidates() {
		newest := time.Time{}
		for _, e := range k.entries[s] {
			if at := e.History.Newest.At; at.After(newest) {
				newest = at
			}
		}
		if k.at.Sub(newest) >= cfg.Policy.MaxAge {
			return result, false
		}
		histories[s] = d.Views(k.entries[s])
	}
	if !k.told {
		k.told = true
		fmt.Fprintf(k.app.stderr, "from what mailconfd serve has seen (%s); --probe looks now\n", k.name)
	}
	return settings.Verify(p, histories, k.at, cfg.Policy, loginsOf(cfg, p.Name, k.logins)...), true
}

//go:build real

package real

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"mailconfd/internal/login"
	"mailconfd/internal/monitor"
	"mailconfd/internal/store"
	"mailconfd/internal/store/storetest"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// The tests of the store itself import mailconfd's packages: what they need of the real world is PostgreSQL.

func openStore(t *testing.T, url string) *store.SQL {
	t.Helper()
	s, err := store.New(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s.(*store.SQL)
}

func TestPostgresStore(t *testing.T) {
	p := startPostgres(t)
	storetest.Run(t, func(t *testing.T) monitor.Store { return openStore(t, p.database(t)) })
	storetest.RunLogins(t, func(t *testing.T) login.Store { return openStore(t, p.database(t)) })
}

// Replicas that start at the same time make the schema once.
func TestPostgresReplicasStartTogether(t *testing.T) {
	p := startPostgres(t)
	url := p.database(t)
	var stores []*store.SQL
	for range 6 {
		stores = append(stores, openStore(t, url))
	}
	var all sync.WaitGroup
	for _, s := range stores {
		all.Go(func() {
			if err := s.Open(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	var twice int
	err := p.open(t, url).QueryRowContext(t.Context(), `SELECT count(*) - count(DISTINCT version_id) FROM schema_versions`).Scan(&twice)
	if err != nil || twice != 0 {
		t.Errorf("%d migrations were made twice, %v", twice, err)
	}
}

// A store whose server is down says so in a line, and works once the server is there, whichever came first.
func TestPostgresDown(t *testing.T) {
	p := startPostgres(t)
	url := p.database(t)
	p.stop()
	s := openStore(t, strings.Replace(url, "postgres@", "postgres:secret@", 1))
	fails := func(err error, why string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), why) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%v, want %q, and no password", err, why)
		}
	}
	service := settingstest.Service("imaps://imap.example.org")
	w := monitor.Watcher{Vantage: "here", Owner: "one", Lease: 2 * time.Minute, Interval: 15 * time.Minute}
	now := time.Now()
	fails(s.Declare(t.Context(), w, []settings.Service{service}, now), "connection refused")

	p.start(t)
	if err := s.Declare(t.Context(), w, []settings.Service{service}, now); err != nil {
		t.Fatal(err)
	}
	claims, err := s.Claim(t.Context(), w, now, 9)
	if err != nil || len(claims) != 1 {
		t.Fatalf("claimed %v, %v", claims, err)
	}
	e := claims[0].Entry
	e.History, e.Due = settings.Fold(settingstest.Seen(service, now)), now.Add(time.Minute)
	p.stop()
	_, err = s.Save(t.Context(), claims[0], e)
	fails(err, "terminating connection") // the one that was open
	_, err = s.Save(t.Context(), claims[0], e)
	fails(err, "connection refused")

	p.start(t)
	save := func() error { // a connection that broke meanwhile is told once
		_, err := s.Save(t.Context(), claims[0], e)
		return err
	}
	p.eventually(t, startWithin, "save again", save)
	if err := save(); !errors.Is(err, monitor.ErrLost) {
		t.Errorf("saved twice: %v", err)
	}
	entries, _, err := s.Since(t.Context(), 0)
	if err != nil || len(entries) != 1 || !entries[0].Due.Equal(e.Due.Truncate(time.Millisecond)) {
		t.Errorf("kept %v, %v", entries, err)
	}
}

// A schema that a newer mailconfd made is refused, and what is there for reading only is not changed.
func TestPostgresSchemas(t *testing.T) {
	p := startPostgres(t)
	url := p.database(t)
	reader, err := store.Reader(url)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, _, err := reader.Since(t.Context(), 0); err == nil || !strings.Contains(err.Error(), "mailconfd serve makes it") {
		t.Errorf("reading an empty database: %v", err)
	}
	if err := openStore(t, url).Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := reader.Since(t.Context(), 0); err != nil {
		t.Errorf("reading: %v", err)
	}
	if err := reader.Prune(t.Context(), time.Now(), 1); err == nil || !strings.Contains(err.Error(), "only reads") {
		t.Errorf("writing through a reader: %v", err)
	}
	if _, err := reader.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := reader.Backup(t.Context(), "x"); err == nil || !strings.Contains(err.Error(), "pg_dump") {
		t.Errorf("backup: %v", err)
	}
	if _, err := p.open(t, url).ExecContext(t.Context(), `INSERT INTO schema_versions (version_id, is_applied) VALUES (99, true)`); err != nil {
		t.Fatal(err)
	}
	if err := openStore(t, url).Open(context.Background()); !errors.Is(err, store.ErrNewer) {
		t.Errorf("a newer schema: %v", err)
	}
}

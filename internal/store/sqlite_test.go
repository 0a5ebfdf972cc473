package store_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"mailconfd/internal/monitor"
	"mailconfd/internal/store"
	"mailconfd/internal/store/storetest"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) monitor.Store {
		return open(t, filepath.Join(t.TempDir(), "a folder", "what? #1 %41 ü.db"))
	})
}

func open(t *testing.T, file string) *store.SQL {
	t.Helper()
	s, err := store.New(store.URL(file))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s.(*store.SQL)
}

// watcher is a process at the store.
var watcher = monitor.Watcher{Vantage: "here", Owner: "one", Lease: 2 * time.Minute, Interval: 15 * time.Minute}

// see lets a store keep one observation of each service.
func see(t *testing.T, s monitor.Store, services ...settings.Service) {
	t.Helper()
	if err := s.Declare(t.Context(), watcher, services, settingstest.Now); err != nil {
		t.Fatal(err)
	}
	claims, err := s.Claim(t.Context(), watcher, settingstest.Now, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range claims {
		e := c.Entry
		e.History, e.Due = settings.Fold(settingstest.Seen(c.Service, settingstest.Now)), settingstest.Now.Add(time.Minute)
		if _, err := s.Save(t.Context(), c, e); err != nil {
			t.Fatal(err)
		}
	}
}

var imaps = settingstest.Service("imaps://imap.example.org")

// complains checks an error's words.
func complains(t *testing.T, err error, words ...string) {
	t.Helper()
	for _, w := range words {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("got %v, want %q", err, w)
		}
	}
}

func TestSQLiteIsKept(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "new", "x.db")
	s := open(t, file)
	see(t, s, imaps)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("others may look into the file: %v, %v", info.Mode(), err)
	}
	entries, _, err := open(t, file).Since(t.Context(), 0)
	if err != nil || len(entries) != 1 || !entries[0].History.Success.At.Equal(settingstest.Now) {
		t.Errorf("opened again it has %v, %v", entries, err)
	}
}

// Several processes may open a file at the same moment, and a reader beside them.
func TestSQLiteOpenedTogether(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "x.db")
	var stores []*store.SQL
	for range 4 {
		stores = append(stores, open(t, file))
	}
	var all sync.WaitGroup
	for _, s := range stores {
		all.Go(func() {
			// Who comes second may find the schema half made; it asks again, as the monitor does.
			var err error
			for range 10 {
				if err = s.Open(t.Context()); err == nil {
					return
				}
			}
			t.Error(err)
		})
	}
	all.Wait()
	see(t, stores[0], imaps)
	reader, err := store.Reader(store.URL(file))
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for _, s := range append(stores, reader) {
		if entries, _, err := s.Since(t.Context(), 0); err != nil || len(entries) != 1 {
			t.Errorf("got %v, %v", entries, err)
		}
	}
	complains(t, reader.Prune(t.Context(), settingstest.Now, 1), "not write there")
}

func TestSQLiteInTrouble(t *testing.T) {
	t.Parallel()
	several := settings.Candidates("mail.example.org")
	t.Run("full", func(t *testing.T) {
		t.Parallel()
		s := open(t, filepath.Join(t.TempDir(), "x.db"))
		see(t, s, imaps)
		if _, err := s.DB().ExecContext(t.Context(), "PRAGMA max_page_count = 1"); err != nil {
			t.Fatal(err)
		}
		var all []settings.Service
		for i := range 2000 {
			all = append(all, settings.Service{Scheme: settings.SchemeIMAPS, Host: "imap.example.net", Port: uint16(i + 1)})
		}
		complains(t, s.Declare(t.Context(), watcher, all, settingstest.Now), "x.db: declare services: the disk is full; make room")
		if entries, _, err := s.Since(t.Context(), 0); err != nil || len(entries) != 1 {
			t.Errorf("after that it has %v, %v", entries, err)
		}
	})
	t.Run("locked", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "x.db")
		s, other := open(t, file), open(t, file)
		see(t, s, several...)
		if err := other.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		tx, err := other.DB().BeginTx(t.Context(), nil) // it takes the lock at once
		if err != nil {
			t.Fatal(err)
		}
		complains(t, s.Declare(t.Context(), watcher, several, settingstest.Now), "another process keeps the file locked")
		if entries, _, err := s.Since(t.Context(), 0); err != nil || len(entries) != len(several) {
			t.Errorf("reading it meanwhile: %d, %v", len(entries), err)
		}
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
		if err := s.Declare(t.Context(), watcher, several, settingstest.Now); err != nil {
			t.Errorf("after that: %v", err)
		}
	})
	t.Run("no database", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "x.db")
		garbage := bytes.Repeat([]byte("no database "), 1000)
		if err := os.WriteFile(file, garbage, 0o600); err != nil {
			t.Fatal(err)
		}
		err := open(t, file).Open(t.Context())
		complains(t, err, "x.db: open: the file is damaged")
		if after, _ := os.ReadFile(file); !errors.Is(err, store.ErrDamaged) || !bytes.Equal(after, garbage) {
			t.Errorf("%v, and the file has changed: %t", err, !bytes.Equal(after, garbage))
		}
	})
	t.Run("damaged", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "x.db")
		s := open(t, file)
		see(t, s, several...)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i := len(data) / 2; i < len(data); i++ { // the schema stays
			data[i] = 0xaa
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		summary, err := open(t, file).Check(t.Context())
		if len(summary.Faults) == 0 && !errors.Is(err, store.ErrDamaged) {
			t.Errorf("got %+v, %v, want what is damaged", summary, err)
		}
	})
	t.Run("no folder", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		complains(t, open(t, filepath.Join(file, "x.db")).Open(t.Context()), "file: not a directory")
		complains(t, store.MakeFile(filepath.Join(file, "x.db")), "not a directory")
	})
	t.Run("newer", func(t *testing.T) {
		t.Parallel()
		file := filepath.Join(t.TempDir(), "x.db")
		s := open(t, file)
		see(t, s, imaps)
		if _, err := s.DB().ExecContext(t.Context(), "INSERT INTO schema_versions (version_id, is_applied) VALUES (99, 1)"); err != nil {
			t.Fatal(err)
		}
		_, _, err := open(t, file).Since(t.Context(), 0)
		if complains(t, err, "version 99"); !errors.Is(err, store.ErrNewer) {
			t.Errorf("got %v", err)
		}
	})
}

func TestBackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "x.db"))
	see(t, s, imaps)
	reader, err := store.Reader(s.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	copied := filepath.Join(dir, "copy.db")
	if err := reader.Backup(t.Context(), copied); err != nil {
		t.Fatal(err)
	}
	complains(t, reader.Backup(t.Context(), copied), "is there already")
	if info, err := os.Stat(copied); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("others may look into the copy: %v, %v", info.Mode(), err)
	}
	summary, err := open(t, copied).Check(t.Context())
	if want := (store.Summary{Services: 1, Changes: 1, Newest: settingstest.Now}); err != nil || summary.Services != want.Services ||
		summary.Changes != want.Changes || !summary.Newest.Equal(want.Newest) || summary.Faults != nil {
		t.Errorf("the copy has %+v, %v, want %+v", summary, err, want)
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	for _, state := range []string{"", "x.db", "sqlite:x.db", "sqlite://x.db", "sqlite:///x.db?mode=ro", "sqlite:///", "mysql://u:secret@h/d", "memory", "postgres://u:secret@h:port/d"} {
		_, err := store.New(state)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", state, err)
		}
	}
	for _, state := range []string{store.InMemory, "sqlite:///x.db", "postgres://u@h/d", "postgresql:///d?host=/run/postgresql"} {
		s, err := store.New(state)
		if err != nil {
			t.Errorf("%q: %v", state, err)
			continue
		}
		if err := s.Close(); err != nil {
			t.Errorf("%q: close: %v", state, err)
		}
	}
	if path, err := store.Path(store.URL("/a b/ü?.db")); err != nil || path != "/a b/ü?.db" {
		t.Errorf("got %q, %v", path, err)
	}
}

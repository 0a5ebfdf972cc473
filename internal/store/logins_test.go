package store_test

import (
	"path/filepath"
	"testing"

	"mailconfd/internal/login"
	"mailconfd/internal/store"
	"mailconfd/internal/store/storetest"
)

func TestLoginsInSQLite(t *testing.T) {
	t.Parallel()
	storetest.RunLogins(t, func(t *testing.T) login.Store {
		s, err := store.New(store.URL(filepath.Join(t.TempDir(), "state.db")))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s.(*store.SQL)
	})
}

func TestLoginsInMemory(t *testing.T) {
	t.Parallel()
	storetest.RunLogins(t, func(*testing.T) login.Store { return &login.Memory{} })
}

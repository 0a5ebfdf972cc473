package store_test

import (
	"path/filepath"
	"testing"

	"mailconfd/internal/monitor"
	"mailconfd/internal/store"
	"mailconfd/internal/store/storetest"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) monitor.Store {
		s, err := store.New(store.URL(filepath.Join(t.TempDir(), "a folder", "what? #1 %41.db")))
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

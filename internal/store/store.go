// Package store keeps the schedule and what was seen: in memory, in a file (SQLite), or
// in PostgreSQL, where any number of processes share it. What it must do is declared
// by internal/monitor, and storetest holds every home to it.
//
// It decides nothing about services, and knows no clock.
package store

import (
	"fmt"
	"net/url"
	"strings"

	"mailconfd/internal/monitor"
)

// InMemory is the URL of a store that ends with the process.
const InMemory = "memory:"

// New returns the store of a URL: sqlite:///PATH, postgres://… or InMemory. Nothing is
// opened yet: that the database cannot be reached shows when it is used, and an error
// here means that the URL is wrong.
func New(state string) (monitor.Store, error) {
	if state == InMemory {
		return &Memory{}, nil
	}
	return newSQL(state, false)
}

// Reader returns the store of a URL for reading only: nothing is made or changed, and a
// schema that is not the one of this program is an error. A store in memory has nothing
// to read, and is an error too.
func Reader(state string) (*SQL, error) { return newSQL(state, true) }

func newSQL(state string, readOnly bool) (*SQL, error) {
	scheme, _, _ := strings.Cut(state, ":")
	switch scheme {
	case "sqlite":
		path, err := Path(state)
		if err != nil {
			return nil, err
		}
		return newSQLite(path, readOnly), nil
	case "postgres", "postgresql":
		return newPostgres(state, readOnly)
	}
	return nil, fmt.Errorf("state %q: want sqlite:///PATH, postgres://USER@HOST/DATABASE or %s", scheme+":…", InMemory)
}

// Path returns the file of a sqlite URL.
func Path(state string) (string, error) {
	u, err := url.Parse(state)
	if err != nil || u.Scheme != "sqlite" || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasSuffix(u.Path, "/") || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("state %q: want sqlite:// and the absolute path of a file, such as sqlite:///var/lib/mailconfd/mailconfd.db", state)
	}
	return u.Path, nil
}

// URL returns the sqlite URL of a file.
func URL(path string) string { return (&url.URL{Scheme: "sqlite", Path: path}).String() }

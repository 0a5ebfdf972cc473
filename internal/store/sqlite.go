package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// newSQLite returns the store in a file. It and its folder are made when they are not
// there. One connection does everything: SQLite has one writer, and waits of its own are
// fairer than its locks. Another process that reads, or writes for a moment, is waited for.
func newSQLite(path string, readOnly bool) *SQL {
	parameters := url.Values{
		"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(NORMAL)"},
		"_txlock": {"immediate"}, // a transaction that reads first and then writes would not be waited for
	}
	prepare := func(ctx context.Context, db *sql.DB) error {
		if err := makeFile(path); err != nil {
			return err
		}
		return migrate(ctx, db, sqliteTables, goose.DialectSQLite3)
	}
	if readOnly {
		parameters = url.Values{"_pragma": {"busy_timeout(5000)", "query_only(1)"}, "mode": {"ro"}}
		prepare = func(ctx context.Context, db *sql.DB) error { return expect(ctx, db, sqliteTables) }
	}
	source := url.URL{Scheme: "file", Path: path, RawQuery: parameters.Encode()}
	db, err := sql.Open("sqlite", source.String())
	if err != nil {
		panic("sqlite driver: " + err.Error()) // it is not registered: our own mistake
	}
	db.SetMaxOpenConns(1)
	return &SQL{db: db, name: URL(path), dialect: dialect{prepare: prepare, explain: explainSQLite}}
}

const sqliteTables = `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = $1`

// makeFile makes the file and its folder, for our user and group alone.
func makeFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	return f.Close()
}

// explainSQLite says what an error means for the operator.
func explainSQLite(err error) string {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		if errors.Is(err, fs.ErrPermission) {
			return "this user may not write there; give the folder to it, or another --state"
		}
		return ""
	}
	switch e.Code() & 0xff { // the rest of the code is detail
	case sqlite3.SQLITE_FULL:
		return "the disk is full; make room"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return "this user may read the file and its folder, but not write there; give both to it"
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return "another process keeps the file locked; end it"
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return "the file is damaged, or is no database; stop mailconfd, put a backup in its place or move it away, and start again"
	case sqlite3.SQLITE_CANTOPEN:
		return "the file cannot be opened; its folder must be there, and this user may read and write both"
	case sqlite3.SQLITE_IOERR:
		return "the disk does not work, or is full"
	}
	return ""
}

// Backup writes a copy of a database in a file to another file, which must not exist,
// while others go on working with it.
func (s *SQL) Backup(ctx context.Context, file string) error {
	if s.dialect.skipLocked != "" {
		return fmt.Errorf("state %s: PostgreSQL has its own backup: pg_dump", s.name)
	}
	if err := s.Open(ctx); err != nil {
		return err
	}
	if _, err := os.Stat(file); err == nil {
		return fmt.Errorf("%s is there already; give the name of a new file", file)
	}
	_, err := s.db.ExecContext(ctx, `VACUUM INTO $1`, file)
	return s.wrap("back up to "+file, err)
}

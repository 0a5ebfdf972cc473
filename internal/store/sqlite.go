package store

import (
	"context"
	"database/sql"
	"errors"
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
	parameters := url.Values{ // nothing outside the folder is written: a container may have no /tmp
		"_pragma": {"busy_timeout(5000)", "synchronous(NORMAL)", "temp_store(MEMORY)"},
		"_txlock": {"immediate"}, // a transaction that reads first and then writes would not be waited for
	}
	prepare := func(ctx context.Context, db *sql.DB) error {
		if err := MakeFile(path); err != nil {
			return err
		}
		if err := migrate(ctx, db, sqliteTables, goose.DialectSQLite3); err != nil {
			return err
		}
		// Readers and the writer do not wait for each other then. It is written into the file,
		// so that one which we may not touch must have been told apart before.
		_, err := db.ExecContext(ctx, "PRAGMA journal_mode = WAL")
		return err
	}
	if readOnly {
		parameters = url.Values{"_pragma": {"busy_timeout(5000)", "temp_store(MEMORY)"}, "mode": {"ro"}}
		prepare = func(ctx context.Context, db *sql.DB) error { return expect(ctx, db, sqliteTables) }
	}
	source := url.URL{Scheme: "file", Path: path, RawQuery: parameters.Encode()}
	db, err := sql.Open("sqlite", source.String())
	if err != nil {
		panic("sqlite driver: " + err.Error()) // it is not registered: our own mistake
	}
	db.SetMaxOpenConns(1)
	return &SQL{db: db, name: URL(path), dialect: dialect{check: "PRAGMA integrity_check", prepare: prepare, explain: explainSQLite}}
}

const sqliteTables = `SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = $1`

// MakeFile makes the file of a state and its folder, for our user and group alone, where
// they are not there. An error means that this is no place for a state.
func MakeFile(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return err
	}
	return f.Close()
}

// ErrDamaged is the error of a file that cannot be read.
var ErrDamaged = errors.New("the file is damaged, or is no database; stop mailconfd, put a backup in its place or move it away, and start again")

// explainSQLite says what an error means for the operator.
func explainSQLite(err error) error {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		if errors.Is(err, fs.ErrPermission) {
			return errors.New("this user may not write there; give the folder to it, or another --state")
		}
		return nil
	}
	switch e.Code() & 0xff { // the rest of the code is detail
	case sqlite3.SQLITE_FULL:
		return errors.New("the disk is full; make room")
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return errors.New("this user may read the file and its folder, but not write there; give both to it")
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return errors.New("another process keeps the file locked; end it")
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return ErrDamaged
	case sqlite3.SQLITE_CANTOPEN:
		return errors.New("the file cannot be opened; its folder must be there, and this user may read and write both")
	case sqlite3.SQLITE_IOERR:
		return errors.New("the disk does not work, or is full")
	}
	return nil
}

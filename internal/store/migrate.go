package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

// versionTable is where goose keeps the version of the schema.
const versionTable = "schema_versions"

// ErrNewer is the error of a schema that a newer mailconfd has made. It is left as it is.
var ErrNewer = errors.New("the schema is newer than this program; run the mailconfd that made it, or a later one, or give another --state")

// schema returns the version that the schema has, 0 if there is none yet, and the one
// that this program works with. tables is a query for the number of tables of a name.
func schema(ctx context.Context, db *sql.DB, tables string) (has, wants int64, err error) {
	files, err := migrations.ReadDir("migrations") // they are numbered from 1
	if err != nil {
		return 0, 0, err
	}
	wants = int64(len(files))
	var there int
	if err := db.QueryRowContext(ctx, tables, versionTable).Scan(&there); err != nil {
		return 0, 0, err
	}
	if there > 0 {
		err = db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM `+versionTable).Scan(&has)
	}
	if has > wants {
		err = fmt.Errorf("version %d; this program knows %d: %w", has, wants, ErrNewer)
	}
	return has, wants, err
}

// migrate brings the schema up to date. A locker among the options sees to it that one of
// several processes does. A newer schema is not touched.
func migrate(ctx context.Context, db *sql.DB, tables string, dialect goose.Dialect, options ...goose.ProviderOption) error {
	has, wants, err := schema(ctx, db, tables)
	if err != nil || has == wants {
		return err
	}
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	options = append(options, goose.WithTableName(versionTable), goose.WithDisableGlobalRegistry(true))
	provider, err := goose.NewProvider(dialect, db, files, options...)
	if err != nil {
		return err
	}
	_, err = provider.Up(ctx)
	return err
}

// expect returns an error if the schema is not the one that this program works with.
func expect(ctx context.Context, db *sql.DB, tables string) error {
	has, wants, err := schema(ctx, db, tables)
	if err == nil && has < wants {
		err = fmt.Errorf("version %d of the schema, want %d: mailconfd serve makes it", has, wants)
	}
	return err
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Connections to PostgreSQL. A few do: a save takes milliseconds.
const (
	postgresConnections = 8
	postgresConnectTime = 5 * time.Second
	postgresIdleTime    = 5 * time.Minute
)

// newPostgres returns the store in a PostgreSQL database, which must exist. The URL is
// libpq's, with its parameters; PGPASSFILE and sslmode work as they do there.
func newPostgres(state string, readOnly bool) (*SQL, error) {
	config, err := pgx.ParseConfig(state)
	if err != nil {
		return nil, fmt.Errorf("state: %w", err) // pgx leaves the password out
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = postgresConnectTime
	}
	prepare := func(ctx context.Context, db *sql.DB) error {
		// Of processes that start at the same time, one migrates and the others wait.
		locker, err := lock.NewPostgresSessionLocker()
		if err != nil {
			return err
		}
		return migrate(ctx, db, postgresTables, goose.DialectPostgres, goose.WithSessionLocker(locker))
	}
	if readOnly {
		config.RuntimeParams["default_transaction_read_only"] = "on"
		prepare = func(ctx context.Context, db *sql.DB) error { return expect(ctx, db, postgresTables) }
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(postgresConnections)
	db.SetMaxIdleConns(postgresConnections)
	db.SetConnMaxIdleTime(postgresIdleTime)
	return &SQL{
		db: db, name: redacted(state),
		dialect: dialect{skipLocked: "FOR UPDATE SKIP LOCKED", prepare: prepare, explain: explainPostgres},
	}, nil
}

const postgresTables = `SELECT count(*) FROM pg_catalog.pg_class WHERE oid = to_regclass(CAST($1 AS TEXT))`

// redacted returns a URL without its password, wherever that stands.
func redacted(state string) string {
	u, err := url.Parse(state)
	if err != nil {
		return "postgres://…"
	}
	u.RawQuery, u.Fragment = "", ""
	return u.Redacted()
}

// explainPostgres says what an error means for the operator, where PostgreSQL does not.
// The codes are those of the manual's appendix A.
func explainPostgres(err error) error {
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		return nil
	}
	switch e.Code {
	case "25006": // read_only_sql_transaction
		return errors.New("this server only reads, as a standby does; name all servers in the URL and add target_session_attrs=read-write")
	case "3D000": // invalid_catalog_name
		return errors.New("the database does not exist; make it: createdb")
	case "42501": // insufficient_privilege
		return errors.New("this role may not do that; let it own the schema")
	case "53100": // disk_full
		return errors.New("the server's disk is full")
	}
	return nil
}

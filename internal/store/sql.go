package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"mailconfd/internal/monitor"
	"mailconfd/settings"
)

// SQL is a store in a database. The statements here run on SQLite and on PostgreSQL;
// what differs is in dialect. Nothing is asked of the database before the first method
// is called: it may be down when the process starts, and come later.
type SQL struct {
	db      *sql.DB
	dialect dialect
	name    string // for people; without a password
	opening sync.Mutex
	open    bool // the schema is there; guarded by opening
}

// dialect is what differs between databases.
type dialect struct {
	skipLocked string // ends a SELECT whose rows are then changed
	check      string // finds damage, a line each, or "ok"; "": the database does that itself
	// prepare brings the schema up to date or, for reading, sees that it is.
	prepare func(context.Context, *sql.DB) error
	// explain says what an error means for the operator, and what to do; nil: it says so itself.
	explain func(error) error
}

// Name returns the URL of the database, without a password.
func (s *SQL) Name() string { return s.name }

// Open makes sure that the database can be used: it makes what is missing and brings the
// schema up to date; ErrNewer: it cannot. Every other method does so too, when it is called first.
func (s *SQL) Open(ctx context.Context) error {
	s.opening.Lock()
	defer s.opening.Unlock()
	if s.open {
		return nil
	}
	if err := s.dialect.prepare(ctx, s.db); err != nil {
		return s.wrap("open", err)
	}
	s.open = true
	return nil
}

// Close is monitor.Store's.
func (s *SQL) Close() error { return s.db.Close() }

// wrap says which deed failed, where, and what to do about it.
func (s *SQL) wrap(deed string, err error) error {
	if err == nil || errors.Is(err, monitor.ErrLost) {
		return err
	}
	if advice := s.dialect.explain(err); advice != nil {
		return fmt.Errorf("state %s: %s: %w (%w)", s.name, deed, advice, err)
	}
	return fmt.Errorf("state %s: %s: %w", s.name, deed, err)
}

// change runs f in a transaction.
func (s *SQL) change(ctx context.Context, deed string, f func(*sql.Tx) error) error {
	if err := s.Open(ctx); err != nil {
		return err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return s.wrap(deed, err)
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	if err := f(tx); err != nil {
		return s.wrap(deed, err)
	}
	return s.wrap(deed, tx.Commit())
}

// Declare is monitor.Store's. It holds the generation as a save does, so that two
// declarations follow one another.
func (s *SQL) Declare(ctx context.Context, w monitor.Watcher, services []settings.Service, now time.Time) error {
	return s.change(ctx, "declare services", func(tx *sql.Tx) error {
		generation, err := raise(ctx, tx)
		if err != nil {
			return err
		}
		// A service's row carries the generation of the declaration that last named it.
		for some := range slices.Chunk(compacted(services), declareAtOnce) {
			statement := strings.Builder{}
			statement.WriteString("INSERT INTO entries (vantage, service, declared, due) VALUES ")
			args := []any{w.Vantage, generation, ms(now), ms(now.Add(w.Interval))}
			for i, service := range some {
				fmt.Fprintf(&statement, "%s(CAST($1 AS TEXT), $%d, CAST($2 AS BIGINT), CAST($3 AS BIGINT))", comma(i), len(args)+1)
				args = append(args, service)
			}
			statement.WriteString(` ON CONFLICT (vantage, service) DO UPDATE SET declared = excluded.declared, due =
				CASE WHEN entries.due IS NULL THEN excluded.due WHEN entries.due > $4 THEN $4 ELSE entries.due END`)
			if _, err := tx.ExecContext(ctx, statement.String(), args...); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE entries SET due = NULL WHERE vantage = $1 AND declared <> $2 AND due IS NOT NULL`, w.Vantage, generation)
		return err
	})
}

// declareAtOnce is how many services one statement declares: databases limit its
// parameters.
const declareAtOnce = 500

func comma(i int) string {
	if i == 0 {
		return ""
	}
	return ", "
}

// compacted returns the URLs of the services, each once, in an order that all processes
// have: they lock rows in that order.
func compacted(services []settings.Service) []string {
	urls := make([]string, len(services))
	for i, s := range services {
		urls[i] = s.String()
	}
	slices.Sort(urls)
	return slices.Compact(urls)
}

// raise makes the generation larger. Until the transaction ends, others wait here.
func raise(ctx context.Context, tx *sql.Tx) (generation int64, err error) {
	err = tx.QueryRowContext(ctx, `UPDATE generations SET newest = newest + 1 RETURNING newest`).Scan(&generation)
	return generation, err
}

// Hurry is monitor.Store's.
func (s *SQL) Hurry(ctx context.Context, w monitor.Watcher, due map[settings.Service]time.Time) error {
	if len(due) == 0 {
		return nil
	}
	return s.change(ctx, "hurry services", func(tx *sql.Tx) error {
		for _, service := range slices.SortedFunc(maps.Keys(due), func(a, b settings.Service) int { return cmp.Compare(a.String(), b.String()) }) {
			_, err := tx.ExecContext(ctx, `UPDATE entries SET due = $1 WHERE vantage = $2 AND service = $3 AND due > $1`,
				ms(due[service]), w.Vantage, service.String())
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// columns are those of an entry, as entryOf reads them.
const columns = "service, vantage, due, tries, history, generation"

// Claim is monitor.Store's.
func (s *SQL) Claim(ctx context.Context, w monitor.Watcher, now time.Time, n int) ([]monitor.Claim, error) {
	if err := s.Open(ctx); err != nil {
		return nil, err
	}
	until := now.Add(w.Lease)
	// The rows are picked once and for all before they are changed: as a plain subquery,
	// PostgreSQL may pick again, and lock more than it was asked for.
	rows, err := s.db.QueryContext(ctx, `
		WITH picked AS MATERIALIZED (
			SELECT vantage, service FROM entries
			WHERE vantage = $1 AND (due <= $2 OR due > $3) AND (leased <= $2 OR leased > $4)
			ORDER BY due, service LIMIT $5 `+s.dialect.skipLocked+`
		)
		UPDATE entries SET owner = $6, leased = $7 FROM picked
		WHERE entries.vantage = picked.vantage AND entries.service = picked.service
		RETURNING entries.service, entries.vantage, due, tries, history, generation`,
		w.Vantage, ms(now), ms(now.Add(w.Interval)), ms(now.Add(2*w.Lease)), n, w.Owner, ms(until))
	if err != nil {
		return nil, s.wrap("claim services", err)
	}
	entries, err := entriesOf(rows)
	if err != nil {
		return nil, s.wrap("claim services", err)
	}
	claims := make([]monitor.Claim, len(entries))
	for i, e := range entries {
		claims[i] = monitor.Claim{Entry: e, Owner: w.Owner, Until: moment(ms(until))}
	}
	slices.SortStableFunc(claims, func(a, b monitor.Claim) int { return a.Due.Compare(b.Due) })
	return claims, nil
}

// Save is monitor.Store's.
func (s *SQL) Save(ctx context.Context, c monitor.Claim, e monitor.Entry) (generation int64, err error) {
	history, err := settings.EncodeHistory(e.History)
	if err != nil {
		return 0, err
	}
	newest := e.History.Newest
	err = s.change(ctx, "save what was seen of "+c.Service.String(), func(tx *sql.Tx) error {
		if generation, err = raise(ctx, tx); err != nil {
			return err
		}
		result, err := tx.ExecContext(ctx, `
			UPDATE entries SET history = $1, tries = $2, seen = $3, generation = $4, owner = '', leased = 0,
				due = CASE WHEN due IS NULL THEN NULL ELSE CAST($5 AS BIGINT) END
			WHERE vantage = $6 AND service = $7 AND owner = $8 AND leased = $9 AND owner <> ''`,
			string(history), e.Tries, ms(newest.At), generation, ms(e.Due), c.Vantage, c.Service.String(), c.Owner, ms(c.Until))
		if err != nil {
			return err
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return cmp.Or(err, monitor.ErrLost)
		}
		if monitor.SameOutcome(c.History.Newest, newest) {
			return nil
		}
		observation, err := settings.EncodeObservation(newest)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `INSERT INTO changes (service, generation, vantage, at, observation) VALUES ($1, $2, $3, $4, $5)`,
			c.Service.String(), generation, c.Vantage, ms(newest.At), string(observation))
		return err
	})
	return generation, err
}

// Release is monitor.Store's.
func (s *SQL) Release(ctx context.Context, c monitor.Claim) error {
	return s.change(ctx, "release "+c.Service.String(), func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE entries SET owner = '', leased = 0 WHERE vantage = $1 AND service = $2 AND owner = $3 AND leased = $4`,
			c.Vantage, c.Service.String(), c.Owner, ms(c.Until))
		return err
	})
}

// Since is monitor.Store's. The generation is read first: what is saved between the two
// statements is then read again the next time.
func (s *SQL) Since(ctx context.Context, generation int64) ([]monitor.Entry, int64, error) {
	if err := s.Open(ctx); err != nil {
		return nil, 0, err
	}
	const deed = "read what was seen"
	var newest int64
	if err := s.db.QueryRowContext(ctx, `SELECT newest FROM generations`).Scan(&newest); err != nil {
		return nil, 0, s.wrap(deed, err)
	}
	if newest == generation {
		return nil, newest, nil
	}
	rows, err := s.db.QueryContext(ctx, `SELECT `+columns+` FROM entries WHERE generation > $1`, generation)
	if err != nil {
		return nil, 0, s.wrap(deed, err)
	}
	entries, err := entriesOf(rows)
	return entries, newest, s.wrap(deed, err)
}

// Changes is monitor.Store's.
func (s *SQL) Changes(ctx context.Context, service settings.Service, n int) ([]settings.Observation, error) {
	if err := s.Open(ctx); err != nil {
		return nil, err
	}
	const deed = "read changes"
	rows, err := s.db.QueryContext(ctx, `SELECT observation FROM changes WHERE service = $1 ORDER BY generation DESC LIMIT $2`, service.String(), n)
	if err != nil {
		return nil, s.wrap(deed, err)
	}
	defer func() { _ = rows.Close() }()
	var changes []settings.Observation
	for rows.Next() {
		var data []byte
		if err := rows.Scan(&data); err != nil {
			return nil, s.wrap(deed, err)
		}
		o, err := settings.DecodeObservation(data)
		if err != nil {
			return nil, s.wrap(deed, err)
		}
		changes = append(changes, o)
	}
	return changes, s.wrap(deed, rows.Err())
}

// Prune is monitor.Store's.
func (s *SQL) Prune(ctx context.Context, before time.Time, keep int) error {
	return s.change(ctx, "prune", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `
			DELETE FROM changes WHERE (service, generation) IN (
				SELECT service, generation FROM (
					SELECT service, generation, at, row_number() OVER (PARTITION BY service, vantage ORDER BY generation DESC) AS nth FROM changes
				) AS numbered WHERE nth > $1 OR nth > 1 AND at < $2
			)`, max(keep, 1), ms(before))
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `DELETE FROM entries WHERE generation > 0 AND seen < $1 OR generation = 0 AND due IS NULL`, ms(before))
		return err
	})
}

// ms is a time as the database has it.
func ms(t time.Time) int64 { return t.UnixMilli() }

// moment is a time of the database.
func moment(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

// entriesOf reads all rows, whose columns are columns, and closes them.
func entriesOf(rows *sql.Rows) ([]monitor.Entry, error) {
	defer func() { _ = rows.Close() }()
	var entries []monitor.Entry
	for rows.Next() {
		e, err := entryOf(rows)
		if err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

func entryOf(row *sql.Rows) (e monitor.Entry, err error) {
	var (
		service string
		due     sql.NullInt64
		history []byte
	)
	if err := row.Scan(&service, &e.Vantage, &due, &e.Tries, &history, &e.Generation); err != nil {
		return e, err
	}
	if due.Valid {
		e.Due = moment(due.Int64)
	}
	if len(history) > 0 {
		if e.History, err = settings.DecodeHistory(history); err != nil {
			return e, fmt.Errorf("%s: %w", service, err)
		}
	}
	e.Service, err = settings.ParseService(service)
	return e, err
}

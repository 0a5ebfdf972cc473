package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Backup writes a copy of a state in a file to another file, which must not exist, while
// others go on working with it.
func (s *SQL) Backup(ctx context.Context, file string) error {
	if s.dialect.check == "" {
		return fmt.Errorf("state %s: PostgreSQL has its own way: pg_dump", s.name)
	}
	if err := s.Open(ctx); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640) // as private as the state; SQLite takes an empty file
	switch {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s is there already; give the name of a new file", file)
	case err != nil:
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if _, err = s.db.ExecContext(ctx, `VACUUM INTO $1`, file); err != nil {
		err = errors.Join(s.wrap("back up to "+file, err), os.Remove(file))
	}
	return err
}

// Summary is what is in a state.
type Summary struct {
	Services int       // seen, each once for each vantage
	Changes  int       // kept
	Newest   time.Time // when the newest observation was made; zero: there is none
	Faults   []string  // what is damaged; the rest is then zero
}

// Check reads everything. A state in a file is checked for damage; PostgreSQL does that itself.
func (s *SQL) Check(ctx context.Context) (Summary, error) {
	var summary Summary
	if err := s.Open(ctx); err != nil {
		return summary, err
	}
	if err := s.integrity(ctx, &summary); err != nil || len(summary.Faults) > 0 {
		return summary, s.wrap("check", err)
	}
	entries, _, err := s.Since(ctx, 0)
	if err != nil {
		return summary, err
	}
	summary.Services = len(entries)
	for _, e := range entries {
		if at := e.History.Newest.At; at.After(summary.Newest) {
			summary.Newest = at
		}
	}
	err = s.db.QueryRowContext(ctx, `SELECT count(*) FROM changes`).Scan(&summary.Changes)
	return summary, s.wrap("check", err)
}

// integrity asks the database for damage.
func (s *SQL) integrity(ctx context.Context, summary *Summary) error {
	if s.dialect.check == "" {
		return nil
	}
	rows, err := s.db.QueryContext(ctx, s.dialect.check)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var finding string
		if err := rows.Scan(&finding); err != nil {
			return err
		}
		if finding != "ok" {
			summary.Faults = append(summary.Faults, finding)
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

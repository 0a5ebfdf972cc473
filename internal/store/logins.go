package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"time"

	"mailconfd/settings"
)

// LoginsSince is login.Store's. The generation is read first, as in Since.
func (s *SQL) LoginsSince(ctx context.Context, generation int64) ([]settings.Login, int64, error) {
	if err := s.Open(ctx); err != nil {
		return nil, 0, err
	}
	const deed = "read logins"
	var newest int64
	if err := s.db.QueryRowContext(ctx, `SELECT newest FROM generations`).Scan(&newest); err != nil {
		return nil, 0, s.wrap(deed, err)
	}
	if newest == generation {
		return nil, newest, nil
	}
	rows, err := s.db.QueryContext(ctx, `SELECT login FROM logins WHERE generation > $1`, generation)
	if err != nil {
		return nil, 0, s.wrap(deed, err)
	}
	defer func() { _ = rows.Close() }()
	var logins []settings.Login
	for rows.Next() {
		var data []byte
		var l settings.Login
		if err := rows.Scan(&data); err != nil {
			return nil, 0, s.wrap(deed, err)
		}
		if err := json.Unmarshal(data, &l); err != nil {
			return nil, 0, s.wrap(deed, err)
		}
		logins = append(logins, l)
	}
	return logins, newest, s.wrap(deed, rows.Err())
}

// ClaimLogin is login.Store's.
func (s *SQL) ClaimLogin(ctx context.Context, account string, service settings.Service, now, since time.Time) (mine bool, err error) {
	err = s.change(ctx, "claim a login to "+service.String(), func(tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `
			INSERT INTO logins (account, service, claimed) VALUES ($1, $2, $3)
			ON CONFLICT (account, service) DO UPDATE SET claimed = excluded.claimed
			WHERE logins.claimed <= $4 OR logins.claimed > $5`,
			account, service.String(), ms(now), ms(since), ms(now.Add(time.Hour)))
		if err != nil {
			return err
		}
		n, err := result.RowsAffected()
		mine = n > 0
		return err
	})
	return mine && err == nil, err
}

// SaveLogin is login.Store's.
func (s *SQL) SaveLogin(ctx context.Context, l settings.Login) error {
	data, err := json.Marshal(l)
	if err != nil {
		return err
	}
	return s.change(ctx, "save a login to "+l.Service.String(), func(tx *sql.Tx) error {
		generation, err := raise(ctx, tx)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, `
			INSERT INTO logins (account, service, claimed, generation, login) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (account, service) DO UPDATE SET generation = excluded.generation, login = excluded.login`,
			l.Account, l.Service.String(), ms(l.Tried), generation, string(data))
		return err
	})
}

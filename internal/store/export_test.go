package store

import "database/sql"

// DB lets tests bring a database into trouble.
func (s *SQL) DB() *sql.DB { return s.db }

package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// migrationFiles are named NNNN_what.sql; a file that was released is never
// changed, and there is no way back.
//
//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one step of the tables.
type migration struct {
	version int64
	text    string
}

// migrations returns the steps in order. They must be numbered from 1 without a gap.
func migrations() ([]migration, error) {
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var all []migration
	for i, name := range names {
		number, _, _ := strings.Cut(path.Base(name), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil || version != int64(i+1) {
			return nil, fmt.Errorf("the migration %s is not number %d", name, i+1)
		}
		text, err := fs.ReadFile(migrationFiles, name)
		if err != nil {
			return nil, err
		}
		all = append(all, migration{version, string(text)})
	}
	return all, nil
}

// migrate brings the tables up to date in one transaction, so that of two
// processes that start together one does it and the other finds it done.
func (s *Store) migrate(ctx context.Context) error {
	steps, err := migrations()
	if err != nil {
		return err
	}
	return s.writes.do(ctx, acknowledged, func(t tx) error {
		if _, err := t.exec("CREATE TABLE IF NOT EXISTS schema_migrations (version BIGINT PRIMARY KEY, applied_at BIGINT NOT NULL)"); err != nil {
			return err
		}
		var at int64
		if _, err := t.row("SELECT COALESCE(MAX(version), 0) FROM schema_migrations", nil, &at); err != nil {
			return err
		}
		if latest := int64(len(steps)); at > latest {
			return fmt.Errorf("it was written by a newer version of stagedoor (its tables are of version %d, this one knows %d): run that version or a later one, or restore a backup", at, latest)
		}
		for _, step := range steps[at:] {
			if _, err := s.writes.conn.ExecContext(ctx, step.text); err != nil {
				return fmt.Errorf("migration %d: %w", step.version, err)
			}
			if _, err := t.exec("INSERT INTO schema_migrations (version, applied_at) VALUES ($1, $2)", step.version, millis(s.Now())); err != nil {
				return err
			}
		}
		return nil
	})
}

package config_test

import (
	"strings"
	"testing"

	"mailconfd/config"
)

func TestState(t *testing.T) {
	t.Parallel()
	load := func(state string) (config.Config, error) {
		cfg, _, err := config.Load(config.Options{Environ: []string{"MAILCONFD_STATE=" + state}})
		return cfg, err
	}
	for _, state := range []string{
		"", "memory:", "sqlite:///var/lib/mailconfd/mailconfd.db", "sqlite:///a%20folder/with%3Fmark.db",
		"postgres://mailconfd@db.example.org/mailconfd?sslmode=verify-full", "postgresql:///mailconfd?host=/run/postgresql",
		"postgres://u:secret@one.example.org:5432,two.example.org:5433/d?target_session_attrs=read-write",
	} {
		if cfg, err := load(state); err != nil || cfg.State != state {
			t.Errorf("%q: got %q, %v", state, cfg.State, err)
		}
	}
	for _, state := range []string{
		"memory", "memory://", "sqlite:", "sqlite://", "sqlite:///", "sqlite://var/lib/x.db", "sqlite:///x.db?mode=ro", "sqlite:///folder/", "/var/lib/x.db",
		"x.db", "mysql://u:secret@h/d", "postgres:u:secret@h/d", "://secret", "file:///x.db",
	} {
		switch _, err := load(state); {
		case err == nil:
			t.Errorf("%q is taken", state)
		case strings.Contains(err.Error(), "secret"):
			t.Errorf("the message repeats a password: %v", err)
		}
	}
}

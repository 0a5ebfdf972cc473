//go:build real

package real

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// program is the path of the mailconfd under test, which "make test-real" builds.
func program(t *testing.T) string {
	t.Helper()
	path := os.Getenv("REAL_MAILCONFD")
	if path == "" {
		t.Fatal("REAL_MAILCONFD must hold the path of the mailconfd to test; run the tests by \"make test-real\"")
	}
	return path
}

// Where serve listens: the namespace is ours alone, so any port will do.
const (
	publicAddress = "127.0.0.1:8080"
	adminAddress  = "127.0.0.1:9090"
)

// configFile writes the configuration of a small provider that looks every second and steps back after two failures.
func configFile(t *testing.T, w *world) string {
	t.Helper()
	file := filepath.Join(w.dir, "mailconfd.yaml")
	writeFile(t, file, fmt.Sprintf(`
listen: [%q]
admin_listen: %q
state: "sqlite://%s/state.db"
resolver: %q
probe:
  interval: 1s
  ca_file: %q
  helo: client.example.test
policy:
  withdraw_after: 2
  withdraw_after_time: 0s
providers:
  - name: main
    display_name: Example Mail
    short_name: Example
    hosts: [%q]
domains:
  - name: %s
    provider: main
`, publicAddress, adminAddress, w.dir, w.resolver, w.authority.rootFile, mailName, domain), 0o644)
	return file
}

// serve starts "mailconfd serve" and returns when it publishes the first documents.
func serve(t *testing.T, w *world) *daemon {
	t.Helper()
	d := startDaemon(t, "mailconfd", w.dir, exec.Command(program(t), "serve", "--config", configFile(t, w)))
	d.eventually(t, startWithin, "publish a first answer", func() error {
		_, err := fetch(autoconfigRequest)
		return err
	})
	return d
}

// run runs mailconfd to its end and returns what it printed; the exit code must be the expected one.
func run(t *testing.T, exitCode int, arguments ...string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, program(t), arguments...)
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if got := command.ProcessState.ExitCode(); got != exitCode {
		t.Fatalf("mailconfd %q: exit code %d, want %d\nstdout:\n%s\nstderr:\n%s",
			arguments, got, exitCode, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes()
}

// round is what "probe --format json" prints.
type round struct {
	Vantage  string    `json:"vantage"`
	Services []service `json:"services"`
}

type service struct {
	Service   string     `json:"service"`
	Verified  bool       `json:"verified"`
	Basis     string     `json:"basis"`
	TLS       *facts     `json:"tls"`
	Auth      []string   `json:"auth"`
	Path      string     `json:"path"`
	Failure   *remark    `json:"failure"`
	Warnings  []remark   `json:"warnings"`
	Addresses []sighting `json:"addresses"`
}

type facts struct {
	Version      string    `json:"version"`
	SubjectNames []string  `json:"subject_names"`
	NotAfter     time.Time `json:"not_after"`
	SPKISHA256   string    `json:"spki_sha256"`
}

type remark struct {
	Kind   string `json:"kind"`
	Detail string `json:"detail"`
}

type sighting struct {
	IP       string  `json:"ip"`
	Verified bool    `json:"verified"`
	Failure  *remark `json:"failure"`
}

// probe runs "mailconfd probe" for a host or for services.
func probe(t *testing.T, w *world, exitCode int, targets ...string) []service {
	t.Helper()
	arguments := append([]string{
		"probe", "--format", "json", "--ca-file", w.authority.rootFile, "--resolver", w.resolver,
	}, targets...)
	out := run(t, exitCode, arguments...)
	var result round
	if err := json.Unmarshal(out, &result); err != nil {
		t.Fatalf("what probe printed: %v\n%s", err, out)
	}
	return result.Services
}

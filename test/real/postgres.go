//go:build real

package real

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// postgresPort is where the tests' PostgreSQL listens on 127.0.0.1: the namespace is ours alone.
const postgresPort = "5432"

// postgres is Debian's PostgreSQL with a cluster of its own in a temporary directory, run as the user postgres. It
// believes everybody: it listens in our namespace only. What was committed survives kill and start.
type postgres struct {
	*daemon
	dir       string
	programs  string // the directory of initdb and postgres
	databases atomic.Int64
}

// startPostgres makes a cluster and starts a server on it, which is stopped when the test ends.
func startPostgres(t *testing.T) *postgres {
	t.Helper()
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil || len(found) == 0 {
		t.Fatalf("no PostgreSQL in /usr/lib/postgresql (%v); test/real/install.sh installs it", err)
	}
	p := &postgres{dir: publicDir(t), programs: filepath.Dir(slices.Max(found))}
	if err := os.Chmod(p.dir, 0o777); err != nil { // the user postgres writes there
		t.Fatal(err)
	}
	initdb := p.asPostgres("initdb", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--pgdata="+p.cluster())
	if output, err := initdb.CombinedOutput(); err != nil {
		t.Fatalf("initdb: %v\n%s", err, output)
	}
	p.start(t)
	return p
}

func (p *postgres) cluster() string { return filepath.Join(p.dir, "cluster") }

// asPostgres runs a program of PostgreSQL as its user: it refuses to run as root.
func (p *postgres) asPostgres(program string, arguments ...string) *exec.Cmd {
	command := exec.Command("setpriv", append([]string{
		"--reuid=postgres", "--regid=postgres", "--init-groups", filepath.Join(p.programs, program),
	}, arguments...)...)
	command.Dir = p.dir
	return command
}

// start starts the server, again after a stop or a kill, and waits until it answers.
func (p *postgres) start(t *testing.T) {
	t.Helper()
	p.daemon = startDaemon(t, "postgres", p.dir, p.asPostgres("postgres", "-D", p.cluster(),
		"-c", "listen_addresses=127.0.0.1", "-c", "port="+postgresPort, "-c", "unix_socket_directories="+p.dir,
		"-c", "max_connections=200"))
	t.Cleanup(p.stop)
	p.eventually(t, startWithin, "answer", func() error {
		db, err := sql.Open("pgx", p.url("postgres"))
		if err != nil {
			return err
		}
		defer db.Close()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		return db.PingContext(ctx)
	})
}

// stop ends the server without waiting for its clients, as SIGINT asks it to; at SIGTERM it would.
func (p *postgres) stop() {
	_ = syscall.Kill(p.command.Process.Pid, syscall.SIGINT)
	select {
	case <-p.done:
	case <-time.After(stopWithin):
		p.daemon.stop()
	}
}

func (p *postgres) url(database string) string {
	return "postgres://postgres@" + net.JoinHostPort("127.0.0.1", postgresPort) + "/" + database
}

// database makes a new, empty database and returns its URL.
func (p *postgres) database(t *testing.T) string {
	t.Helper()
	db := p.open(t, p.url("postgres"))
	name := fmt.Sprintf("test_%d", p.databases.Add(1))
	if _, err := db.ExecContext(t.Context(), "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	return p.url(name)
}

// open opens a database for the test's own questions.
func (p *postgres) open(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

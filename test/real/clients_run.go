//go:build real

package real

import (
	"context"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// clientScripts work the clients that have no command line; each says how it is called.
//
//go:embed clients/*.py clients/evolution.c clients/kde.sh
var clientScripts embed.FS

// clientEndsWithin is how long a client may take for one address. None needs more than two seconds here.
const clientEndsWithin = 90 * time.Second

// clientMachine makes what a client sees as its own machine: a home, a directory for temporary files, a list of
// trusted certificates, a name, and no process but its own, so that all of them end with the client.
const clientMachine = `
mount --bind "$1" /mnt
mount --bind /mnt/trust /etc/ssl/certs
mount --bind /mnt/tmp /tmp
hostname client.example.test
cd /mnt
shift
exec "$@"`

// runClient runs a command to its end as a person would who has just come to this machine, and returns what it
// printed. The scripts are in its working directory. A client that falls over its own feet may start anew, once, as
// a person would: Geary 43 loses the account that it is saving now and then ("invalid unclassed pointer in cast").
func runClient(t *testing.T, w *world, command ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, err := startClient(t, w, command...)
	if err != nil {
		t.Logf("%v; once more", err)
		stdout, stderr, err = startClient(t, w, command...)
	}
	if err != nil {
		t.Fatal(err)
	}
	return stdout, stderr
}

// startClient runs a client once, in a home of its own; an error holds all that it printed.
func startClient(t *testing.T, w *world, command ...string) (stdout, stderr string, err error) {
	t.Helper()
	home := clientHome(t, w)
	ctx, cancel := context.WithTimeout(context.Background(), clientEndsWithin)
	defer cancel()
	client := exec.CommandContext(ctx, "unshare", append([]string{
		"--mount", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-euc", clientMachine, "sh", home,
	}, command...)...)
	client.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	client.Env = []string{
		"HOME=/mnt", "XDG_RUNTIME_DIR=/mnt/run", "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "TERM=screen",
		"QT_QPA_PLATFORM=offscreen", "QT_LOGGING_RULES=org.kde.pim.*=true", // KDE without a screen, and talkative
		"GSETTINGS_BACKEND=memory",                              // GNOME without a daemon for settings
		"REQUESTS_CA_BUNDLE=/etc/ssl/certs/ca-certificates.crt", // Python's requests has a list of its own otherwise
	}
	// Files and not pipes, which a helper of the client could hold open.
	outputs := []string{filepath.Join(home, "stdout"), filepath.Join(home, "stderr")}
	for i, path := range outputs {
		output, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		defer output.Close()
		if i == 0 {
			client.Stdout = output
		} else {
			client.Stderr = output
		}
	}
	err = client.Run()
	stdout, stderr = readFile(t, outputs[0]), readFile(t, outputs[1])
	if err != nil {
		err = fmt.Errorf("%s: %w (%v)\nstdout:\n%s\nstderr:\n%s", strings.Join(command, " "), err, ctx.Err(), stdout, stderr)
	}
	return stdout, stderr, err
}

// clientHome makes a home without any trace of an earlier client.
func clientHome(t *testing.T, w *world) string {
	t.Helper()
	home, err := os.MkdirTemp(w.dir, "client-")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"run", "tmp", "trust"} {
		if err := os.Mkdir(filepath.Join(home, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(home, "trust", "ca-certificates.crt"), certificatePEM(w.authority.root), 0o644)
	scripts, err := clientScripts.ReadDir("clients")
	if err != nil {
		t.Fatal(err)
	}
	for _, script := range scripts {
		content, err := clientScripts.ReadFile("clients/" + script.Name())
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, filepath.Join(home, script.Name()), string(content), 0o644)
	}
	return home
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// keyFile reads a file of settings as desktop programs write them: groups in brackets, and name=value. The result is
// by "group/name", and by "/name" before the first group.
func keyFile(content string) map[string]string {
	values, group := map[string]string{}, ""
	for line := range strings.Lines(content) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			group = strings.Trim(line, "[]")
		} else if name, value, ok := strings.Cut(line, "="); ok {
			values[group+"/"+strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
	return values
}

//go:build real

package real

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// startWithin is how long a server may take until it answers, and stopWithin how long after SIGTERM it may live.
const (
	startWithin = 30 * time.Second
	stopWithin  = 10 * time.Second
)

// settleWithin is how long a change at the servers may take until it is published: two rounds with the probes' own
// time, and room for a busy machine.
const settleWithin = 30 * time.Second

// daemon is a program in the foreground, with a process group of its own and its output in a file.
type daemon struct {
	name    string
	command *exec.Cmd
	log     string        // path
	noise   string        // lines with it are left out of the end of the output; "" is none
	done    chan struct{} // closed when the program has ended
}

// startDaemon starts a program that is stopped when the test ends; should the test binary die, the kernel kills it.
// When the test has failed by then, the end of the program's output is part of the message.
// Output goes to a file and not through a pipe, because a pipe that a grandchild holds would keep Wait from returning.
func startDaemon(t *testing.T, name, dir string, command *exec.Cmd) *daemon {
	t.Helper()
	d := &daemon{name: name, command: command, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	output, err := os.Create(d.log)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(d.done)
		_ = command.Wait() // how it ended stands in command.ProcessState
	}()
	t.Cleanup(func() {
		d.stop()
		if t.Failed() {
			t.Logf("%s, the end of its output (%v):\n%s", name, command.ProcessState, d.tail())
		}
	})
	return d
}

// stop ends the process group: SIGTERM first, SIGKILL when that does not help.
func (d *daemon) stop() {
	_ = syscall.Kill(-d.command.Process.Pid, syscall.SIGTERM)
	select {
	case <-d.done:
	case <-time.After(stopWithin):
	}
	_ = syscall.Kill(-d.command.Process.Pid, syscall.SIGKILL) // what is left of the group
	<-d.done
}

// tail is the end of what the program has written.
func (d *daemon) tail() string {
	content, err := os.ReadFile(d.log)
	if err != nil {
		return err.Error()
	}
	if d.noise != "" {
		lines := strings.SplitAfter(string(content), "\n")
		lines = slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, d.noise) || line == "\n" })
		content = []byte(strings.Join(lines, ""))
	}
	const most = 8 << 10
	if len(content) > most {
		content = content[len(content)-most:]
	}
	return strings.TrimSpace(string(content))
}

// waitForPorts waits until the mail host accepts connections on all ports, on both of its addresses.
func (d *daemon) waitForPorts(t *testing.T, ports ...string) {
	t.Helper()
	for _, host := range []string{mailIPv4, mailIPv6} {
		for _, port := range ports {
			address := net.JoinHostPort(host, port)
			d.eventually(t, startWithin, "connect to "+address, func() error {
				connection, err := net.DialTimeout("tcp", address, time.Second)
				if err != nil {
					return err
				}
				return connection.Close()
			})
		}
	}
}

// eventually asks again and again until check has no complaint. It fails the test with the last complaint when time is
// up or the program, which should bring the thing about, has ended.
func (d *daemon) eventually(t *testing.T, within time.Duration, deed string, check func() error) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-again.C:
		case <-d.done:
			t.Fatalf("%s: %s has ended (%v): %v", deed, d.name, d.command.ProcessState, err)
		case <-deadline.C:
			t.Fatalf("%s: still not after %v: %v", deed, within, err)
		}
	}
}

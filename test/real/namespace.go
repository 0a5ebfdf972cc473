//go:build real

package real

import (
	"context"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// The addresses of the two machines, from the ranges for documentation (RFC 5737, RFC 3849): public ones to any
// program, and nobody's.
const (
	clientIPv4 = "198.51.100.1"
	clientIPv6 = "2001:db8::1"
	mailIPv4   = "198.51.100.10"
	mailIPv6   = "2001:db8::10"
)

// machine is a network namespace that is joined to ours by a cable, a veth pair.
type machine struct {
	pid int // of the process that keeps the namespace
}

// newMailHost makes the machine of mail.example.test and removes it when the test ends.
func newMailHost(t *testing.T) *machine {
	t.Helper()
	requireOwnNamespace(t)
	keeper := exec.Command("sleep", "infinity")
	keeper.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if err := keeper.Start(); err != nil {
		t.Fatalf("make a network namespace (this needs root): %v", err)
	}
	t.Cleanup(func() {
		_ = keeper.Process.Kill()
		_ = keeper.Wait() // always says "killed"
	})
	m := &machine{pid: keeper.Process.Pid}
	ip(t, "link", "add", "client0", "type", "veth", "peer", "name", "mail0", "netns", strconv.Itoa(m.pid))
	t.Cleanup(func() { ip(t, "link", "del", "client0") }) // at once; by itself it goes some time after the namespace
	ip(t, "addr", "add", clientIPv4+"/24", "dev", "client0")
	ip(t, "addr", "add", clientIPv6+"/64", "dev", "client0", "nodad")
	ip(t, "link", "set", "client0", "up")
	m.ip(t, "addr", "add", mailIPv4+"/24", "dev", "mail0")
	m.ip(t, "addr", "add", mailIPv6+"/64", "dev", "mail0", "nodad")
	m.ip(t, "link", "set", "lo", "up")
	m.ip(t, "link", "set", "mail0", "up")
	return m
}

// requireOwnNamespace stops a test that was not started in a namespace of its own: it must not put cables into the
// machine that a person works on.
func requireOwnNamespace(t *testing.T) {
	t.Helper()
	interfaces, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagUp != 0 && i.Flags&net.FlagLoopback == 0 {
			t.Fatalf("network interface %s is up: this is no network namespace of our own; run the tests by \"make test-real\"", i.Name)
		}
	}
}

// command is exec.CommandContext on that machine.
func (m *machine) command(ctx context.Context, name string, arguments ...string) *exec.Cmd {
	enter := []string{"--target", strconv.Itoa(m.pid), "--net", name}
	return exec.CommandContext(ctx, "nsenter", append(enter, arguments...)...)
}

// ip runs iproute2's ip on that machine.
func (m *machine) ip(t *testing.T, arguments ...string) {
	t.Helper()
	finish(t, m.command(context.Background(), "ip", arguments...))
}

// ip runs iproute2's ip on the machine of the tests.
func ip(t *testing.T, arguments ...string) {
	t.Helper()
	finish(t, exec.Command("ip", arguments...))
}

// finish runs a command to its end, which must be a good one.
func finish(t *testing.T, command *exec.Cmd) {
	t.Helper()
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command.Args, " "), err, out)
	}
}

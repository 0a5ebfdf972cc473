//go:build real

// Package real drives the built mailconfd against the mail servers that people run: Dovecot for IMAP, POP3 and
// ManageSieve, Postfix for submission, both from Debian 12, started by the tests with configurations of their own. It
// shows what mailconfd serves to real mail clients, such as Thunderbird.
//
// The tests see a small internet of two machines, each a network namespace:
//
//	198.51.100.1, 2001:db8::1      the tests, mailconfd, mail clients, a DNS server on 127.0.0.1:53
//	198.51.100.10, 2001:db8::10    mail.example.test: Dovecot and Postfix on their real ports
//
// Two machines, because one is not the truth: Dovecot takes a client with the server's own address as secured and
// offers it passwords in clear, and mailconfd marks what it sees on an address of its own machine as local.
//
// The package imports nothing of mailconfd: it knows the program by its command line, its HTTP answers and its output.
// Only the tests of the store on PostgreSQL and those of reliability import it.
// A server that does not start is a failure, never a skip. Run it with "make test-real"; README.md says more.
package real

import (
	"os"
	"testing"
)

// domain is the mail domain of the tests and mailName the name of its only mail server.
const (
	domain   = "example.test"
	mailName = "mail.example.test"
)

// world is everything outside of mailconfd that a test needs, up and answering.
type world struct {
	dir         string // of this test alone; servers that have dropped their rights can read it
	authority   *authority
	certificate certificate // of the mail server
	mailHost    *machine
	names       *nameServer
	resolver    string // HOST:PORT of names
	users       string // who may log in, as Dovecot's passdb has it
	postfix     *postfix
}

// newWorld starts the servers and stops them when the test ends. Ports and addresses are fixed, so tests that need a
// world run one after the other.
func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOf(t, anyUser)
}

// newWorldOf is newWorld where only some may log in.
func newWorldOf(t *testing.T, users string) *world {
	t.Helper()
	w := &world{dir: publicDir(t), users: users}
	w.authority = newAuthority(t, w.dir, "Trusted")
	w.certificate = w.authority.issue(t, mailName)
	w.mailHost = newMailHost(t)
	w.names, w.resolver = startNameServer(t, zoneFile("")), resolver
	w.postfix = newPostfix(t, w)
	startDovecot(t, w)
	w.postfix.start(t)
	return w
}

// publicDir makes a directory that any user may enter, unlike t.TempDir. Its path is short, because the path of a
// Unix socket has 107 bytes at most.
func publicDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "real-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// writeFile writes a file of the test.
func writeFile(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

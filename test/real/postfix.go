//go:build real

package real

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// postfix is the submission server of the mail host. Its logins are Dovecot's.
type postfix struct {
	host   *machine
	dir    string // of all tests' files
	config string // directory of main.cf and master.cf
	queue  string
	daemon *daemon
}

// listener is a line of master.cf: a port and how it differs from the settings in main.cf.
type listener struct {
	port    string
	service string   // "" is smtpd
	options []string // "name = value"
}

// The healthy listeners, under the names that Postfix's own master.cf has for them.
var (
	submission     = listener{port: "587"}
	submission2525 = listener{port: "2525"}
	submissions    = listener{port: "465", options: []string{"smtpd_tls_wrappermode = yes"}}
)

// newPostfix writes the configuration and makes the queue; start runs it.
func newPostfix(t *testing.T, w *world) *postfix {
	t.Helper()
	dir := filepath.Join(w.dir, "postfix")
	p := &postfix{host: w.mailHost, dir: w.dir, config: filepath.Join(dir, "etc"), queue: filepath.Join(dir, "queue")}
	for _, d := range []string{dir, p.config, p.queue} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, filepath.Join(p.config, "main.cf"), fmt.Sprintf(`
compatibility_level = 3.6
queue_directory = %[1]s
data_directory = %[2]s/data
maillog_file = /dev/stdout

myhostname = %[3]s
smtpd_banner = $myhostname ESMTP $mail_name (Debian/GNU)
mydestination =
mynetworks =
alias_maps =
inet_protocols = all
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_sasl_authenticated, reject
# What is sent, to whomever, goes to Dovecot.
default_transport = lmtp:unix:private/dovecot-lmtp

smtpd_tls_chain_files = %[4]s
smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = private/auth
`, p.queue, dir, mailName, w.certificate.file), 0o644)
	p.writeMaster(t, submission, submission2525, submissions)
	finish(t, p.command("check")) // makes the directories of the queue, Dovecot needs private
	return p
}

// loginSocket is where Postfix asks Dovecot whether a password is right.
func (p *postfix) loginSocket() string { return filepath.Join(p.queue, "private", "auth") }

// deliverySocket is where Postfix hands Dovecot what was sent.
func (p *postfix) deliverySocket() string { return filepath.Join(p.queue, "private", "dovecot-lmtp") }

// start runs Postfix and returns when its healthy listeners answer.
func (p *postfix) start(t *testing.T) {
	t.Helper()
	p.daemon = startDaemon(t, "postfix", p.dir, p.command("start-fg"))
	p.daemon.waitForPorts(t, submission.port, submission2525.port, submissions.port)
}

// listen makes exactly these listeners Postfix's own: others are closed, new ones opened. It returns when the new ones
// answer; the old ones may take a moment more.
func (p *postfix) listen(t *testing.T, listeners ...listener) {
	t.Helper()
	p.writeMaster(t, listeners...)
	finish(t, p.command("reload"))
	for _, l := range listeners {
		p.daemon.waitForPorts(t, l.port)
	}
}

func (p *postfix) command(verb string) *exec.Cmd {
	return p.host.command(context.Background(), "/usr/sbin/postfix", "-c", p.config, verb)
}

// master is the part of master.cf that no listener changes: Debian's services, none in a chroot.
const master = `
pickup    unix  n - n 60    1 pickup
cleanup   unix  n - n -     0 cleanup
qmgr      unix  n - n 300   1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
tlsproxy  unix  - - n -     0 tlsproxy
rewrite   unix  - - n -     - trivial-rewrite
bounce    unix  - - n -     0 bounce
defer     unix  - - n -     0 bounce
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n -     - proxymap
showq     unix  n - n -     - showq
error     unix  - - n -     - error
lmtp      unix  - - n -     - lmtp
anvil     unix  - - n -     1 anvil
postlog   unix-dgram n - n - 1 postlogd
# What postscreen hands its clients to: the smtpd of a port for relay.
smtpd-without-login pass - - n - - smtpd
  -o smtpd_sasl_auth_enable=no
`

// writeMaster writes master.cf.
func (p *postfix) writeMaster(t *testing.T, listeners ...listener) {
	t.Helper()
	var content strings.Builder
	content.WriteString(master)
	for _, l := range listeners {
		service, most := l.service, "-"
		switch service {
		case "":
			service = "smtpd"
		case "postscreen":
			most = "1" // Postfix allows one process
		}
		fmt.Fprintf(&content, "%s inet n - n - %s %s\n  -o syslog_name=postfix/%s\n", l.port, most, service, l.port)
		for _, option := range l.options {
			fmt.Fprintf(&content, "  -o { %s }\n", option)
		}
	}
	writeFile(t, filepath.Join(p.config, "master.cf"), content.String(), 0o644)
}

//go:build real

package real

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Cyrus's host, another address of the machine of the mail host.
const (
	cyrusName = "dav.example.test"
	cyrusIPv4 = "198.51.100.11"
)

// startCyrus starts Cyrus's web server for CalDAV, CardDAV and JMAP and returns when it answers. Its user is
// jane@example.test, who has a mailbox: with the first login come a calendar and an address book. Cyrus has no log but
// syslog.
func startCyrus(t *testing.T, w *world) {
	t.Helper()
	dir := filepath.Join(w.dir, "cyrus")
	finish(t, exec.Command("install", "-d", "-o", "cyrus", "-g", "mail", dir, dir+"/config", dir+"/config/socket", dir+"/spool"))
	certificate := w.authority.issue(t, cyrusName).file
	finish(t, exec.Command("chown", "cyrus", certificate))
	config, services := filepath.Join(dir, "imapd.conf"), filepath.Join(dir, "cyrus.conf")
	writeFile(t, config, fmt.Sprintf(`
configdirectory: %[1]s/config
partition-default: %[1]s/spool
defaultpartition: default
proc_path: %[1]s/proc
mboxname_lockpath: %[1]s/lock
lmtpsocket: %[1]s/lmtp
duplicate_db_path: %[1]s/deliver.db
statuscache_db_path: %[1]s/statuscache.db
httpmodules: caldav carddav jmap
conversations: yes
virtdomains: userid
unixhierarchysep: yes
altnamespace: yes
autocreate_quota: 0
autocreate_post: yes
sasl_mech_list: PLAIN
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: %[1]s/users
tls_server_cert: %[2]s
tls_server_key: %[2]s
`, dir, certificate), 0o644)
	writeFile(t, services, fmt.Sprintf(`
START {
}
SERVICES {
  lmtp  cmd="lmtpd -C %[1]s" listen="%[2]s/lmtp" prefork=0
  https cmd="httpd -s -C %[1]s" listen="%[3]s:443" prefork=0
}
EVENTS {
}
`, config, dir, cyrusIPv4), 0o644)
	asCyrus := func(input string, arguments ...string) error {
		command := exec.Command("setpriv", append([]string{"--reuid=cyrus", "--regid=mail", "--clear-groups"}, arguments...)...)
		command.Stdin = strings.NewReader(input)
		out, err := command.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%s: %w\n%s", arguments[0], err, out)
		}
		return err
	}
	if err := asCyrus(password, "saslpasswd2", "-p", "-c", "-f", dir+"/users", "-u", domain, "jane"); err != nil {
		t.Fatal(err)
	}
	w.mailHost.ip(t, "addr", "add", cyrusIPv4+"/24", "dev", "mail0")
	d := startDaemon(t, "cyrus", w.dir, w.mailHost.command(context.Background(),
		"/usr/lib/cyrus/bin/master", "-D", "-C", config, "-M", services, "-p", dir+"/pid"))
	d.answersTLS(t, cyrusIPv4)
	d.eventually(t, startWithin, "listen for mail", func() error { _, err := os.Stat(dir + "/lmtp"); return err })
	if err := asCyrus("Subject: welcome\r\n\r\n", "/usr/lib/cyrus/bin/deliver", "-C", config, "jane@"+domain); err != nil {
		t.Fatal(err)
	}
}

// answersTLS waits until TLS works on port 443 of the address.
func (d *daemon) answersTLS(t *testing.T, address string) {
	t.Helper()
	d.eventually(t, startWithin, "speak TLS", func() error {
		dialer := &net.Dialer{Timeout: time.Second}
		connection, err := tls.DialWithDialer(dialer, "tcp", address+":443", &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return err
		}
		return connection.Close()
	})
}

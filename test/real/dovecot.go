//go:build real

package real

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// password is the one that Dovecot takes from every user name. Its configuration has no way to write a blank here.
const password = "correct-horse"

// anyUser lets everybody in who knows the password.
const anyUser = "driver = static\n  args = password=" + password

// homes is the directory where each user's mail is, in NAME/mail, a maildir.
func (w *world) homes() string { return filepath.Join(w.dir, "dovecot", "homes") }

// startDovecot starts IMAP on 143 and 993, POP3 on 110 and 995 and ManageSieve on 4190 of the mail host, and in
// Postfix's private directory the login service and LMTP, for what was sent. It returns when all answer. Users whose
// addresses begin alike, up to the @, have one mailbox: then the user name may be the address or its local part.
func startDovecot(t *testing.T, w *world) *daemon {
	t.Helper()
	dir := filepath.Join(w.dir, "dovecot")
	homes := w.homes()
	if err := os.MkdirAll(homes, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(homes, 0o777); err != nil { // Dovecot makes each user's directory as the user
		t.Fatal(err)
	}
	file := filepath.Join(dir, "dovecot.conf")
	writeFile(t, file, fmt.Sprintf(`
# A provider's usual settings: nothing without TLS.
protocols = imap pop3 sieve lmtp
listen = *, ::
ssl = required
ssl_cert = <%[1]s
ssl_key = <%[1]s
disable_plaintext_auth = yes
auth_mechanisms = plain login

base_dir = %[2]s/run
state_dir = %[2]s/state
log_path = /dev/stderr
first_valid_uid = 1
mail_location = maildir:~/mail

passdb {
  %[3]s
}
userdb {
  driver = static
  args = uid=mail gid=mail home=%[2]s/homes/%%n allow_all_users=yes
}
service auth {
  unix_listener %[4]s {
    mode = 0600
    user = postfix
    group = postfix
  }
}
service lmtp {
  unix_listener %[5]s {
    mode = 0600
    user = postfix
    group = postfix
  }
}
`, w.certificate.file, dir, w.users, w.postfix.loginSocket(), w.postfix.deliverySocket()), 0o644)
	d := startDaemon(t, "dovecot", w.dir, w.mailHost.command(context.Background(), "/usr/sbin/dovecot", "-F", "-c", file))
	d.waitForPorts(t, "143", "993", "110", "995", "4190")
	return d
}

//go:build real

package real

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
)

// Radicale's host, another address of the machine of the mail host.
const (
	radicaleName = "radicale.example.test"
	radicaleIPv4 = "198.51.100.12"
)

// startRadicale starts Radicale, which has TLS itself, as the user nobody, and returns when it answers. Its user is
// jane@example.test, who has a calendar and an address book.
func startRadicale(t *testing.T, w *world) {
	t.Helper()
	dir := filepath.Join(w.dir, "radicale")
	finish(t, exec.Command("install", "-d", "-o", "nobody", dir))
	certificate := w.authority.issue(t, radicaleName).file
	finish(t, exec.Command("chown", "nobody", certificate))
	config, users := filepath.Join(dir, "config"), filepath.Join(dir, "users")
	writeFile(t, users, "jane@"+domain+":"+password+"\n", 0o644)
	writeFile(t, config, fmt.Sprintf(`
[server]
hosts = %[1]s:443
ssl = True
certificate = %[2]s
key = %[2]s
[auth]
type = htpasswd
htpasswd_filename = %[3]s
htpasswd_encryption = plain
[storage]
filesystem_folder = %[4]s/collections
`, radicaleIPv4, certificate, users, dir), 0o644)
	w.mailHost.ip(t, "addr", "add", radicaleIPv4+"/24", "dev", "mail0")
	d := startDaemon(t, "radicale", w.dir, w.mailHost.command(context.Background(), "setpriv", "--reuid=nobody", "--regid=nogroup",
		"--clear-groups", "--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service", "radicale", "--config", config))
	d.answersTLS(t, radicaleIPv4)
	for name, kind := range map[string]string{
		"calendar": `<calendar xmlns="urn:ietf:params:xml:ns:caldav"/>`,
		"contacts": `<addressbook xmlns="urn:ietf:params:xml:ns:carddav"/>`,
	} {
		answer := ask(t, w, "MKCOL", "https://"+radicaleName+"/jane@"+domain+"/"+name+"/", // RFC 5689
			`<mkcol xmlns="DAV:"><set><prop><resourcetype><collection/>`+kind+`</resourcetype></prop></set></mkcol>`,
			"jane@"+domain, password)
		if answer.StatusCode != http.StatusCreated {
			t.Fatalf("make the %s: %s", name, answer.Status)
		}
	}
}

//go:build real

package real

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// apacheIPv4 is where Apache is, another address of the machine of the mail host.
const apacheIPv4 = "198.51.100.13"

// site is a name that Apache serves over https, and its part of the configuration.
type site struct{ name, directives string }

// The sites. One has Radicale under a path; on the others there is nothing for calendars, address books or JMAP.
var (
	frontSite = site{"front.example.test", `
Redirect 301 /.well-known/caldav /radicale/
Redirect 301 /.well-known/carddav /radicale/
RequestHeader set X-Script-Name /radicale
SSLProxyEngine on
SSLProxyCheckPeerName off
ProxyPass /radicale/ https://` + radicaleIPv4 + `/
`}
	plainSite    = site{"plain.example.test", ""}
	webDAVSite   = site{"webdav.example.test", "<Location />\nDav On\n</Location>\n"}
	passwordSite = site{"password.example.test", `
<Location />
Dav On
AuthType Basic
AuthName everything
AuthUserFile /dev/null
Require valid-user
</Location>
`}
	downgradeSite = site{"downgrade.example.test", `
Redirect 301 /.well-known/caldav http://downgrade.example.test/dav/
Redirect 301 /.well-known/carddav http://downgrade.example.test/dav/
Redirect 301 /.well-known/jmap http://downgrade.example.test/jmap/
`}
	elsewhereSite = site{"elsewhere.example.test", `
Redirect 301 /.well-known/caldav https://` + cyrusName + `/dav/calendars
Redirect 301 /.well-known/carddav https://` + cyrusName + `/dav/addressbooks
Redirect 301 /.well-known/jmap https://` + cyrusName + `/jmap
`}
)

// falseFriends are the sites that have not what they are asked for.
var falseFriends = []site{plainSite, webDAVSite, passwordSite, downgradeSite, elsewhereSite}

// startApache starts Apache with all sites and returns when it answers.
func startApache(t *testing.T, w *world) {
	t.Helper()
	dir := filepath.Join(w.dir, "apache")
	finish(t, exec.Command("install", "-d", dir))
	var config strings.Builder
	for _, module := range []string{
		"mpm_prefork", "authz_core", "authn_core", "authn_file", "authz_user", "auth_basic", "ssl", "dav", "dav_fs",
		"alias", "headers", "proxy", "proxy_http",
	} {
		fmt.Fprintf(&config, "LoadModule %[1]s_module /usr/lib/apache2/modules/mod_%[1]s.so\n", module)
	}
	fmt.Fprintf(&config, `
ServerRoot %[1]s
PidFile %[1]s/pid
Mutex file:%[1]s
DAVLockDB %[1]s/locks
ErrorLog /dev/stderr
ServerName plain.example.test
DocumentRoot %[1]s
User nobody
Group nogroup
Listen %[2]s:443
`, dir, apacheIPv4)
	for _, s := range append(falseFriends, frontSite) {
		file := w.authority.issue(t, s.name).file
		fmt.Fprintf(&config, "<VirtualHost *:443>\nServerName %s\nSSLEngine on\nSSLCertificateFile %s\n%s</VirtualHost>\n",
			s.name, file, s.directives)
	}
	file := filepath.Join(dir, "apache.conf")
	writeFile(t, file, config.String(), 0o644)
	w.mailHost.ip(t, "addr", "add", apacheIPv4+"/24", "dev", "mail0")
	d := startDaemon(t, "apache", w.dir, w.mailHost.command(context.Background(), "apache2", "-f", file, "-D", "FOREGROUND"))
	d.answersTLS(t, apacheIPv4)
}

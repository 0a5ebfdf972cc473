//go:build real

package real

import (
	_ "embed" // the scripts that run in Thunderbird
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// thunderbirdStartsWithin is long: one start of twenty takes more than ten seconds, for no reason that is known.
const thunderbirdStartsWithin = 60 * time.Second

// Thunderbird's words for its ways to settings.
const (
	ispHTTPS           = "xml-from-isp-https" // the domain's own autoconfig, and that of the provider that the MX names
	ispHTTP            = "xml-from-isp-http"
	exchangeHTTPS      = "exchange-from-url1" // https://autodiscover.DOMAIN
	exchangeDomain     = "exchange-from-url2" // https://DOMAIN
	exchangeRedirected = "exchange-from-url3" // to where http://autodiscover.DOMAIN redirects
	exchangeSRV        = "exchange-from-srv"
)

// thunderbirdPreferences are what a fresh profile differs in from one that a person makes. Marionette takes a free
// port. Nothing is guessed, so that what is found was published. The search for settings is told in the log, and new
// mail is not told on a screen that is not there.
const thunderbirdPreferences = `
user_pref("marionette.port", 0);
user_pref("mailnews.auto_config.guess.enabled", false);
user_pref("mail.provider.suppress_dialog_on_startup", true);
user_pref("mail.setup.loglevel", "All");
user_pref("devtools.console.stdout.chrome", true);
user_pref("browser.dom.window.dump.enabled", true);
user_pref("mail.biff.show_alert", false);
user_pref("mail.biff.show_tray_icon", false);
`

// The scripts that run in Thunderbird; each says what it takes and gives.
var (
	//go:embed thunderbird/trust.js
	trustScript string
	//go:embed thunderbird/discover.js
	discoverScript string
	//go:embed thunderbird/account.js
	accountScript string
	//go:embed thunderbird/send.js
	sendScript string
	//go:embed thunderbird/receive.js
	receiveScript string
	//go:embed thunderbird/dav.js
	davScript string
)

// thunderbird is a Thunderbird without a screen, as Debian packages it. One serves many discoveries: it keeps nothing
// between them but the connections of HTTP/2.
type thunderbird struct {
	daemon *daemon
	remote *marionette
	homes  string
}

// foundConfig is what Thunderbird found for an address; without a Source: nothing.
type foundConfig struct {
	Source               string // xml, exchange
	SubSource            string // which of its ways: xml-from-isp-https, exchange-from-url1, …
	Incoming             foundServer
	Outgoing             foundServer
	IncomingAlternatives []foundServer
	OutgoingAlternatives []foundServer
	Questions            []string // hosts of other domains that it asked its user about
	Milliseconds         int64    // how long its user waited
}

// foundServer is a server in Thunderbird's words.
type foundServer struct {
	Type       string
	Hostname   string
	Port       int
	SocketType int // nsMsgSocketType: 0 in clear, 2 STARTTLS, 3 TLS
	Auth       int // nsMsgAuthMethod: 3 password in clear, inside TLS
	Username   string
}

// service is the server as mailconfd writes it.
func (s foundServer) service() string {
	security := map[int]string{2: "starttls", 3: "tls"}[s.SocketType]
	return serviceURL(s.Type, security, s.Hostname, fmt.Sprint(s.Port))
}

// account is the account that was found or made; the zero account when nothing was found.
func (f foundConfig) account() account {
	if f.Incoming.Type == "" {
		return account{}
	}
	return account{
		Incoming: f.Incoming.service(),
		Outgoing: f.Outgoing.service(),
		Username: bothNames(f.Incoming.Username, f.Outgoing.Username),
	}
}

// waited is how long the user waited.
func (f foundConfig) waited() time.Duration { return time.Duration(f.Milliseconds) * time.Millisecond }

// startThunderbird starts Thunderbird with a fresh profile; it trusts the tests' authority.
func startThunderbird(t *testing.T, w *world) *thunderbird {
	t.Helper()
	profile := filepath.Join(w.dir, "thunderbird")
	if err := os.Mkdir(profile, 0o700); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(profile, "user.js"), thunderbirdPreferences, 0o600)
	// Not the script in /usr/bin, which would stay between us and the program.
	command := exec.Command("/usr/lib/thunderbird/thunderbird", "--headless", "--no-remote", "--profile", profile,
		"--marionette", "--remote-allow-system-access")
	command.Env = []string{"HOME=" + profile, "PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8"}
	b := &thunderbird{daemon: startDaemon(t, "thunderbird", w.dir, command), homes: w.homes()}
	b.daemon.noise = "gtk_icon_theme" // there is no screen
	b.daemon.eventually(t, thunderbirdStartsWithin, "open the remote control", func() error {
		port, err := os.ReadFile(filepath.Join(profile, "MarionetteActivePort"))
		if err != nil {
			return err
		}
		b.remote, err = dialMarionette(net.JoinHostPort("127.0.0.1", strings.TrimSpace(string(port))))
		return err
	})
	t.Cleanup(func() { _ = b.remote.connection.Close() })
	b.run(t, trustScript, nil, base64.StdEncoding.EncodeToString(w.authority.root.Raw))
	return b
}

// run runs a script, which must not fail.
func (b *thunderbird) run(t *testing.T, script string, result any, arguments ...any) {
	t.Helper()
	if err := b.remote.run(script, result, arguments...); err != nil {
		t.Fatal(err)
	}
}

// discover looks for the settings of an address.
func (b *thunderbird) discover(t *testing.T, address string) foundConfig {
	t.Helper()
	var found foundConfig
	b.run(t, discoverScript, &found, address)
	return found
}

// setUpAndSend makes an account for the address, with nothing typed but a name, the address and the password, sends a
// message from it, and receives that message in it. It returns the account's two servers.
func (b *thunderbird) setUpAndSend(t *testing.T, address, password, to string) foundConfig {
	t.Helper()
	var account foundConfig
	b.run(t, accountScript, &account, address, password)
	subject := "from " + address
	b.run(t, sendScript, nil, address, to, subject)
	var delivered string
	b.daemon.eventually(t, settleWithin, "find the message in the maildir", func() (err error) {
		delivered, err = b.delivered(to, subject)
		return err
	})
	// RFC 3848: S is STARTTLS or implicit TLS, A a login.
	if !strings.Contains(delivered, "(Postfix) with ESMTPSA id") {
		t.Errorf("the message did not go through Postfix, encrypted and after a login:\n%s", delivered)
	}
	var from string
	b.run(t, receiveScript, &from, address, subject)
	if !strings.Contains(from, "<"+address+">") && from != address {
		t.Errorf("the message received is from %q, want %s", from, address)
	}
	return account
}

// delivered is the message with that subject as Dovecot has put it into the recipient's maildir.
func (b *thunderbird) delivered(to, subject string) (string, error) {
	name, _, _ := strings.Cut(to, "@")
	files, err := filepath.Glob(filepath.Join(b.homes, name, "mail", "[nc]*", "*")) // new and cur
	if err != nil {
		return "", err
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(content), "Subject: "+subject+"\n") {
			return string(content), nil
		}
	}
	return "", fmt.Errorf("none of %d files has the subject %q", len(files), subject)
}

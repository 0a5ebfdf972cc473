//go:build real

package real

import (
	"regexp"
	"strings"
	"testing"
)

// kdeServer is a line in which ispdb tells a server: after a heading that says for what.
var kdeServer = regexp.MustCompile(
	`(Imap|pop3|smtp) servers:|hostname: "([^"]*)" - port: ([0-9]+) - encryption: "([^"]*)" - username: "([^"]*)"`)

// askKDE runs ispdb, the part of KDE's account wizard that looks for settings. The wizard offers IMAP before POP3; where
// several servers are told it takes the first here, and mailconfd tells one of a kind.
func askKDE(t *testing.T, w *world, address string) account {
	t.Helper()
	told, _ := runClient(t, w, "sh", "kde.sh", address)
	found := map[string]account{}
	role := ""
	for _, match := range kdeServer.FindAllStringSubmatch(told, -1) {
		if match[1] != "" {
			role = strings.ToLower(match[1])
			continue
		}
		security := map[string]string{"SSL": "tls", "TLS": "starttls"}[match[4]] // its words, MailTransport's
		found[role] = account{Incoming: serviceURL(role, security, match[2], match[3]), Username: match[5]}
	}
	incoming, outgoing := found["imap"], found["smtp"]
	if incoming == (account{}) {
		incoming = found["pop3"]
	}
	return account{incoming.Incoming, outgoing.Incoming, bothNames(incoming.Username, outgoing.Username)}
}

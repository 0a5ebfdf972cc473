//go:build real

package real

import (
	"net/url"
	"strings"
	"testing"
)

// askAerc has aerc's wizard make an account.
func askAerc(t *testing.T, w *world, address string) account {
	t.Helper()
	told, _ := runClient(t, w, "/usr/bin/python3", "aerc.py", address)
	kept := keyFile(told)
	incoming, incomingName := aercServer(t, kept["Work/source"], false)
	outgoing, outgoingName := aercServer(t, kept["Work/outgoing"], kept["Work/smtp-starttls"] == "yes")
	return account{incoming, outgoing, bothNames(incomingName, outgoingName)}
}

// aercServer reads a server's URL. Its scheme says more than ours: "imap" is with STARTTLS, "imap+insecure" without;
// "smtp" is in clear unless another line says STARTTLS, and "+plain" is the way to log in (aerc-imap(5), aerc-smtp(5)).
func aercServer(t *testing.T, kept string, starttls bool) (service, name string) {
	t.Helper()
	server, err := url.Parse(kept)
	if err != nil {
		t.Fatal(err)
	}
	scheme := strings.TrimSuffix(server.Scheme, "+plain")
	security := ""
	switch {
	case scheme == "imaps", scheme == "smtps":
		security = "tls"
	case scheme == "imap", scheme == "smtp" && starttls:
		security = "starttls"
	}
	return serviceURL(scheme[:4], security, server.Hostname(), server.Port()), server.User.Username()
}

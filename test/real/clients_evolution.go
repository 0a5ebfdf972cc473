//go:build real

package real

import (
	"strings"
	"testing"
)

// buildEvolution makes the program of clients/evolution.c, with the libraries as Debian's packages without headers
// name them.
const buildEvolution = `gcc -o evolution evolution.c -L/usr/lib/evolution -Wl,-rpath,/usr/lib/evolution \
  -l:libevolution-util.so.0 -l:libedataserver-1.2.so.27 -l:libcamel-1.2.so.64 -l:libglib-2.0.so.0
exec dbus-run-session -- ./evolution "$@"`

// askEvolution asks the library of Evolution's account assistant.
func askEvolution(t *testing.T, w *world, address string) account {
	t.Helper()
	told, log := runClient(t, w, "sh", "-euc", buildEvolution, "sh", address)
	t.Log(log)
	receiving, sending, found := strings.Cut(told, "# Mail Transport\n")
	if !found {
		t.Fatalf("two data sources are wanted:\n%s", told)
	}
	incoming, outgoing := keyFile(receiving), keyFile(sending)
	role := map[string]string{"imapx": "imap", "pop": "pop3"}[incoming["Mail Account/BackendName"]]
	return account{
		evolutionServer(role, incoming),
		evolutionServer("smtp", outgoing),
		bothNames(incoming["Authentication/User"], outgoing["Authentication/User"]),
	}
}

// evolutionServer is the server of a data source.
func evolutionServer(role string, source map[string]string) string {
	security := map[string]string{ // CamelNetworkSecurityMethod
		"ssl-on-alternate-port": "tls", "starttls-on-standard-port": "starttls",
	}[source["Security/Method"]]
	return serviceURL(role, security, source["Authentication/Host"], source["Authentication/Port"])
}

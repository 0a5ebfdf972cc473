//go:build real

package real

import (
	"bufio"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// askExchange has exchangelib, a client library for Exchange, look for the address by Autodiscover. It reads SSL and not
// Encryption, so only the port tells it how to encrypt.
func askExchange(t *testing.T, w *world, address string) account {
	t.Helper()
	told, _ := runClient(t, w, "/usr/bin/python3", "exchange.py", address)
	var found account
	for lines := bufio.NewScanner(strings.NewReader(told)); lines.Scan(); {
		var protocol struct {
			Type, Server string
			Port         int
			SSL, SPA     bool
			LoginName    string `json:"login_name"`
		}
		if err := json.Unmarshal(lines.Bytes(), &protocol); err != nil {
			t.Fatalf("%v in\n%s", err, told)
		}
		security := ""
		switch {
		case !protocol.SSL:
		case protocol.Port == 587, protocol.Port == 143, protocol.Port == 110:
			security = "starttls"
		default:
			security = "tls"
		}
		role := strings.ToLower(protocol.Type)
		service := serviceURL(role, security, protocol.Server, fmt.Sprint(protocol.Port))
		switch {
		case role == "smtp":
			found.Outgoing, found.Username = service, bothNames(found.Username, protocol.LoginName)
		case found.Incoming == "":
			found.Incoming, found.Username = service, protocol.LoginName
		}
	}
	return found
}

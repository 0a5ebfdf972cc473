//go:build real

package real

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestLogin lets mailconfd log in to Dovecot and Postfix, which know jane under one name or another. What a rejection
// leads to is seen at the first service; the others are left in peace for minutes.
func TestLogin(t *testing.T) {
	accepted := []string{
		`mailconfd_logins_total{outcome="accepted",scheme="imap"} 1`, `mailconfd_logins_total{outcome="accepted",scheme="imaps"} 1`,
		`mailconfd_logins_total{outcome="accepted",scheme="pop3"} 1`, `mailconfd_logins_total{outcome="accepted",scheme="pop3s"} 1`,
		`mailconfd_logins_total{outcome="accepted",scheme="sieve"} 1`, `mailconfd_logins_total{outcome="accepted",scheme="submission"} 2`,
		`mailconfd_logins_total{outcome="accepted",scheme="submissions"} 1`,
	}
	rejected := []string{`mailconfd_logins_total{outcome="login_rejected",scheme="imaps"} 1`}
	for _, tt := range []struct {
		name     string
		users    []string
		password string
		username string
		metrics  []string
		port     string // of IMAP, as clients are told
		withheld bool   // for a login
		srv      bool   // there is a record of IMAP on 993
	}{
		{"address", []string{"jane@example.test"}, password, "address", accepted, "993", false, true},
		{"local part and address", []string{"jane", "jane@example.test"}, password, "localpart", accepted, "993", false, true},
		{"local part, and not the address", []string{"jane"}, password, "localpart", accepted[1:2], "993", false, false},
		{"local part, but clients are told the address", []string{"jane"}, password, "address", rejected, "143", true, false},
		{"address, but clients are told the local part", []string{"jane@example.test"}, password, "localpart", rejected, "143", true, false},
		{"wrong password", []string{"jane@example.test"}, "wrong-horse", "address", rejected, "993", false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorldOf(t, "driver = passwd-file\n  args = scheme=PLAIN username_format=%u "+userFile(t, tt.users))
			writeFile(t, filepath.Join(w.dir, "password"), tt.password+"\n", 0o600)
			file := filepath.Join(w.dir, "login.yaml")
			writeFile(t, file, fmt.Sprintf(`
listen: [%q]
admin_listen: %q
state: "sqlite://%s/state.db"
resolver: %q
probe: {interval: 5s, ca_file: %q, helo: client.example.test}
providers:
  - name: main
    hosts: [%q]
    username: %s
    probe_account: {address: jane@example.test, password_file: password}
domains:
  - {name: %s, provider: main}
`, publicAddress, adminAddress, w.dir, w.resolver, w.authority.rootFile, mailName, tt.username, domain), 0o644)
			d := startDaemon(t, "mailconfd", w.dir, exec.Command(program(t), "serve", "--log-level", "debug", "--config", file))
			for _, line := range tt.metrics {
				d.eventually(t, startWithin, "log in", func() error { return hasMetric(line) })
			}
			withheld := hasMetric(`mailconfd_services_withheld{reason="login",role="imap"} 1`) == nil
			if withheld != tt.withheld {
				t.Errorf("withheld for a login: %v, want %v", withheld, tt.withheld)
			}
			d.eventually(t, startWithin, "tell clients IMAP on "+tt.port, func() error { return tellsIMAP(tt.port) })
			records := string(run(t, 0, "records", domain, "--config", file))
			if got := strings.Contains(records, " 993 "+mailName); got != tt.srv {
				t.Errorf("SRV for 993: %v, want %v\n%s", got, tt.srv, records)
			}
			if log := d.tail(); strings.Contains(log, tt.password) {
				t.Errorf("the log holds the password:\n%s", log)
			}
		})
	}
}

// userFile is a file of users with the one password, which Dovecot can read.
func userFile(t *testing.T, users []string) string {
	t.Helper()
	file := filepath.Join(publicDir(t), "users")
	var content strings.Builder
	for _, user := range users {
		fmt.Fprintf(&content, "%s:{PLAIN}%s\n", user, password)
	}
	writeFile(t, file, content.String(), 0o644)
	return file
}

// hasMetric returns an error unless the line is among the metrics.
func hasMetric(line string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	asked, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+adminAddress+"/metrics", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(asked)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil || strings.Contains("\n"+string(body), "\n"+line+"\n") {
		return err
	}
	return fmt.Errorf("no line %s", line)
}

// tellsIMAP returns an error unless clients are told IMAP on the port.
func tellsIMAP(port string) error {
	document, err := fetch(autoconfigRequest)
	if err != nil {
		return err
	}
	told, err := readAutoconfig(document)
	if err == nil && (len(told) == 0 || told[0].Port != port) {
		err = fmt.Errorf("told are %v", told)
	}
	return err
}

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailconfd/internal/lab"
	"mailconfd/settings"
)

// TestDoctorTarPit: one server that drips its greeting costs ten seconds, and not thirty.
func TestDoctorTarPit(t *testing.T) {
	t.Parallel()
	internet, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = internet.Close() })
	service := settings.Service{Scheme: settings.SchemeIMAPS, Host: lab.Host, Port: 993}
	if err := internet.Break(service, settings.FailureTimeout); err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, internet.CA().RootPEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	document := filepath.Join(t.TempDir(), "config-v1.1.xml")
	if err := os.WriteFile(document, []byte(`<clientConfig version="1.1"><emailProvider id="example.test"><domain>example.test</domain><displayName>E</displayName>
<incomingServer type="imap"><hostname>mail.example.test</hostname><port>993</port><socketType>SSL</socketType><authentication>password-cleartext</authentication><username>%EMAILADDRESS%</username></incomingServer>
<outgoingServer type="smtp"><hostname>mail.example.test</hostname><port>587</port><socketType>STARTTLS</socketType><authentication>password-cleartext</authentication><username>%EMAILADDRESS%</username></outgoingServer>
</emailProvider></clientConfig>`), 0o644); err != nil {
		t.Fatal(err)
	}
	environ := []string{"MAILCONFD_CA_FILE=" + ca, "MAILCONFD_RESOLVER=" + internet.Resolver(), "MAILCONFD_VIA=" + internet.ProxyURL()}
	var out, stderr strings.Builder
	started := time.Now()
	code := run(t.Context(), []string{"doctor", "jane@example.test", "--only", "aerc", "--offline-document", document}, environ, strings.NewReader(""), &out, &stderr)
	if took := time.Since(started); code != 1 || took > 25*time.Second {
		t.Errorf("exit code %d after %s\n%s%s", code, took, &out, &stderr)
	}
}

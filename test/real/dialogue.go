//go:build real

package real

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// dialogue is a conversation by lines with the mail host, in the raw. It knows no protocol: the test says every line.
type dialogue struct {
	t          *testing.T
	connection net.Conn
	reader     *bufio.Reader
	trusted    *x509.CertPool
}

// dial connects to a port of the mail host; the conversation may take 30 seconds.
func dial(t *testing.T, w *world, port string) *dialogue {
	t.Helper()
	connection, err := net.Dial("tcp", net.JoinHostPort(mailIPv4, port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = connection.Close() })
	if err := connection.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(w.authority.root)
	return &dialogue{t: t, connection: connection, reader: bufio.NewReader(connection), trusted: trusted}
}

// dialTLS is dial for a port with implicit TLS.
func dialTLS(t *testing.T, w *world, port string) *dialogue {
	t.Helper()
	d := dial(t, w, port)
	d.upgrade()
	return d
}

// upgrade shakes hands for TLS and checks the certificate.
func (d *dialogue) upgrade() {
	d.t.Helper()
	secured := tls.Client(d.connection, &tls.Config{ServerName: mailName, RootCAs: d.trusted})
	if err := secured.Handshake(); err != nil {
		d.t.Fatal(err)
	}
	d.connection, d.reader = secured, bufio.NewReader(secured)
}

// ask sends a line.
func (d *dialogue) ask(line string) {
	d.t.Helper()
	if _, err := io.WriteString(d.connection, line+"\r\n"); err != nil {
		d.t.Fatalf("send %q: %v", line, err)
	}
}

// hear reads lines up to the first with one of the prefixes, and returns all of them.
func (d *dialogue) hear(prefixes ...string) []string {
	d.t.Helper()
	var lines []string
	for {
		line, err := d.reader.ReadString('\n')
		if err != nil {
			d.t.Fatalf("waiting for %q: %v after %q", prefixes, err, lines)
		}
		lines = append(lines, strings.TrimRight(line, "\r\n"))
		for _, prefix := range prefixes {
			if strings.HasPrefix(line, prefix) {
				return lines
			}
		}
	}
}

package lab_test

import (
	"crypto/tls"
	"io"
	"testing"
	"time"

	"mailconfd/internal/lab"
	"mailconfd/settings"
)

// Whatever a client sends to the line servers inside TLS: they answer or hang up, and the
// next client is served.
func FuzzLineServers(f *testing.F) {
	internet, err := lab.New()
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := internet.Close(); err != nil {
			f.Error(err)
		}
	})
	for _, seed := range []string{
		"CAPA\r\nUSER jane@example.test\r\nPASS correct horse battery staple\r\nSTAT\r\nLIST\r\n",
		"AUTH PLAIN\r\n" + plain(lab.User, lab.Password) + "\r\nUIDL\r\nRETR 1\r\n",
		"AUTH LOGIN =\r\n*\r\n",
		"CAPABILITY\r\nAUTHENTICATE \"PLAIN\" \"" + plain(lab.User, lab.Password) + "\"\r\nLISTSCRIPTS\r\n",
		"AUTHENTICATE {5+}\r\nPLAIN {0+}\r\n\r\n\"*\"\r\n",
		"AUTHENTICATE {-1+}\r\nAUTHENTICATE \"\r\n\x00\xff\r\n",
	} {
		f.Add([]byte(seed), true)
		f.Add([]byte(seed), false)
	}
	f.Fuzz(func(t *testing.T, data []byte, pop3 bool) {
		s := settings.Service{Scheme: settings.SchemeSieve, Host: lab.Host, Port: 4190}
		if pop3 {
			s = settings.Service{Scheme: settings.SchemePOP3S, Host: lab.Host, Port: 995}
		}
		c := dial(t, internet, s)
		if err := c.enter(trusting(internet)); err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = c.conn.Write(data)
			_ = c.conn.(*tls.Conn).CloseWrite()
		}()
		if err := c.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, c.reader); isTimeout(err) {
			t.Errorf("after %q the server neither answers nor hangs up", data)
		}
	})
}

package lab_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"mailconfd/internal/lab"
	"mailconfd/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what has to come.
const patience = 20 * time.Second

// newLab starts a lab for the test.
func newLab(t *testing.T) *lab.Internet {
	t.Helper()
	internet, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := internet.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return internet
}

// service returns the lab's service with the short name.
func service(t *testing.T, name string) settings.Service {
	t.Helper()
	s, err := lab.ParseService(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// client is a raw client: it sends and reads lines.
type client struct {
	t       *testing.T
	service settings.Service
	conn    net.Conn
	reader  *bufio.Reader
}

// address is where a service is, for Dial.
func address(s settings.Service) string {
	_, rest, _ := strings.Cut(s.String(), "://")
	return rest
}

// dial connects to the service.
func dial(t *testing.T, internet *lab.Internet, s settings.Service) *client {
	t.Helper()
	conn, err := internet.Dial(t.Context(), "tcp", address(s))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return raw(t, s, conn)
}

func raw(t *testing.T, s settings.Service, conn net.Conn) *client {
	t.Helper()
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &client{t: t, service: s, conn: conn, reader: bufio.NewReader(conn)}
}

func (c *client) send(line string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, line+"\r\n"); err != nil {
		c.t.Fatalf("%s: send %q: %v", c.service, line, err)
	}
}

func (c *client) line() string {
	c.t.Helper()
	line, err := c.reader.ReadString('\n')
	if err != nil {
		c.t.Fatalf("%s: read line: %v after %q", c.service, err, line)
	}
	text, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		c.t.Fatalf("%s: line %q does not end with CRLF", c.service, line)
	}
	return text
}

// want reads a line that has to begin so.
func (c *client) want(prefix string) string {
	c.t.Helper()
	line := c.line()
	if !strings.HasPrefix(line, prefix) {
		c.t.Fatalf("%s: got line %q, want it to begin with %q", c.service, line, prefix)
	}
	return line
}

// wantEnd reads the end of the connection.
func (c *client) wantEnd() {
	c.t.Helper()
	if rest, err := io.ReadAll(c.reader); err != nil || len(rest) > 0 {
		c.t.Fatalf("%s: got %q and %v, want the end of the connection", c.service, rest, err)
	}
}

// lines reads up to the line that ends the answer and returns all of it.
func (c *client) lines(last func(string) bool) []string {
	c.t.Helper()
	var all []string
	for {
		all = append(all, c.line())
		if last(all[len(all)-1]) {
			return all
		}
	}
}

// greeting reads a greeting of the service's protocol.
func (c *client) greeting() []string {
	c.t.Helper()
	switch c.service.Role() {
	case settings.RoleSubmission:
		return c.lines(func(l string) bool { return strings.HasPrefix(l, "220 ") })
	case settings.RoleIMAP:
		return []string{c.want("* OK ")}
	case settings.RolePOP3:
		return []string{c.want("+OK ")}
	}
	return c.lines(func(l string) bool { return strings.HasPrefix(l, "OK") })
}

// capabilities asks for what the server offers.
func (c *client) capabilities() []string {
	c.t.Helper()
	switch c.service.Role() {
	case settings.RoleSubmission:
		c.send("EHLO client.example.test")
		return c.lines(func(l string) bool { return strings.HasPrefix(l, "250 ") })
	case settings.RoleIMAP:
		c.send("c1 CAPABILITY")
		all := c.lines(func(l string) bool { return strings.HasPrefix(l, "c1 OK") })
		return strings.Fields(all[0])
	case settings.RolePOP3:
		c.send("CAPA")
		return c.lines(func(l string) bool { return l == "." })
	}
	c.send("CAPABILITY")
	return c.lines(func(l string) bool { return strings.HasPrefix(l, "OK") })
}

// startCommand is how the protocol asks for TLS, and startReply how the answer to that
// begins when it is yes.
func (c *client) startCommand() (command, startReply string) {
	switch c.service.Role() {
	case settings.RoleSubmission:
		return "STARTTLS", "220 "
	case settings.RoleIMAP:
		return "s1 STARTTLS", "s1 OK "
	case settings.RolePOP3:
		return "STLS", "+OK "
	}
	return "STARTTLS", "OK "
}

// startTLS upgrades after the greeting, or at once where TLS is implicit, and returns the
// error of the handshake.
func (c *client) startTLS(config *tls.Config) error {
	c.t.Helper()
	if c.service.Security() == settings.STARTTLS {
		command, yes := c.startCommand()
		c.send(command)
		c.want(yes)
	}
	return c.handshake(config)
}

func (c *client) handshake(config *tls.Config) error {
	c.t.Helper()
	if n := c.reader.Buffered(); n > 0 {
		c.t.Fatalf("%s: %d bytes of plaintext before the handshake", c.service, n)
	}
	secure := tls.Client(c.conn, config)
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		return err
	}
	c.conn, c.reader = secure, bufio.NewReader(secure)
	return nil
}

// enter goes as far as the capabilities inside TLS.
func (c *client) enter(config *tls.Config) error {
	c.t.Helper()
	if c.service.Security() == settings.ImplicitTLS {
		if err := c.startTLS(config); err != nil {
			return err
		}
		c.greeting()
		return nil
	}
	c.greeting()
	if c.service.Role() == settings.RoleSubmission {
		c.capabilities() // go-smtp wants EHLO first
	}
	if err := c.startTLS(config); err != nil {
		return err
	}
	if c.service.Role() == settings.RoleSieve {
		c.greeting() // RFC 5804, section 2.2: capabilities come unasked
	}
	return nil
}

// trusting is a client's TLS configuration that trusts the lab's root.
func trusting(internet *lab.Internet) *tls.Config {
	return &tls.Config{RootCAs: internet.CA().Pool(), ServerName: lab.Host}
}

// trustful takes any certificate, and any version of TLS that Go has.
func trustful() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, ServerName: lab.Host, MinVersion: tls.VersionTLS10}
}

// isTimeout tells a deadline that has passed from other errors.
func isTimeout(err error) bool {
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

func itoa(n int) string { return strconv.Itoa(n) }

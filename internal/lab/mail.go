package lab

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/emersion/go-sasl"

	"mailconfd/settings"
)

// The one user of the lab's mail servers.
const (
	User     = "jane@example.test"
	Password = "correct horse battery staple"
)

// Logins says under which user names the one user of the lab's servers logs in.
type Logins struct {
	Address   bool // the whole address
	LocalPart bool // what stands before the @
	// Neither: passwords are offered and every login is refused, by SMTP in the words of
	// Microsoft 365 where basic authentication is switched off.
}

// logins are those of one service; they can change while it runs.
type logins struct{ atomic.Pointer[Logins] }

// newLogins lets the user in with the whole address.
func newLogins() *logins {
	l := new(logins)
	l.Store(&Logins{Address: true})
	return l
}

// admits tells whether user name and password are the user's.
func (l *logins) admits(user, password string) bool {
	now, local := l.Load(), strings.TrimSuffix(User, "@"+Domain)
	return password == Password && (user == User && now.Address || user == local && now.LocalPart)
}

// shut tells whether nobody is let in at all.
func (l *logins) shut() bool { return *l.Load() == Logins{} }

// passwordMechanisms are the SASL mechanisms that healthy servers offer inside TLS.
func passwordMechanisms() []string { return []string{sasl.Plain, sasl.Login} }

// newSASL returns the server's side of a password mechanism, or nil for another
// mechanism. check says whether the user is let in and under which error not.
func newSASL(mechanism string, check func(user, password string) error) sasl.Server {
	switch mechanism {
	case sasl.Plain:
		return sasl.NewPlainServer(func(_, user, password string) error { return check(user, password) })
	case sasl.Login:
		return &loginServer{check: check}
	}
	return nil
}

// loginServer is the server's side of LOGIN (draft-murchison-sasl-login-00), which
// go-sasl has no more.
type loginServer struct {
	check func(user, password string) error
	asked int
	user  string
}

// Next takes the answer to the last challenge.
func (l *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	l.asked++
	switch {
	case l.asked == 1 && response == nil: // no initial response
		l.asked--
		return []byte("Username:"), false, nil
	case l.asked == 1:
		l.user = string(response)
		return []byte("Password:"), false, nil
	}
	return nil, true, l.check(l.user, string(bytes.Clone(response)))
}

// server feeds connections to a protocol library, which only serves listeners.
type server struct {
	implicit *tls.Config // not nil: TLS from the first byte
	inlet    *inlet
	stop     func()
	ended    sync.WaitGroup
}

// run lets the library serve; stop has to end that.
func (s *server) run(serve func(net.Listener) error, stop func()) *server {
	s.inlet = &inlet{conns: make(chan net.Conn), closed: make(chan struct{})}
	s.stop = stop
	s.ended.Go(func() {
		_ = serve(s.inlet) // ends when the inlet is closed, and for no other reason
	})
	return s
}

// serve is the server's handler.
func (s *server) serve(c *conn) {
	var stream net.Conn = c
	if s.implicit != nil {
		stream = tls.Server(c, s.implicit)
	}
	select {
	case s.inlet.conns <- stream:
		<-c.closed
	case <-s.inlet.closed:
	}
}

// close stops the library. The ports that feed it have to be closed before.
func (s *server) close() {
	_ = s.inlet.Close()
	s.ended.Wait()
	s.stop() // not while Serve may still be starting: go-imap's Close races with it
}

// inlet is a listener that gets its connections handed in.
type inlet struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// Accept returns the next connection.
func (i *inlet) Accept() (net.Conn, error) {
	select {
	case c := <-i.conns:
		return c, nil
	case <-i.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept.
func (i *inlet) Close() error {
	i.once.Do(func() { close(i.closed) })
	return nil
}

// Addr returns nothing useful: an inlet has no place.
func (i *inlet) Addr() net.Addr { return &net.TCPAddr{} }

// mailServer is a healthy server for one service.
type mailServer struct {
	handle handler
	close  func()
	logins *logins
}

// newMailServer starts the healthy server that the lab has for the service.
func newMailServer(service settings.Service, config *tls.Config) (mailServer, error) {
	var s *server
	l := newLogins()
	switch service.Role() {
	case settings.RoleSubmission:
		s = newSMTPServer(config, l)
	case settings.RoleIMAP:
		s = newIMAPServer(config, l)
	case settings.RolePOP3, settings.RoleSieve:
		line := healthy(service, config)
		line.script.logins = l
		return mailServer{handle: line.serve, close: func() {}, logins: l}, nil
	default:
		return mailServer{}, fmt.Errorf("start %s: the lab has no server for it", service)
	}
	if service.Security() == settings.ImplicitTLS {
		s.implicit = config
	}
	return mailServer{handle: s.serve, close: s.close, logins: l}, nil
}

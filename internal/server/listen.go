package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

// Limits of a connection. A request of a mail client has a few hundred bytes and is
// answered within a millisecond, or two seconds where MX has to be looked up.
const (
	headerTimeout = 5 * time.Second
	readTimeout   = 10 * time.Second // header and body
	writeTimeout  = 15 * time.Second // from the end of the header on
	idleTimeout   = time.Minute
	maxHeader     = 16 << 10
	stopTimeout   = 5 * time.Second // how long requests may go on after the end
)

// Door is what a listener is for.
type Door int

// The doors.
const (
	Open     Door = iota // plain HTTP that serves everything, perhaps behind a proxy: listen
	Secure               // HTTPS: tls.listen
	Redirect             // plain HTTP beside Secure: tls.http_listen
	Admin                // metrics and health, for the operator alone: admin_listen
)

var doors = [...]struct {
	text, key string
	most      int // connections at once; further ones wait. One takes 20 to 50 KB
}{
	Open:     {"mail clients, over http", "listen", 4096},
	Secure:   {"mail clients, over https", "tls.listen", 4096},
	Redirect: {"mail clients, sent to https where it works", "tls.http_listen", 1024},
	Admin:    {"the operator: page, metrics and health", "admin_listen", 64},
}

// String says to a person what the door is for.
func (d Door) String() string { return doors[d].text }

// Listener is a socket and what is served on it.
type Listener struct {
	net.Listener
	Door Door
}

// Listen opens a door at an address such as 127.0.0.1:8080; with port 0 a free port is
// taken. The error says what to do.
func Listen(ctx context.Context, door Door, address string) (Listener, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err == nil {
		return Listener{netutil.LimitListener(l, doors[door].most), door}, nil
	}
	hint := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		hint = ": another program listens there; stop it, or choose another port"
	case errors.Is(err, syscall.EACCES):
		hint = ": ports below 1024 need the capability CAP_NET_BIND_SERVICE (systemd: AmbientCapabilities=); or choose a port above and let a proxy pass requests on"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		hint = ": this machine has no such address; 0.0.0.0 and [::] stand for all it has"
	}
	if op := (*net.OpError)(nil); errors.As(err, &op) {
		err = op.Err // the rest of it says again what is said here
	}
	return Listener{}, fmt.Errorf("%s %q: %w%s", doors[door].key, address, err, hint)
}

// Serve answers at the doors until ctx ends or one of them fails; then it takes no more
// connections, gives requests that are being answered a few seconds, and closes
// everything. It returns nil when it ended because of ctx. The listeners are closed in
// any case.
func (s *Server) Serve(ctx context.Context, listeners ...Listener) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range listeners {
		server := s.httpServer(l.Door)
		group.Go(func() error {
			s.options.Log.Info("listening", "addr", l.Addr().String(), "for", l.Door.String())
			if err := open(server, l); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("%s %s: %w", doors[l.Door].key, l.Addr(), err)
			}
			return nil
		})
		group.Go(func() error {
			<-ctx.Done()
			s.stop(server, l)
			return nil
		})
	}
	return group.Wait()
}

// httpServer makes the server of a door.
func (s *Server) httpServer(door Door) *http.Server {
	server := &http.Server{
		ReadHeaderTimeout:            headerTimeout,
		ReadTimeout:                  readTimeout,
		WriteTimeout:                 writeTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     log.New(remarks{s.options.Log, &s.complaint}, "", 0),
		// A mail client asks for one document. What net/http would allow by itself is some
		// megabytes for each connection.
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: 16, MaxReceiveBufferPerConnection: 64 << 10, MaxReceiveBufferPerStream: 32 << 10},
	}
	switch door {
	case Admin:
		server.Handler = s.Admin()
		server.WriteTimeout = time.Minute
	case Secure:
		server.Handler = s.Public(door)
		if s.options.Certificates != nil {
			server.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: s.options.Certificates.GetCertificate}
		}
	default:
		server.Handler = s.Public(door)
	}
	return server
}

// remarks is where net/http says what it thinks: nearly all of it about clients that
// misbehave, but also that there are no more file descriptors.
type remarks struct {
	log       *slog.Logger
	complaint *rate.Sometimes
}

// Write takes one remark.
func (r remarks) Write(p []byte) (int, error) {
	text := strings.TrimSpace(string(p))
	if strings.Contains(text, "Accept error") {
		r.complaint.Do(func() { r.log.Warn("connections cannot be taken", "error", text) })
	} else {
		r.log.Debug(text)
	}
	return len(p), nil
}

// open serves at a door until the server is shut down.
func open(server *http.Server, l Listener) error {
	if l.Door != Secure {
		return server.Serve(l)
	}
	if server.TLSConfig == nil {
		_ = l.Close()
		return errors.New("there is no certificate to answer with; see tls.certificates")
	}
	return server.ServeTLS(l, "", "") // the Config has the certificates
}

// stop ends a server in good order, or after stopTimeout in bad.
func (s *Server) stop(server *http.Server, l Listener) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		s.options.Log.Warn("stopped; connections were cut off", "addr", l.Addr().String(), "after", stopTimeout.String())
		_ = server.Close()
		return
	}
	s.options.Log.Info("stopped", "addr", l.Addr().String())
}

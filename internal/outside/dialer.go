package outside

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"
)

// Dialer opens TCP connections, directly or through a SOCKS5 proxy. The zero Dialer
// connects directly. It is safe for concurrent use.
type Dialer struct {
	proxy          string // HOST:PORT; "": none
	user, password string // of the proxy; "": none needed
}

// NewDialer returns a dialer that connects through the proxy, socks5://HOST:PORT or
// socks5://USER:PASSWORD@HOST:PORT, and directly if via is empty. The error never
// shows the password.
func NewDialer(via string) (*Dialer, error) {
	if via == "" {
		return &Dialer{}, nil
	}
	bad := func(what string) (*Dialer, error) {
		return nil, fmt.Errorf("proxy: %s; want socks5://HOST:PORT or socks5://USER:PASSWORD@HOST:PORT", what)
	}
	u, err := url.Parse(via)
	if err != nil {
		return bad("not a URL")
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	switch {
	case u.Scheme != "socks5":
		return bad(fmt.Sprintf("scheme %q is not known", u.Scheme))
	case u.Hostname() == "" || err != nil || port == 0:
		return bad("host or port is missing")
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return bad("nothing may follow the port")
	}
	password, _ := u.User.Password()
	d := &Dialer{proxy: u.Host, user: u.User.Username(), password: password}
	if len(d.user) > maxCredential || len(d.password) > maxCredential {
		return bad(fmt.Sprintf("user and password have at most %d bytes each", maxCredential))
	}
	if (d.user == "") != (d.password == "") {
		return bad("user and password come together")
	}
	return d, nil
}

// Proxied tells whether connections go through a proxy.
func (d *Dialer) Proxied() bool { return d.proxy != "" }

// ProxyError means that the proxy itself does not work, or does not let us in: nothing
// is known about the target. It does not unwrap, so that a proxy that refuses the
// connection is never taken for a target that does.
type ProxyError struct {
	Proxy  string // HOST:PORT
	Reason string
}

// Error says it to a person.
func (e *ProxyError) Error() string { return "proxy " + e.Proxy + ": " + e.Reason }

// DialContext connects to address, IP:PORT; the network is tcp, tcp4 or tcp6. Through a
// proxy, names are refused: it is asked for addresses only. Errors are those of
// [net.Dialer], which include context.DeadlineExceeded as a time-out; through a proxy
// also *[ReplyError], with the proxy's reason, and *[ProxyError].
func (d *Dialer) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	var direct net.Dialer
	if d.proxy == "" {
		return direct.DialContext(ctx, network, address)
	}
	request, err := connectRequest(network, address)
	if err != nil {
		return nil, err
	}
	conn, err := direct.DialContext(ctx, "tcp", d.proxy)
	if err != nil {
		return nil, d.broken(err)
	}
	if err := d.negotiate(ctx, conn, request); err != nil {
		_ = conn.Close()
		var reply *ReplyError
		if errors.As(err, &reply) {
			reply.Proxy, reply.Target = d.proxy, address
		}
		return nil, err
	}
	return conn, nil
}

func (d *Dialer) broken(err error) error { return &ProxyError{d.proxy, cause(err).Error()} }

// negotiate asks the proxy for the connection. All of it ends when ctx does; afterwards
// the connection has no deadline.
func (d *Dialer) negotiate(ctx context.Context, conn net.Conn, request []byte) error {
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(deadline)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	err := d.enter(conn)
	if err != nil {
		err = d.broken(err)
	} else {
		err = d.connect(conn, request)
	}
	if !stop() && err == nil {
		// The deadline of the past may be set at any moment: the connection is lost.
		err = fmt.Errorf("connect through proxy %s: %w", d.proxy, ctx.Err())
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	return err
}

// connect puts the request to the proxy. From here on silence and a reason are about
// the target; everything else is still about the proxy.
func (d *Dialer) connect(conn net.Conn, request []byte) error {
	err := connect(conn, request)
	var reply *ReplyError
	if err == nil || errors.As(err, &reply) || errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return d.broken(err)
}

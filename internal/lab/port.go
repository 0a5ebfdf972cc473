package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

// acceptPause is how long a port waits after a failed accept (too many open files).
const acceptPause = 50 * time.Millisecond

// handler serves one connection. It returns when it and everything it started is
// done with the connection, which happens soon after the connection was cut.
type handler func(*conn)

// conn is an accepted connection. Its server has to close it.
type conn struct {
	*net.TCPConn
	once   sync.Once
	closed chan struct{} // closed by Close
}

// Close closes the connection and says that its server is done with it.
func (c *conn) Close() error {
	err := c.TCPConn.Close()
	c.once.Do(func() { close(c.closed) })
	return err
}

// cut takes the connection away from its server, which will notice.
func (c *conn) cut() { _ = c.TCPConn.Close() }

// reset ends the connection with a TCP reset instead of a FIN.
func (c *conn) reset() {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// port is a loopback listener whose server can be changed while it runs.
type port struct {
	listener *net.TCPListener
	closing  chan struct{}
	ended    sync.WaitGroup

	mu    sync.Mutex
	serve handler
	conns map[*conn]struct{}
}

// listen opens a free port on 127.0.0.1.
func listen(serve handler) (*port, error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, fmt.Errorf("open a port on loopback: %w", err)
	}
	p := &port{listener: listener, closing: make(chan struct{}), serve: serve, conns: map[*conn]struct{}{}}
	p.ended.Go(p.accept)
	return p, nil
}

// addr returns where the port is.
func (p *port) addr() netip.AddrPort {
	at := p.listener.Addr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

func (p *port) accept() {
	for {
		accepted, err := p.listener.AcceptTCP()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			select {
			case <-p.closing:
			case <-time.After(acceptPause):
			}
		default:
			p.start(&conn{TCPConn: accepted, closed: make(chan struct{})})
		}
	}
}

// start hands the connection to the server of the moment, unless the port is closing.
func (p *port) start(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.closing:
		c.cut()
		return
	default:
	}
	serve := p.serve
	p.conns[c] = struct{}{}
	p.ended.Go(func() {
		defer p.forget(c)
		serve(c)
	})
}

func (p *port) forget(c *conn) {
	_ = c.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.conns, c)
}

// use changes the server and cuts the connections that the old one still has.
func (p *port) use(serve handler) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serve = serve
	p.cutAll()
}

// cutAll wants the lock to be held.
func (p *port) cutAll() {
	for c := range p.conns {
		c.cut()
	}
}

// close ends the port, cuts its connections and waits for their servers.
func (p *port) close() {
	close(p.closing)
	_ = p.listener.Close()
	p.mu.Lock()
	p.cutAll()
	p.mu.Unlock()
	p.ended.Wait()
}

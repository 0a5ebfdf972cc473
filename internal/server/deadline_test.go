package server_test

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailconfd/internal/server"
)

// pipes is a listener in memory, whose connections obey the clock of synctest.
type pipes struct {
	dialed chan net.Conn
	closed chan struct{}
}

func newPipes() pipes { return pipes{make(chan net.Conn), make(chan struct{})} }

func (p pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.dialed:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p pipes) Close() error { close(p.closed); return nil }

func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "memory", Net: "unix"} }

func (p pipes) dial() net.Conn {
	near, far := net.Pipe()
	p.dialed <- far
	return near
}

// TestDeadlines: no client can hold a connection by sending a byte now and then, or
// nothing.
func TestDeadlines(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, first string
		drip        string // sent once a second
		want        string
		most        time.Duration
	}{
		{"silent", "", "", "", 5 * time.Second},
		{"header", "GET " + main + " HTTP/1.1\r\nHost: example.org\r\nX: ", "x", "", 5 * time.Second},
		{"body", "POST " + discover + " HTTP/1.1\r\nHost: example.org\r\nContent-Length: 400\r\n\r\n", "<", "HTTP/1.1 400 ", 11 * time.Second},
		{"idle", "GET " + main + " HTTP/1.1\r\nHost: example.org\r\n\r\n", "", "HTTP/1.1 200 ", 61 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				p, ended := newPipes(), make(chan error)
				go func() { ended <- newServer(t, nil).Serve(ctx, server.Listener{Listener: p, Door: server.Open}) }()
				conn, begin := p.dial(), time.Now()
				dripped := make(chan struct{})
				go func() {
					defer close(dripped)
					tick := time.NewTicker(time.Second)
					defer tick.Stop()
					_, err := io.WriteString(conn, c.first)
					for err == nil && c.drip != "" {
						<-tick.C
						_, err = io.WriteString(conn, c.drip)
					}
				}()
				got, err := io.ReadAll(conn)
				if took := time.Since(begin); err != nil || took > c.most || !strings.HasPrefix(string(got), c.want) {
					t.Errorf("after %v: %.100q, %v", took, got, err)
				}
				_ = conn.Close()
				<-dripped
				cancel()
				if err := <-ended; err != nil {
					t.Errorf("serve: %v", err)
				}
			})
		})
	}
}

// TestCutOff: the end waits for nobody longer than five seconds.
func TestCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		finder := waiting{make(chan struct{}), make(chan struct{})}
		s := newServer(t, func(o *server.Options) { o.Finder = finder })
		ctx, cancel := context.WithCancel(t.Context())
		p, ended := newPipes(), make(chan error)
		go func() { ended <- s.Serve(ctx, server.Listener{Listener: p, Door: server.Open}) }()
		conn := p.dial()
		if _, err := io.WriteString(conn, "GET "+main+" HTTP/1.1\r\nHost: example.org\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		<-finder.asked
		begin := time.Now()
		cancel()
		if err := <-ended; err != nil || time.Since(begin) != 5*time.Second {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
		if got, err := io.ReadAll(conn); len(got) != 0 {
			t.Errorf("got %q, %v", got, err)
		}
		close(finder.answer)
	})
}

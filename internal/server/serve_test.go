package server_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailconfd/internal/server"
)

// waiting is a Finder that says when it is asked and answers when it is told to.
type waiting struct{ asked, answer chan struct{} }

func (w waiting) Find(context.Context, ...string) (string, string, error) {
	w.asked <- struct{}{}
	<-w.answer
	return "main", "example.org", nil
}

// TestGracefulStop: a request that is being answered when the end comes gets its answer,
// and new connections are refused.
func TestGracefulStop(t *testing.T) {
	t.Parallel()
	finder := waiting{make(chan struct{}), make(chan struct{})}
	var log book
	s := newServer(t, func(o *server.Options) { o.Finder, o.Log = finder, slog.New(slog.NewTextHandler(&log, nil)) })
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	l, err := server.Listen(ctx, server.Open, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- s.Serve(ctx, l) }()
	status := make(chan string)
	go func() {
		status <- exchange(t, l.Addr().String(), "GET "+main+" HTTP/1.1\r\nHost: example.org\r\n\r\n")
	}()
	<-finder.asked
	cancel()
	for refused := false; !refused; { // the listener closes at once, though not before cancel returns
		c, err := net.DialTimeout("tcp", l.Addr().String(), time.Second)
		if refused = err != nil; !refused {
			_ = c.Close()
		}
	}
	close(finder.answer)
	if got := <-status; !strings.HasPrefix(got, "HTTP/1.1 200 OK") {
		t.Errorf("got %.100q", got)
	}
	if err := <-ended; err != nil {
		t.Errorf("serve: %v", err)
	}
	for _, want := range []string{"msg=listening addr=" + l.Addr().String() + ` for="mail clients, over http"`, "msg=stopped"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is not in the log:\n%s", want, log.String())
		}
	}
}

func TestListenErrors(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	taken, err := server.Listen(ctx, server.Open, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, c := range []struct {
		door          server.Door
		address, want string
	}{
		{server.Open, taken.Addr().String(), "another program listens there"},
		{server.Secure, "192.0.2.1:0", "this machine has no such address"},
		{server.Admin, "127.0.0.1", `admin_listen "127.0.0.1": address 127.0.0.1: missing port`},
		{server.Redirect, "127.0.0.1:x", "tls.http_listen"},
	} {
		if l, err := server.Listen(ctx, c.door, c.address); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, %v, want %q", c.address, l, err, c.want)
		}
	}
}

// TestServeEndsTogether: when one door cannot be served, none stays open.
func TestServeEndsTogether(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	var listeners []server.Listener
	for _, d := range []server.Door{server.Open, server.Secure, server.Admin} {
		l, err := server.Listen(context.Background(), d, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
	}
	err := s.Serve(context.Background(), listeners...)
	if err == nil || !strings.Contains(err.Error(), "tls.listen") || !strings.Contains(err.Error(), "no certificate") {
		t.Errorf("got %v", err)
	}
	for _, l := range listeners {
		if c, err := net.Dial("tcp", l.Addr().String()); err == nil {
			_ = c.Close()
			t.Errorf("%s: still open", l.Door)
		}
	}
}

func TestAdmin(t *testing.T) {
	t.Parallel()
	var missing error
	s := newServer(t, func(o *server.Options) {
		o.Metrics = prometheus.NewRegistry()
		o.Ready = func() error { return missing }
	})
	h := s.Admin()
	for _, c := range []struct {
		missing      error
		method, path string
		status       int
		want         string
	}{
		{nil, "GET", "/healthz", 200, "alive\n"},
		{errors.New("no provider has been probed yet"), "GET", "/healthz", 200, "alive\n"},
		{nil, "GET", "/readyz", 200, "ready\n"},
		{errors.New("no provider has been probed yet"), "GET", "/readyz", 503, "not ready: no provider has been probed yet\n"},
		{nil, "GET", "/metrics", 200, "mailconfd_http_requests_total"},
		{nil, "GET", "/", 404, "/metrics"},
		{nil, "POST", "/readyz", 405, "read only"},
		{nil, "GET", main, 404, "/metrics"},
	} {
		missing = c.missing
		if w := ask(t, h, c.method, "http://localhost"+c.path, ""); w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
			t.Errorf("%s %s: got %d %.100q, want %d %q", c.method, c.path, w.Code, w.Body, c.status, c.want)
		}
	}
	address := start(t, s, server.Admin)[0]
	if r, body := get(t, client(t, address, nil), "http://admin.example/readyz"); r.StatusCode != 200 || body != "ready\n" {
		t.Errorf("over the network: %d %q", r.StatusCode, body)
	}
}

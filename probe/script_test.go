package probe_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"mailconfd/probe"
	"mailconfd/settings"
)

// TestScripts plays the servers of testdata/*.txtar, with a clock that does not wait.
func TestScripts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) != 5 {
		t.Fatalf("got %q, %v, want five files", files, err)
	}
	cert := newPKI(t).leaf(t, leafOptions{}).pair()
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range archive.Files {
			t.Run(filepath.Base(file)+"/"+c.Name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { playScript(t, string(c.Data), cert) })
			})
		}
	}
}

// script is a case of testdata.
type script struct {
	service     settings.Service
	connections [][]string // what happens on each
	want        []string
	says        []string
}

func parseScript(t *testing.T, text string) script {
	t.Helper()
	var s script
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		word, rest, _ := strings.Cut(line, " ")
		switch {
		case line == "":
		case word == "service":
			var err error
			if s.service, err = settings.ParseService(rest); err != nil {
				t.Fatal(err)
			}
		case line == "CONNECT":
			s.connections = append(s.connections, nil)
		case strings.HasPrefix(line, "want says "):
			s.says = append(s.says, strings.TrimPrefix(rest, "says "))
		case word == "want":
			s.want = append(s.want, rest)
		default:
			last := len(s.connections) - 1
			s.connections[last] = append(s.connections[last], line)
		}
	}
	return s
}

func playScript(t *testing.T, text string, cert tls.Certificate) {
	s := parseScript(t, text)
	network := &stage{t: t, connections: s.connections, cert: cert, end: make(chan struct{})}
	prober := probe.New(probe.Options{
		Resolver: address("192.0.2.1"), Dial: network.dial, Roots: pkiPool(cert), HELO: "client.example.org",
		Now: func() time.Time { return testNow },
	})
	o := prober.Probe(t.Context(), s.service)
	close(network.end)
	network.servers.Wait()

	if network.next != len(s.connections) {
		t.Errorf("%d connections, want %d", network.next, len(s.connections))
	}
	if diff := cmp.Diff(s.want, summary(o)); diff != "" {
		t.Errorf("outcome (-want +got):\n%s\n%v\n%s", diff, o.Addresses[0].Failure, transcripts(o))
	}
	for _, part := range s.says {
		if f := o.Addresses[0].Failure; f == nil || !strings.Contains(f.Detail, part) {
			t.Errorf("the failure is %v, want %q in it", f, part)
		}
	}
	checkBounds(t, o)
}

// summary says an observation of one address in the words of the scripts.
func summary(o settings.Observation) []string {
	a := o.Addresses[0]
	first := "verified " + strings.Join(a.Auth, " ")
	if a.Failure != nil {
		first = "failed " + string(a.Failure.Kind)
	}
	if a.Path != "" {
		first += "\npath " + a.Path
	}
	var warnings []string
	for _, w := range a.Warnings {
		warnings = append(warnings, "warning "+string(w.Kind))
	}
	slices.Sort(warnings)
	return append(strings.Split(first, "\n"), warnings...)
}

// address is a resolver that knows one address for every name.
type address string

func (a address) Addresses(context.Context, string) ([]netip.Addr, bool, error) {
	return []netip.Addr{netip.MustParseAddr(string(a))}, false, nil
}

// stage plays scripts in place of a network.
type stage struct {
	t           *testing.T
	connections [][]string
	cert        tls.Certificate
	end         chan struct{} // closed when nobody looks any more
	servers     sync.WaitGroup
	next        int
}

// dial starts the next connection; when there are no more, they are refused.
func (s *stage) dial(context.Context, string, string) (net.Conn, error) {
	if s.next == len(s.connections) {
		return nil, &net.OpError{Op: "dial", Net: "tcp4", Err: syscall.ECONNREFUSED}
	}
	client, server := net.Pipe()
	conn := &resettable{Conn: client}
	steps := s.connections[s.next]
	s.next++
	s.servers.Go(func() {
		defer server.Close()
		p := &player{stage: s, raw: server, conn: server, client: conn}
		p.reader = bufio.NewReader(p.conn)
		for _, step := range steps {
			if err := p.play(step); err != nil {
				s.t.Errorf("%s: %v", step, err)
				return
			}
		}
	})
	return conn, nil
}

// resettable is a connection whose end can be a reset.
type resettable struct {
	net.Conn
	reset atomic.Bool
}

// Read returns ECONNRESET in place of the end after a reset.
func (r *resettable) Read(p []byte) (int, error) {
	n, err := r.Conn.Read(p)
	if errors.Is(err, io.EOF) && r.reset.Load() {
		return n, &net.OpError{Op: "read", Net: "tcp4", Err: syscall.ECONNRESET}
	}
	return n, err
}

// player is the server's side of one connection.
type player struct {
	*stage
	raw    net.Conn
	conn   net.Conn // raw, or TLS on it
	reader *bufio.Reader
	client *resettable
}

func (p *player) play(step string) error {
	word, rest, _ := strings.Cut(step, " ")
	switch word {
	case "S:":
		return p.send(rest + "\r\n")
	case "RAW":
		text, err := strconv.Unquote(rest)
		if err != nil {
			return err
		}
		return p.send(text)
	case "C:":
		line, err := p.reader.ReadString('\n')
		if line != rest+"\r\n" {
			return fmt.Errorf("the prober says %q, %v", line, err)
		}
		return nil
	case "TLS":
		config := &tls.Config{Certificates: []tls.Certificate{p.cert}}
		if rest == "ASKING" {
			config.ClientAuth = tls.RequestClientCert
		}
		secure := tls.Server(p.conn, config)
		p.conn, p.reader = secure, bufio.NewReader(secure)
		return secure.Handshake()
	case "WAIT":
		pause, err := time.ParseDuration(rest)
		select {
		case <-time.After(pause):
		case <-p.end:
		}
		return err
	case "READ":
		_, err := p.conn.Read(make([]byte, 64<<10))
		return err
	case "REQUEST":
		request, err := http.ReadRequest(p.reader)
		if err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, request.Body)
		if got := request.Method + " " + request.RequestURI; rest != "" && got != rest {
			return fmt.Errorf("the prober says %q", got)
		}
		return err
	case "RESET":
		p.client.reset.Store(true)
		return p.raw.Close()
	case "CLOSE":
		_ = p.conn.Close() // of TLS too, which may find that the prober has left
		return nil
	}
	return errors.New("no such step")
}

// send ignores that the prober may have left in the middle.
func (p *player) send(text string) error {
	_, _ = io.WriteString(p.conn, text)
	return nil
}

package probe_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailconfd/probe"
	"mailconfd/settings"
)

// crowd counts connections.
type crowd struct {
	mu      sync.Mutex
	now     map[string]int
	at      map[string]int // most at one time, by address and port
	inAll   int
	most    int
	lookups int
}

func (c *crowd) come(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now[address]++
	c.inAll++
	c.at[address] = max(c.at[address], c.now[address])
	c.most = max(c.most, c.inAll)
}

func (c *crowd) leave(address string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now[address]--
	c.inAll--
}

// Addresses counts look-ups; all hosts share an address.
func (c *crowd) Addresses(context.Context, string) ([]netip.Addr, bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lookups++
	return []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, false, nil
}

// leaving tells when the prober closes its side.
type leaving struct {
	net.Conn
	once sync.Once
	left func()
}

// Close closes the connection.
func (l *leaving) Close() error {
	l.once.Do(l.left)
	return l.Conn.Close()
}

// TestRound looks at many services: one connection at a time to each address and port,
// not too many in all, and each host looked up once.
func TestRound(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		people := &crowd{now: map[string]int{}, at: map[string]int{}}
		network := &inMemory{serve: func(_ string, conn net.Conn) {
			<-time.After(time.Second)
			_, _ = io.WriteString(conn, "554 go away\r\n")
			_, _ = io.Copy(io.Discard, conn)
		}}
		dial := func(ctx context.Context, kind, address string) (net.Conn, error) {
			people.come(address)
			conn, err := network.dial(ctx, kind, address)
			return &leaving{Conn: conn, left: func() { people.leave(address) }}, err
		}
		prober := probe.New(probe.Options{Resolver: people, Dial: dial, Connections: 5})
		var services []settings.Service
		for _, host := range []string{"a.example.org", "b.example.org", "c.example.org"} {
			services = append(services, settings.Candidates(host)...)
		}
		seen := map[settings.Service]int{}
		var inReport sync.Mutex
		prober.Round(t.Context(), services, func(o settings.Observation) {
			if !inReport.TryLock() {
				t.Error("report is called by two goroutines at once")
			}
			defer inReport.Unlock()
			seen[o.Service]++
			if len(o.Addresses) != 2 {
				t.Errorf("%s: %d addresses", o.Service, len(o.Addresses))
			}
		})
		network.servers.Wait()
		for _, s := range services {
			if seen[s] != 1 {
				t.Errorf("%s: reported %d times", s, seen[s])
			}
		}
		for address, most := range people.at {
			if most != 1 {
				t.Errorf("%s: %d connections at one time", address, most)
			}
		}
		if people.most > 5 || people.inAll != 0 || people.lookups != 3 {
			t.Errorf("%d connections at one time, %d left open, %d look-ups", people.most, people.inAll, people.lookups)
		}
	})
}

// TestCancelledRoundReportsAll cancels while most services wait for their turn.
func TestCancelledRoundReportsAll(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		network := &inMemory{serve: func(_ string, conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }}
		prober := probe.New(probe.Options{Resolver: address("192.0.2.1"), Dial: network.dial, Connections: 2})
		var services []settings.Service
		for _, host := range []string{"a.example.org", "b.example.org"} {
			services = append(services, settings.Candidates(host)...)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		count := 0
		prober.Round(ctx, services, func(o settings.Observation) {
			count++
			if f := o.Addresses[0].Failure; f == nil || f.Kind != settings.FailureLocal {
				t.Errorf("%s: got %v, want local", o.Service, f)
			}
		})
		network.servers.Wait()
		if count != len(services) {
			t.Errorf("%d reports, want %d", count, len(services))
		}
	})
}

// TestDefaults looks at a real port as the zero Options do.
func TestDefaults(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "* BYE not here\r\n")
		_, _ = io.Copy(io.Discard, conn)
		_ = conn.Close()
	}()
	o := probe.New(probe.Options{}).Probe(t.Context(), service(t, "imap://"+listener.Addr().String()))
	_ = listener.Close()
	<-served
	a := o.Addresses[0]
	if a.Failure == nil || a.Failure.Kind != settings.FailureGreeting || !a.Local || o.Vantage != "here" || o.At.IsZero() || a.Took <= 0 {
		t.Errorf("got %+v", o)
	}
}

// TestHELO looks at the name that the prober gives.
func TestHELO(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"probe.example.org":         "EHLO probe.example.org",
		"[192.0.2.99]":              "EHLO [192.0.2.99]",
		"":                          "EHLO ",
		"x\r\nMAIL FROM:<a@b.test>": "",
	} {
		synctest.Test(t, func(t *testing.T) {
			var said string
			o := look(t, "submission://mail.example.org", func(_ string, conn net.Conn) {
				_, _ = io.WriteString(conn, "220 mail.example.org\r\n")
				lines := bufio.NewScanner(conn)
				for lines.Scan() && said == "" {
					if strings.HasPrefix(lines.Text(), "QUIT") {
						return
					}
					said = lines.Text()
				}
			}, func(o *probe.Options) { o.HELO = set })
			if !strings.HasPrefix(said, want) || want == "" && said != "" || strings.Contains(said, "localhost") || said == "EHLO " {
				t.Errorf("%q: said %q\n%s", set, said, transcripts(o))
			}
		})
	}
}

package lab_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"mailconfd/internal/lab"
	"mailconfd/settings"
)

func TestZone(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	for _, c := range []struct {
		name string
		kind uint16
		want string
	}{
		{"example.test.", dns.TypeMX, "NOERROR\nexample.test. 60 IN MX 10 mail.example.test."},
		{"example.test.", dns.TypeA, "NOERROR\nauthority: example.test. SOA"},
		{"mail.example.test.", dns.TypeA, "NOERROR\nmail.example.test. 60 IN A 192.0.2.10"},
		{"mail.example.test.", dns.TypeAAAA, "NOERROR\nmail.example.test. 60 IN AAAA 2001:db8::10"},
		{"autoconfig.example.test.", dns.TypeA, "NXDOMAIN\nauthority: example.test. SOA"},
		{"autoconfig.thunderbird.net.", dns.TypeA, "NXDOMAIN\nauthority: . SOA"},
	} {
		if diff := cmp.Diff(c.want, said(ask(t, internet.Resolver(), "udp", question(c.name, c.kind)))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
	internet.DNS().Fail(lab.Host, lab.DNSServFail)
	if got := said(ask(t, internet.Resolver(), "udp", question("mail.example.test.", dns.TypeA))); got != "SERVFAIL\n" {
		t.Errorf("got %q, want SERVFAIL", got)
	}
}

func TestSetRecordsReplacesWhatItSetBefore(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	answer := func(name string, kind uint16) string {
		got, _, _ := strings.Cut(said(ask(t, internet.Resolver(), "udp", question(name, kind))), "\nauthority")
		return got
	}
	const submission, imaps = "_submission._tcp.example.test.", "_imaps._tcp.example.test."
	internet.SetRecords([]dns.RR{
		rr(t, submission+" 60 IN SRV 0 1 587 mail.example.test."),
		rr(t, imaps+" 60 IN SRV 0 1 993 mail.example.test."),
		rr(t, "example.test. 60 IN MX 5 other.example.test."),
	})
	if got, want := answer("example.test.", dns.TypeMX), "NOERROR\nexample.test. 60 IN MX 5 other.example.test."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	internet.SetRecords([]dns.RR{rr(t, imaps+" 60 IN SRV 0 1 1993 mail.example.test.")})
	for _, c := range []struct {
		name string
		kind uint16
		want string
	}{
		{submission, dns.TypeSRV, "NXDOMAIN"},
		{imaps, dns.TypeSRV, "NOERROR\n" + imaps + " 60 IN SRV 0 1 1993 mail.example.test."},
		{"example.test.", dns.TypeMX, "NOERROR\nexample.test. 60 IN MX 10 mail.example.test."},
	} {
		if diff := cmp.Diff(c.want, answer(c.name, c.kind)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.name, diff)
		}
	}
}

func TestMapHangsServersIn(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	cert, err := internet.CA().Certificate("autoconfig.example.test")
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "hello from "+r.Host)
	}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	t.Cleanup(server.Close)
	if err := internet.Map("Autoconfig.example.test", 443, server.Listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	want := []netip.Addr{netip.MustParseAddr("192.0.2.20"), netip.MustParseAddr("2001:db8::20")}
	if got := internet.Lookup("autoconfig.example.test"); !slices.Equal(got, want) {
		t.Errorf("addresses %v, want %v", got, want)
	}
	via, err := url.Parse(strings.Replace(internet.ProxyURL(), "socks5:", "socks5h:", 1))
	if err != nil {
		t.Fatal(err)
	}
	for how, transport := range map[string]*http.Transport{
		"in process": {DialContext: internet.Dial},
		"by proxy":   {Proxy: http.ProxyURL(via)},
	} {
		transport.TLSClientConfig = &tls.Config{RootCAs: internet.CA().Pool()}
		client := http.Client{Transport: transport, Timeout: patience}
		response, err := client.Get("https://autoconfig.example.test/")
		if err != nil {
			t.Errorf("%s: %v", how, err)
			continue
		}
		body, err := io.ReadAll(response.Body)
		response.Body.Close()
		if err != nil || string(body) != "hello from autoconfig.example.test" {
			t.Errorf("%s: got %q and %v", how, body, err)
		}
		transport.CloseIdleConnections()
	}
	if _, err := internet.Dial(t.Context(), "tcp", "autoconfig.example.test:80"); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a port that is not mapped: got %v, want refused", err)
	}
	if err := internet.Map("autoconfig.example.test", 80, server.Listener.Addr().String()); err != nil {
		t.Error(err)
	}
	if got := internet.Lookup("autoconfig.example.test"); !slices.Equal(got, want) {
		t.Errorf("a second port moved the name to %v", got)
	}
}

func TestMapRefuses(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	for _, c := range []struct {
		name string
		port uint16
		real string
		want string
	}{
		{"www.example.test", 80, "192.0.2.1:80", "is not on loopback"},
		{"www.example.test", 80, "localhost:80", "map www.example.test:80: "},
		{lab.Host, 587, "127.0.0.1:80", "submission://mail.example.test:587 is there"},
	} {
		if err := internet.Map(c.name, c.port, c.real); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s:%d to %s: got %v, want %q", c.name, c.port, c.real, err, c.want)
		}
	}
	for i := range 300 {
		if err := internet.Map(fmt.Sprintf("h%d.example.test", i), 80, "127.0.0.1:80"); err != nil {
			if i < 200 || !strings.Contains(err.Error(), "are taken") {
				t.Errorf("name %d: %v", i, err)
			}
			return
		}
	}
	t.Error("300 names found a place in 192.0.2.0/24")
}

func TestDialErrors(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	var noName *net.DNSError
	if _, err := internet.Dial(t.Context(), "tcp", "nowhere.test:25"); !errors.As(err, &noName) || !noName.IsNotFound {
		t.Errorf("unknown name: got %v", err)
	}
	for at, want := range map[string]error{"mail.example.test:25": syscall.ECONNREFUSED, "192.0.2.77:25": syscall.EHOSTUNREACH, "127.0.0.1:25": syscall.EHOSTUNREACH} {
		var dialing *net.OpError
		if _, err := internet.Dial(t.Context(), "tcp", at); !errors.Is(err, want) || !errors.As(err, &dialing) || dialing.Op != "dial" {
			t.Errorf("%s: got %v, want %v", at, err, want)
		}
	}
	for _, bad := range []string{"mail.example.test", "mail.example.test:x", "mail.example.test:70000", ""} {
		if _, err := internet.Dial(t.Context(), "tcp", bad); err == nil {
			t.Errorf("%q: want an error", bad)
		}
	}
	if err := internet.BreakAt(netip.MustParseAddr("192.0.2.10"), service(t, "imaps"), lab.Fault{Kind: settings.FailureRefused}); err != nil {
		t.Fatal(err)
	}
	for network, works := range map[string]bool{"tcp": true, "tcp4": false, "tcp6": true} {
		conn, err := internet.Dial(t.Context(), network, "mail.example.test:993")
		if works != (err == nil) {
			t.Errorf("%s: got %v, want it to work: %t", network, err, works)
		}
		if err == nil {
			conn.Close()
		}
	}
}

// A fault on one address leaves the other alone, also when it is the server's fault.
func TestBreakAtOneAddress(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	submission := service(t, "submission")
	six := netip.MustParseAddr("2001:db8::10")
	if err := internet.BreakAt(six, submission, lab.Fault{Kind: settings.FailureGreeting}); err != nil {
		t.Fatal(err)
	}
	for ip, want := range map[string]string{"192.0.2.10:587": "220 ", "[2001:db8::10]:587": "554 "} {
		conn, err := internet.Dial(t.Context(), "tcp", ip)
		if err != nil {
			t.Fatal(err)
		}
		raw(t, submission, conn).want(want)
	}
	if err := internet.BreakAt(netip.MustParseAddr("192.0.2.99"), submission, lab.Fault{Kind: settings.FailureGreeting}); err == nil {
		t.Error("an address of nobody: want an error")
	}
}

// Break and Mend cut what is open, and take effect for what comes after.
func TestBreakAndMendCutConnections(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	for _, s := range settings.Candidates(lab.Host) {
		t.Run(address(s), func(t *testing.T) {
			t.Parallel()
			plain, secure, relayed := open(t, internet, s), dial(t, internet, s), through(t, internet, s)
			plain.greeting()
			if err := secure.enter(trusting(internet)); err != nil {
				t.Fatal(err)
			}
			if err := relayed.enter(trusting(internet)); err != nil {
				t.Fatal(err)
			}
			if err := internet.Break(s, settings.FailureTimeout); err != nil {
				t.Fatal(err)
			}
			wantCut(t, plain, secure, relayed)
			pit := open(t, internet, s)
			if _, err := pit.reader.ReadByte(); err != nil {
				t.Fatal(err)
			}
			if err := internet.Break(s, settings.FailureRefused); err != nil {
				t.Fatal(err)
			}
			wantCut(t, pit)
			wantDialError(syscall.ECONNREFUSED)(t, internet, s)
			if err := internet.Mend(s); err != nil {
				t.Fatal(err)
			}
			if err := dial(t, internet, s).enter(trusting(internet)); err != nil {
				t.Errorf("mended: %v", err)
			}
		})
	}
	if err := internet.Mend(settings.Service{}); err == nil {
		t.Error("mend nothing: want an error")
	}
}

// wantCut expects the connections to end soon, one way or another.
func wantCut(t *testing.T, clients ...*client) {
	t.Helper()
	for _, c := range clients {
		if _, err := io.Copy(io.Discard, c.reader); isTimeout(err) {
			t.Errorf("%s: still open", c.service)
		}
	}
}

// Anything may be called at any time from anywhere.
func TestChangesWhileBusy(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	var busy sync.WaitGroup
	for _, s := range settings.Candidates(lab.Host) {
		busy.Go(func() {
			for _, fault := range lab.Faults(s.Security()) {
				if err := internet.BreakAs(s, fault); err != nil {
					t.Error(err)
				}
				if err := internet.Mend(s); err != nil {
					t.Error(err)
				}
			}
		})
		busy.Go(func() {
			for range 50 {
				knock(t, internet, s)
			}
		})
	}
	busy.Go(func() {
		for i := range 50 {
			internet.SetRecords([]dns.RR{rr(t, fmt.Sprintf("_imaps._tcp.example.test. 60 IN SRV 0 1 %d mail.example.test.", i))})
			ask(t, internet.Resolver(), "udp", question("_imaps._tcp.example.test.", dns.TypeSRV))
		}
	})
	busy.Wait()
}

// knock connects, says something and goes away.
func knock(t *testing.T, internet *lab.Internet, s settings.Service) {
	ctx, cancel := context.WithCancel(t.Context())
	if internet.Dials(netip.MustParseAddrPort("192.0.2.10:587"))%2 == 0 {
		cancel()
	}
	defer cancel()
	conn, err := internet.Dial(ctx, "tcp6", address(s))
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "QUIT\r\n")
}

// Close ends everything, whatever it is in the middle of.
func TestCloseWhileBusy(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	internet, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	var clients []*client
	for _, s := range settings.Candidates(lab.Host) {
		healthy, relayed := dial(t, internet, s), through(t, internet, s)
		for _, c := range []*client{healthy, relayed} {
			if err := c.enter(trusting(internet)); err != nil {
				t.Fatal(err)
			}
		}
		clients = append(clients, healthy, relayed, dial(t, internet, s))
	}
	// Faults cut what is open, so they are shown on one address only.
	for i, fault := range []lab.Fault{
		{Kind: settings.FailureTimeout},
		{Kind: settings.FailureTimeout, Variant: lab.VariantSilent},
		{Kind: settings.FailureTooLong},
		{Kind: settings.FailureReset},
		{Kind: settings.FailureTemporary, Variant: lab.VariantClose},
	} {
		s := settings.Candidates(lab.Host)[i]
		if err := internet.BreakAt(netip.MustParseAddr("2001:db8::10"), s, fault); err != nil {
			t.Fatal(err)
		}
		conn, err := internet.Dial(t.Context(), "tcp6", address(s))
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, raw(t, s, conn))
	}
	exchange(t, socks(t, internet), []byte{5, 1, 0}, 2) // left in the middle of the negotiation
	name := &dns.Conn{Conn: dialTCP(t, internet.Resolver())}
	if err := name.WriteMsg(question("mail.example.test.", dns.TypeA)); err != nil {
		t.Fatal(err)
	}
	if _, err := name.ReadMsg(); err != nil {
		t.Fatal(err)
	}

	for range 2 { // closing again does nothing
		if err := internet.Close(); err != nil {
			t.Error(err)
		}
	}
	goleak.VerifyNone(t, ignore)
	wantCut(t, clients...)
	if _, err := net.Dial("tcp", internet.Resolver()); err == nil {
		t.Error("the DNS server still listens")
	}
	if err := internet.Break(service(t, "imaps"), settings.FailureReset); err != nil {
		t.Errorf("break after close: %v", err)
	}
}

func dialTCP(t *testing.T, at string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

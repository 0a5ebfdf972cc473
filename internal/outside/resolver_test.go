package outside_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"mailconfd/internal/outside"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// zone is a DNS server for tests: what it answers to a question, by "NAME TYPE".
type zone struct {
	records map[string][]string // zone file lines
	rude    func(w dns.ResponseWriter, query, answer *dns.Msg) (done bool)

	mu    sync.Mutex
	asked []string // "udp NAME TYPE"
}

func (z *zone) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	q := query.Question[0]
	key := q.Name + " " + dns.TypeToString[q.Qtype]
	z.mu.Lock()
	z.asked = append(z.asked, w.LocalAddr().Network()+" "+key)
	z.mu.Unlock()
	answer := new(dns.Msg).SetReply(query)
	lines, known := z.records[strings.ToLower(key)]
	if !known {
		answer.Rcode = dns.RcodeNameError
	}
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err != nil {
			panic(err)
		}
		answer.Answer = append(answer.Answer, rr)
	}
	if z.rude == nil || !z.rude(w, query, answer) {
		_ = w.WriteMsg(answer)
	}
}

// listenBoth finds a port that is free for UDP and for TCP.
func listenBoth(t *testing.T) (net.PacketConn, net.Listener) {
	t.Helper()
	for range 20 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		streams, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, streams
		}
		_ = packets.Close()
	}
	t.Fatal("no port is free for both UDP and TCP")
	return nil, nil
}

// serve starts the server on one port over UDP and TCP.
func (z *zone) serve(t *testing.T) string {
	t.Helper()
	packets, streams := listenBoth(t)
	for _, server := range []*dns.Server{{PacketConn: packets, Handler: z}, {Listener: streams, Handler: z}} {
		up := make(chan struct{})
		server.NotifyStartedFunc = func() { close(up) }
		done := make(chan struct{})
		go func() {
			defer close(done)
			_ = server.ActivateAndServe()
		}()
		<-up
		t.Cleanup(func() {
			_ = server.Shutdown()
			<-done
		})
	}
	return packets.LocalAddr().String()
}

func (z *zone) resolver(t *testing.T) *outside.Resolver {
	t.Helper()
	r, err := outside.NewResolver(z.serve(t))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func ips(texts ...string) []netip.Addr {
	var all []netip.Addr
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

func sameIP(a, b netip.Addr) bool { return a == b }

func TestAddresses(t *testing.T) {
	t.Parallel()
	z := &zone{records: map[string][]string{
		"mail.example.org. a":    {"mail.example.org. 60 A 192.0.2.2", "mail.example.org. 60 A 192.0.2.1", "mail.example.org. 60 A 192.0.2.1"},
		"mail.example.org. aaaa": {"mail.example.org. 60 AAAA 2001:db8::1"},
		"v4.example.org. a":      {"v4.example.org. 60 A 192.0.2.4"},
		"v4.example.org. aaaa":   {},
		"empty.example.org. a":   {}, "empty.example.org. aaaa": {},
		"alias.example.org. a": {
			"alias.example.org. 60 CNAME b.example.net.", "b.example.net. 60 CNAME c.example.net.",
			"c.example.net. 60 A 192.0.2.9", "evil.example.net. 60 A 192.0.2.66",
		},
		"alias.example.org. aaaa": {"alias.example.org. 60 CNAME b.example.net."},
		"b.example.net. aaaa":     {"b.example.net. 60 AAAA 2001:db8::9"},
		"stray.example.org. a":    {"other.example.org. 60 A 192.0.2.66"},
		"stray.example.org. aaaa": {},
		"case.example.org. a":     {"CASE.Example.ORG. 60 A 192.0.2.5"},
		"case.example.org. aaaa":  {},
		"dangling.example.org. a": {"dangling.example.org. 60 CNAME nowhere.example.org."},
	}}
	r := z.resolver(t)
	for _, test := range []struct {
		host string
		want []netip.Addr
	}{
		{"mail.example.org", ips("192.0.2.1", "192.0.2.2", "2001:db8::1")},
		{"v4.example.org", ips("192.0.2.4")},
		{"empty.example.org", nil},
		{"missing.example.org", nil},
		{"alias.example.org", ips("192.0.2.9", "2001:db8::9")},
		{"stray.example.org", nil},
		{"case.example.org", ips("192.0.2.5")},
		{"dangling.example.org", nil},
		{"192.0.2.77", ips("192.0.2.77")},
		{"2001:db8::77", ips("2001:db8::77")},
	} {
		if _, isAddress := netip.ParseAddr(test.host); isAddress != nil {
			recorded, err := r.AddressRecords(t.Context(), test.host)
			if diff := cmp.Diff(test.want, recorded, cmp.Comparer(sameIP), cmpopts.EquateEmpty()); diff != "" || err != nil {
				t.Errorf("records of %s: %v (-want +got):\n%s", test.host, err, diff)
			}
		}
		got, hosts, err := r.Addresses(t.Context(), test.host)
		if err != nil || hosts {
			t.Errorf("%s: got hosts %v, error %v, want neither", test.host, hosts, err)
		}
		if diff := cmp.Diff(test.want, got, cmp.Comparer(sameIP)); diff != "" {
			t.Errorf("%s: addresses (-want +got):\n%s", test.host, diff)
		}
	}
}

func TestAliasesThatNeverEnd(t *testing.T) {
	t.Parallel()
	z := &zone{records: map[string][]string{
		"loop.example.org. a":    {"loop.example.org. 60 CNAME pool.example.org.", "pool.example.org. 60 CNAME loop.example.org."},
		"loop.example.org. aaaa": {"loop.example.org. 60 CNAME loop.example.org."},
	}}
	if got, _, err := z.resolver(t).Addresses(t.Context(), "loop.example.org"); err == nil {
		t.Errorf("a circle of aliases: got %v and no error", got)
	}
}

func TestAnswersThatDoNotCount(t *testing.T) {
	t.Parallel()
	rcode := func(code int) func(dns.ResponseWriter, *dns.Msg, *dns.Msg) bool {
		return func(w dns.ResponseWriter, query, _ *dns.Msg) bool {
			_ = w.WriteMsg(new(dns.Msg).SetRcode(query, code))
			return true
		}
	}
	for name, test := range map[string]struct {
		rude func(w dns.ResponseWriter, query, answer *dns.Msg) bool
		says string
	}{
		"SERVFAIL": {rcode(dns.RcodeServerFailure), "SERVFAIL"},
		"REFUSED":  {rcode(dns.RcodeRefused), "REFUSED"},
		"another question": {func(_ dns.ResponseWriter, _, answer *dns.Msg) bool {
			answer.Question[0].Name = "evil.example.org."
			return false
		}, "not to our question"},
		"a query in place of an answer": {func(_ dns.ResponseWriter, _, answer *dns.Msg) bool {
			answer.Response = false
			return false
		}, "not to our question"},
		"rubbish": {func(w dns.ResponseWriter, query, _ *dns.Msg) bool {
			_, _ = w.Write([]byte{byte(query.Id >> 8), byte(query.Id), 0x80, 0, 0, 9, 0, 9, 0, 9, 0, 9, 0xff})
			return true
		}, "dns:"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			z := &zone{records: map[string][]string{"mail.example.org. a": {"mail.example.org. 60 A 192.0.2.1"}}, rude: test.rude}
			got, _, err := z.resolver(t).Addresses(t.Context(), "mail.example.org")
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, error %v, want an error with %q", got, err, test.says)
			}
		})
	}
}

func TestOneFamilyFails(t *testing.T) {
	t.Parallel()
	z := &zone{
		records: map[string][]string{
			"mail.example.org. a":  {"mail.example.org. 60 A 192.0.2.1"},
			"empty.example.org. a": {},
		},
		rude: func(w dns.ResponseWriter, query, _ *dns.Msg) bool {
			if query.Question[0].Qtype == dns.TypeAAAA {
				_ = w.WriteMsg(new(dns.Msg).SetRcode(query, dns.RcodeServerFailure))
				return true
			}
			return false
		},
	}
	r := z.resolver(t)
	got, _, err := r.Addresses(t.Context(), "mail.example.org")
	if err != nil || !cmp.Equal(got, ips("192.0.2.1"), cmp.Comparer(sameIP)) {
		t.Errorf("A answers, AAAA fails: got %v, error %v", got, err)
	}
	// Here nothing is known: AAAA might have held the address.
	if got, _, err := r.Addresses(t.Context(), "empty.example.org"); err == nil {
		t.Errorf("A is empty, AAAA fails: got %v and no error", got)
	}
}

func TestCutAnswerComesOverTCP(t *testing.T) {
	t.Parallel()
	z := &zone{
		records: map[string][]string{"mail.example.org. a": {"mail.example.org. 60 A 192.0.2.1"}, "mail.example.org. aaaa": {}},
		rude: func(w dns.ResponseWriter, _, answer *dns.Msg) bool {
			if w.LocalAddr().Network() == "udp" {
				answer.Truncated, answer.Answer = true, nil
			}
			return false
		},
	}
	got, _, err := z.resolver(t).Addresses(t.Context(), "mail.example.org")
	if err != nil || len(got) != 1 {
		t.Errorf("got %v, error %v, want one address", got, err)
	}
}

func TestServerWithoutEDNS(t *testing.T) {
	t.Parallel()
	z := &zone{
		records: map[string][]string{"mail.example.org. a": {"mail.example.org. 60 A 192.0.2.1"}, "mail.example.org. aaaa": {}},
		rude: func(w dns.ResponseWriter, query, _ *dns.Msg) bool {
			if query.IsEdns0() == nil {
				return false
			}
			refusal := new(dns.Msg)
			refusal.Id, refusal.Response, refusal.Rcode = query.Id, true, dns.RcodeFormatError
			_ = w.WriteMsg(refusal)
			return true
		},
	}
	got, _, err := z.resolver(t).Addresses(t.Context(), "mail.example.org")
	if err != nil || len(got) != 1 {
		t.Errorf("got %v, error %v, want one address", got, err)
	}
}

func TestSilentServerEndsWithTheContext(t *testing.T) {
	t.Parallel()
	silent := &zone{rude: func(dns.ResponseWriter, *dns.Msg, *dns.Msg) bool { return true }}
	r := silent.resolver(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, _, err := r.Addresses(ctx, "mail.example.org")
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got error %v, want the deadline", err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	if _, _, err := r.Addresses(ctx, "mail.example.org"); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want the cancellation", err)
	}
}

func TestHostsFileOnlyWhereDNSHasNone(t *testing.T) {
	t.Parallel()
	z := &zone{records: map[string][]string{"mail.example.org. a": {"mail.example.org. 60 A 192.0.2.1"}}}
	hosts := filepath.Join(t.TempDir(), "hosts")
	text := "127.0.1.1 mail.example.org\n127.0.1.1\tbox.example.org box # both\n::1 box\nfe80::1%eth0 box.example.org\nrubbish box.example.org\n"
	if err := os.WriteFile(hosts, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r := outside.WithHosts(z.resolver(t), hosts)
	for _, test := range []struct {
		host  string
		want  []netip.Addr
		hosts bool
	}{
		{"mail.example.org", ips("192.0.2.1"), false},
		{"box.example.org", ips("127.0.1.1"), true},
		{"BOX", ips("127.0.1.1", "::1"), true},
		{"none.example.org", nil, false},
	} {
		got, fromHosts, err := r.Addresses(t.Context(), test.host)
		if err != nil || fromHosts != test.hosts {
			t.Errorf("%s: from hosts %v, error %v, want %v and none", test.host, fromHosts, err, test.hosts)
		}
		if diff := cmp.Diff(test.want, got, cmp.Comparer(sameIP)); diff != "" {
			t.Errorf("%s: addresses (-want +got):\n%s", test.host, diff)
		}
	}
}

func TestSystemWithoutDNSServers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(empty, []byte("search example.org\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hosts := filepath.Join(dir, "hosts")
	if err := os.WriteFile(hosts, []byte("192.0.2.8 box.example.org\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, conf := range []string{empty, filepath.Join(dir, "missing")} {
		r := outside.SystemResolver(conf, hosts)
		if _, _, err := r.Addresses(t.Context(), "mail.example.org"); err == nil || !strings.Contains(err.Error(), "--resolver") {
			t.Errorf("%s: got error %v, want one that says what to do", conf, err)
		}
		got, fromHosts, err := r.Addresses(t.Context(), "box.example.org")
		if err != nil || !fromHosts || len(got) != 1 {
			t.Errorf("%s: got %v, %v, %v, want the address of the hosts file", conf, got, fromHosts, err)
		}
	}
}

func TestMX(t *testing.T) {
	t.Parallel()
	z := &zone{records: map[string][]string{
		"example.org. mx": {"example.org. 60 MX 20 B.example.org.", "example.org. 60 MX 10 z.example.org.", "example.org. 60 MX 20 a.example.org."},
		"null.org. mx":    {"null.org. 60 MX 0 ."},
		"empty.org. mx":   {},
	}}
	r := z.resolver(t)
	for _, test := range []struct {
		domain string
		want   []outside.MX
	}{
		{"example.org", []outside.MX{{"z.example.org", 10}, {"a.example.org", 20}, {"b.example.org", 20}}},
		{"null.org", []outside.MX{{"", 0}}},
		{"empty.org", nil},
		{"missing.org", nil},
	} {
		got, err := r.MX(t.Context(), test.domain)
		if err != nil {
			t.Errorf("%s: %v", test.domain, err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: MX (-want +got):\n%s", test.domain, diff)
		}
	}
	if mx, _ := r.MX(t.Context(), "null.org"); !mx[0].Null() {
		t.Error("a null MX is not told apart")
	}
	for _, bad := range []string{"", "a..b", strings.Repeat("a", 64) + ".org"} {
		if _, err := r.MX(t.Context(), bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestParseServer(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"192.0.2.53": "192.0.2.53:53", "192.0.2.53:5353": "192.0.2.53:5353", "[2001:db8::53]:53": "[2001:db8::53]:53",
		"2001:db8::53": "[2001:db8::53]:53", "[2001:db8::53]": "[2001:db8::53]:53",
	} {
		if got, err := outside.ParseServer(in); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", in, got, err, want)
		}
	}
	for _, bad := range []string{"", "dns.example.org", "dns.example.org:53", "192.0.2.53:0", "192.0.2.53:99999", ":53"} {
		if got, err := outside.ParseServer(bad); err == nil {
			t.Errorf("%q: got %q and no error", bad, got)
		}
	}
}

func FuzzHostsFile(f *testing.F) {
	f.Add("127.0.0.1 localhost\n::1 localhost ip6-localhost # x\n", "localhost")
	f.Add("192.0.2.1\tmail.example.org. mail\r\n", "mail.example.org")
	f.Add("\x00\xff 1 2 3\n#\n\n"+strings.Repeat("x", 5000), "x")
	f.Fuzz(func(t *testing.T, file, host string) {
		for _, ip := range outside.AddressesIn(strings.NewReader(file), host) {
			if !ip.IsValid() || ip.Zone() != "" || ip.Is4In6() {
				t.Errorf("address %v", ip)
			}
		}
	})
}

// TestAddressRecordsOfOneFamily: where one of the two questions fails, the addresses are not known.
func TestAddressRecordsOfOneFamily(t *testing.T) {
	t.Parallel()
	z := &zone{records: map[string][]string{"mail.example.org. a": {"mail.example.org. 60 A 192.0.2.1"}}}
	z.rude = func(_ dns.ResponseWriter, query, answer *dns.Msg) bool {
		if query.Question[0].Qtype == dns.TypeAAAA {
			answer.Rcode = dns.RcodeServerFailure
		}
		return false
	}
	if got, err := z.resolver(t).AddressRecords(t.Context(), "mail.example.org"); err == nil {
		t.Errorf("got %v", got)
	}
}

package drift_test

import (
	"context"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mailconfd/internal/drift"
	"mailconfd/internal/lab"
)

// world is two name servers of the zone example.test and a resolver that knows all, each
// a server of the lab.
type world struct {
	resolver *lab.DNS
	servers  map[netip.Addr]*lab.DNS
	at       func(netip.Addr, *dns.Msg) (*dns.Msg, error) // answers first, if it says something
}

var (
	ns1 = netip.MustParseAddr("192.0.2.1")
	ns2 = netip.MustParseAddr("2001:db8::2")
)

// zone is what example.test has besides the record set.
const zone = `
test.                          3600 SOA  a.test. hostmaster.test. 1 3600 600 86400 60
test.                          3600 NS   a.test.
a.test.                        3600 A    192.0.2.99
example.test.                   300 SOA  ns1.example.test. hostmaster.example.test. 7 3600 600 86400 300
example.test.                   300 NS   ns1.example.test.
example.test.                   300 NS   ns2.example.test.
ns1.example.test.               300 A    192.0.2.1
ns2.example.test.               300 AAAA 2001:db8::2
example.test.                   300 TXT  "v=spf1 -all"
example.test.                   300 DS   1 13 2 0000000000000000000000000000000000000000000000000000000000000000
mail.example.test.              300 A    192.0.2.10
config.hoster.test.             300 A    192.0.2.20
config.hoster.test.             300 AAAA 2001:db8::20
www.hoster.test.                300 A    192.0.2.80
`

// set is the record set of example.test.
const set = `
_submission._tcp.example.test.  300 SRV   0 1 587 mail.example.test.
_submissions._tcp.example.test. 300 SRV   10 1 465 mail.example.test.
_imaps._tcp.example.test.       300 SRV   0 1 993 mail.example.test.
_pop3._tcp.example.test.        300 SRV   0 0 0 .
autoconfig.example.test.        300 CNAME config.hoster.test.
autodiscover.example.test.      300 A     192.0.2.20
autodiscover.example.test.      300 AAAA  2001:db8::20
example.test.                   300 TXT   "mailconf=https://autoconfig.example.test/mail/config-v1.1.xml"
`

func parse(t testing.TB, text string) []dns.RR {
	t.Helper()
	var all []dns.RR
	parser := dns.NewZoneParser(strings.NewReader(text), ".", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		all = append(all, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func wanted(t testing.TB) drift.Want {
	w := drift.Want{
		Domain: "example.test", Records: parse(t, set), TTL: 5 * time.Minute,
		Unverified: []drift.Service{{Owner: "_imap._tcp.example.test.", Host: "mail.example.test", Port: 143, Reason: "never seen to work; refused"}},
	}
	for _, label := range strings.Fields("_submission _submissions _imap _imaps _pop3 _pop3s _sieve") {
		w.Names = append(w.Names, drift.Name{Owner: label + "._tcp.example.test.", Type: "SRV"})
	}
	w.Names = append(w.Names, drift.Name{Owner: "autoconfig.example.test.", Type: "CNAME"},
		drift.Name{Owner: "autodiscover.example.test.", Type: "A"}, drift.Name{Owner: "autodiscover.example.test.", Type: "AAAA"},
		drift.Name{Owner: "example.test.", Type: "TXT", Prefix: "mailconf="})
	return w
}

// newWorld starts the servers, with the zone and the set in all.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{servers: map[netip.Addr]*lab.DNS{}}
	start := func() *lab.DNS {
		d, err := lab.NewDNS()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		return d
	}
	w.resolver, w.servers[ns1], w.servers[ns2] = start(), start(), start()
	w.resolver.Vouch(true)
	w.set(t, zone)
	// Two texts at one name are one set.
	w.set(t, set+`example.test. 300 TXT "v=spf1 -all"`)
	return w
}

// all are the servers, the resolver included.
func (w *world) all() []*lab.DNS { return []*lab.DNS{w.resolver, w.servers[ns1], w.servers[ns2]} }

// set replaces record sets everywhere.
func (w *world) set(t testing.TB, text string) {
	for _, d := range w.all() {
		d.Set(parse(t, text)...)
	}
}

func (w *world) remove(name, kind string) {
	for _, d := range w.all() {
		d.Remove(name, dns.StringToType[kind])
	}
}

func (w *world) Public(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	answer, _, err := new(dns.Client).ExchangeContext(ctx, query, w.resolver.Addr())
	return answer, err
}

func (w *world) At(ctx context.Context, server netip.Addr, query *dns.Msg) (*dns.Msg, error) {
	if w.at != nil {
		if answer, err := w.at(server, query); answer != nil || err != nil {
			return answer, err
		}
	}
	d, known := w.servers[server]
	if !known {
		return nil, os.ErrDeadlineExceeded
	}
	client := &dns.Client{Timeout: 200 * time.Millisecond}
	answer, _, err := client.ExchangeContext(ctx, query, d.Addr())
	return answer, err
}

func (w *world) look(t testing.TB, want drift.Want) drift.Report {
	t.Helper()
	seen, err := drift.Look(t.Context(), w, want)
	if err != nil {
		t.Fatal(err)
	}
	return drift.Compare(want, seen)
}

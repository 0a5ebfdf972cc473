package lab_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"mailconfd/internal/lab"
)

// rr reads a record as a zone file has it.
func rr(t *testing.T, text string) dns.RR {
	t.Helper()
	record, err := dns.NewRR(text)
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func newDNS(t *testing.T, records ...string) *lab.DNS {
	t.Helper()
	server, err := lab.NewDNS()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, text := range records {
		server.Set(rr(t, text))
	}
	return server
}

// ask sends a query to the server by the network, udp or tcp.
func ask(t *testing.T, at, network string, query *dns.Msg) *dns.Msg {
	t.Helper()
	client := dns.Client{Net: network, Timeout: patience}
	answer, _, err := client.ExchangeContext(t.Context(), query, at)
	if err != nil {
		t.Fatalf("%s: %v", network, err)
	}
	answer.Compress = true // so that Len is what was on the wire
	return answer
}

func question(name string, kind uint16) *dns.Msg {
	return new(dns.Msg).SetQuestion(name, kind)
}

// said is an answer in short: its code and its sections.
func said(answer *dns.Msg) string {
	var lines []string
	for _, record := range answer.Answer {
		lines = append(lines, strings.ReplaceAll(record.String(), "\t", " "))
	}
	for _, record := range answer.Ns {
		lines = append(lines, fmt.Sprintf("authority: %s %s", record.Header().Name, dns.TypeToString[record.Header().Rrtype]))
	}
	return dns.RcodeToString[answer.Rcode] + "\n" + strings.Join(lines, "\n")
}

func TestDNSAnswers(t *testing.T) {
	t.Parallel()
	server := newDNS(
		t,
		"example.test. 60 IN SOA ns.example.test. hostmaster.example.test. 1 3600 600 86400 60",
		"example.test. 60 IN MX 10 mail.example.test.",
		"mail.example.test. 60 IN A 192.0.2.10",
		"_imaps._tcp.example.test. 60 IN SRV 0 1 993 mail.example.test.",
		"www.example.test. 60 IN CNAME web.example.test.",
		"web.example.test. 60 IN CNAME mail.example.test.",
		"lost.example.test. 60 IN CNAME nowhere.example.test.",
		"a.example.test. 60 IN CNAME b.example.test.",
		"b.example.test. 60 IN CNAME a.example.test.",
		"away.example.test. 60 IN CNAME elsewhere.test.",
	)
	for _, c := range []struct {
		why, name string
		kind      uint16
		want      string
	}{
		{"a record", "mail.example.test.", dns.TypeA, "NOERROR\nmail.example.test. 60 IN A 192.0.2.10"},
		{"letter case", "MAIL.Example.TEST.", dns.TypeA, "NOERROR\nmail.example.test. 60 IN A 192.0.2.10"},
		{"another type", "mail.example.test.", dns.TypeAAAA, "NOERROR\nauthority: example.test. SOA"},
		{"a name in between", "_tcp.example.test.", dns.TypeSRV, "NOERROR\nauthority: example.test. SOA"},
		{"no wildcards", "x.mail.example.test.", dns.TypeA, "NXDOMAIN\nauthority: example.test. SOA"},
		{"another zone", "autoconfig.thunderbird.net.", dns.TypeA, "NXDOMAIN\nauthority: . SOA"},
		{"a zone that ends alike", "badexample.test.", dns.TypeA, "NXDOMAIN\nauthority: . SOA"},
		{"the root", ".", dns.TypeNS, "NOERROR\nauthority: . SOA"},
		{
			"a chain", "www.example.test.", dns.TypeA,
			"NOERROR\nwww.example.test. 60 IN CNAME web.example.test.\nweb.example.test. 60 IN CNAME mail.example.test.\nmail.example.test. 60 IN A 192.0.2.10",
		},
		{"the alias itself", "web.example.test.", dns.TypeCNAME, "NOERROR\nweb.example.test. 60 IN CNAME mail.example.test."},
		{
			"a chain without the type", "web.example.test.", dns.TypeTXT,
			"NOERROR\nweb.example.test. 60 IN CNAME mail.example.test.\nauthority: example.test. SOA",
		},
		{
			"a chain to nowhere", "lost.example.test.", dns.TypeA,
			"NXDOMAIN\nlost.example.test. 60 IN CNAME nowhere.example.test.\nauthority: example.test. SOA",
		},
		{
			"a chain out of the zone", "away.example.test.", dns.TypeA,
			"NXDOMAIN\naway.example.test. 60 IN CNAME elsewhere.test.\nauthority: . SOA",
		},
		{"any", "example.test.", dns.TypeANY, "REFUSED\n"},
	} {
		for _, network := range []string{"udp", "tcp"} {
			answer := ask(t, server.Addr(), network, question(c.name, c.kind))
			if diff := cmp.Diff(c.want, said(answer)); diff != "" {
				t.Errorf("%s by %s (-want +got):\n%s", c.why, network, diff)
			}
			if !answer.Authoritative {
				t.Errorf("%s: not authoritative", c.why)
			}
		}
	}
	if loop := ask(t, server.Addr(), "udp", question("a.example.test.", dns.TypeA)); len(loop.Answer) == 0 || len(loop.Answer) > 20 {
		t.Errorf("a loop of aliases gives %d records, want some and an end", len(loop.Answer))
	}
}

// A wildcard answers for names that do not exist below the closest one that does (RFC
// 4592, section 2.2.1).
func TestDNSWildcards(t *testing.T) {
	t.Parallel()
	d := newDNS(t,
		"*.example.org. 60 TXT wild", "www.example.org. 60 A 192.0.2.1", "_imaps._tcp.example.org. 60 SRV 0 0 0 .",
		"*.alias.example.org. 60 CNAME www.example.org.")
	for asked, want := range map[string]string{
		"TXT any.example.org.":         "any.example.org.\t60\tIN\tTXT\t\"wild\"",
		"TXT a.b.example.org.":         "a.b.example.org.\t60\tIN\tTXT\t\"wild\"",
		"TXT *.example.org.":           "*.example.org.\t60\tIN\tTXT\t\"wild\"",
		"A any.example.org.":           "NOERROR",
		"TXT www.example.org.":         "NOERROR",
		"TXT a.www.example.org.":       "NXDOMAIN",
		"TXT _pop3._tcp.example.org.":  "NXDOMAIN",
		"A any.alias.example.org.":     "any.alias.example.org.\t60\tIN\tCNAME\twww.example.org.",
		"CNAME any.alias.example.org.": "any.alias.example.org.\t60\tIN\tCNAME\twww.example.org.",
	} {
		kind, name, _ := strings.Cut(asked, " ")
		answer := ask(t, d.Addr(), "udp", question(name, dns.StringToType[kind]))
		got := dns.RcodeToString[answer.Rcode]
		if len(answer.Answer) > 0 {
			got = answer.Answer[0].String()
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", asked, got, want)
		}
	}
}

// The faults that a checker of zones has to tell apart.
func TestDNSZoneFaults(t *testing.T) {
	t.Parallel()
	d := newDNS(t, "example.org. 60 A 192.0.2.1")
	query := question("example.org.", dns.TypeA)
	unchecked := query.Copy()
	unchecked.CheckingDisabled = true
	say := func(query *dns.Msg) string {
		a := ask(t, d.Addr(), "udp", query)
		return fmt.Sprintf("%s aa=%t ad=%t %d", dns.RcodeToString[a.Rcode], a.Authoritative, a.AuthenticatedData, len(a.Answer))
	}
	d.Vouch(true)
	for _, c := range []struct {
		fault lab.DNSFault
		query *dns.Msg
		want  string
	}{
		{"", query, "NOERROR aa=true ad=true 1"},
		{lab.DNSRefused, query, "REFUSED aa=true ad=false 0"},
		{lab.DNSUnauthoritative, query, "NOERROR aa=false ad=false 0"},
		{lab.DNSBogus, query, "SERVFAIL aa=true ad=false 0"},
		{lab.DNSBogus, unchecked, "NOERROR aa=true ad=true 1"},
	} {
		d.Fail("example.org.", c.fault)
		if got := say(c.query); got != c.want {
			t.Errorf("%q: got %s, want %s", c.fault, got, c.want)
		}
	}
	d.Fail("example.org.", "")
	d.Vouch(false)
	if got, want := say(query), "NOERROR aa=true ad=false 1"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDNSSetReplacesOneSet(t *testing.T) {
	t.Parallel()
	server := newDNS(t)
	server.Set(rr(t, "h.test. 60 IN A 192.0.2.1"), rr(t, "h.test. 60 IN A 192.0.2.2"), rr(t, "h.test. 60 IN TXT x"))
	addresses := func() []string {
		var all []string
		for _, record := range ask(t, server.Addr(), "udp", question("h.test.", dns.TypeA)).Answer {
			all = append(all, record.(*dns.A).A.String())
		}
		return all
	}
	if got := addresses(); !slices.Equal(got, []string{"192.0.2.1", "192.0.2.2"}) {
		t.Errorf("got %v, want both", got)
	}
	server.Set(rr(t, "H.test. 60 IN A 192.0.2.3"))
	if got := addresses(); !slices.Equal(got, []string{"192.0.2.3"}) {
		t.Errorf("got %v, want the new one only", got)
	}
	server.Remove("h.TEST", dns.TypeA)
	if got := said(ask(t, server.Addr(), "udp", question("h.test.", dns.TypeA))); !strings.HasPrefix(got, "NOERROR") {
		t.Errorf("got %s, want no data: the TXT record is still there", got)
	}
	server.Remove("h.test.", dns.TypeTXT)
	if got := said(ask(t, server.Addr(), "udp", question("h.test.", dns.TypeA))); !strings.HasPrefix(got, "NXDOMAIN") {
		t.Errorf("got %s, want NXDOMAIN", got)
	}
}

func TestDNSSizes(t *testing.T) {
	t.Parallel()
	server := newDNS(t)
	var many []dns.RR
	for i := range 100 {
		many = append(many, rr(t, fmt.Sprintf("many.test. 60 IN TXT %q", fmt.Sprintf("%050d", i))))
	}
	server.Set(many...)
	query := question("many.test.", dns.TypeTXT)
	if answer := ask(t, server.Addr(), "udp", query); !answer.Truncated || answer.Len() > dns.MinMsgSize {
		t.Errorf("without EDNS0: truncated %t at %d bytes, want at most 512", answer.Truncated, answer.Len())
	}
	query.SetEdns0(65535, true)
	answer := ask(t, server.Addr(), "udp", query)
	if !answer.Truncated || answer.Len() > 1232 || answer.IsEdns0() == nil {
		t.Errorf("with EDNS0: truncated %t at %d bytes, OPT %v", answer.Truncated, answer.Len(), answer.IsEdns0())
	}
	if answer := ask(t, server.Addr(), "tcp", query); answer.Truncated || len(answer.Answer) != 100 {
		t.Errorf("by TCP: truncated %t, %d records, want 100", answer.Truncated, len(answer.Answer))
	}
	query.IsEdns0().SetVersion(1)
	if answer := ask(t, server.Addr(), "udp", query); answer.Rcode != dns.RcodeBadVers {
		t.Errorf("EDNS version 1: got %s, want BADVERS", dns.RcodeToString[answer.Rcode])
	}
}

func TestDNSFaults(t *testing.T) {
	t.Parallel()
	server := newDNS(t, "h.test. 60 IN A 192.0.2.1")
	server.Fail("H.test", lab.DNSServFail)
	if got := said(ask(t, server.Addr(), "udp", question("h.test.", dns.TypeA))); got != "SERVFAIL\n" {
		t.Errorf("got %q, want SERVFAIL", got)
	}
	server.Fail("h.test", lab.DNSSilent)
	client := dns.Client{Timeout: 100 * time.Millisecond}
	if answer, _, err := client.Exchange(question("h.test.", dns.TypeA), server.Addr()); !isTimeout(err) {
		t.Errorf("got %v and %v, want a time-out", answer, err)
	}
	server.Fail("h.test", "")
	if got := said(ask(t, server.Addr(), "udp", question("h.test.", dns.TypeA))); !strings.HasPrefix(got, "NOERROR") {
		t.Errorf("got %q, want the fault to be over", got)
	}
}

func TestDNSRemembersQueries(t *testing.T) {
	t.Parallel()
	server := newDNS(t)
	ask(t, server.Addr(), "udp", question("One.test.", dns.TypeA))
	ask(t, server.Addr(), "tcp", question("two.test.", dns.TypeSRV))
	want := []dns.Question{
		{Name: "One.test.", Qtype: dns.TypeA, Qclass: dns.ClassINET},
		{Name: "two.test.", Qtype: dns.TypeSRV, Qclass: dns.ClassINET},
	}
	if diff := cmp.Diff(want, server.Queries()); diff != "" {
		t.Errorf("queries (-want +got):\n%s", diff)
	}
}

func TestDNSRefusesWhatIsNoQuery(t *testing.T) {
	t.Parallel()
	server := newDNS(t, "h.test. 60 IN A 192.0.2.1")
	update := new(dns.Msg).SetUpdate("test.")
	if answer := ask(t, server.Addr(), "udp", update); answer.Rcode != dns.RcodeNotImplemented {
		t.Errorf("update: got %s, want NOTIMP", dns.RcodeToString[answer.Rcode])
	}
	two := question("h.test.", dns.TypeA)
	two.Question = append(two.Question, two.Question[0])
	if answer := ask(t, server.Addr(), "udp", two); answer.Rcode != dns.RcodeFormatError {
		t.Errorf("two questions: got %s, want FORMERR", dns.RcodeToString[answer.Rcode])
	}
	transfer := ask(t, server.Addr(), "tcp", question("test.", dns.TypeAXFR))
	if transfer.Rcode != dns.RcodeRefused {
		t.Errorf("transfer: got %s, want REFUSED", dns.RcodeToString[transfer.Rcode])
	}
	chaos := question("version.bind.", dns.TypeTXT)
	chaos.Question[0].Qclass = dns.ClassCHAOS
	if answer := ask(t, server.Addr(), "udp", chaos); answer.Rcode != dns.RcodeRefused {
		t.Errorf("another class: got %s, want REFUSED", dns.RcodeToString[answer.Rcode])
	}
}

// Go's own resolver takes the server for its resolver.
func TestDNSServesGoResolver(t *testing.T) {
	t.Parallel()
	server := newDNS(t, "h.test. 60 IN A 192.0.2.1", "h.test. 60 IN AAAA 2001:db8::1", "www.test. 60 IN CNAME h.test.")
	resolver := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, server.Addr())
	}}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	got, err := resolver.LookupHost(ctx, "www.test.")
	slices.Sort(got)
	if err != nil || !slices.Equal(got, []string{"192.0.2.1", "2001:db8::1"}) {
		t.Errorf("got %v and %v, want both addresses", got, err)
	}
	if _, err := resolver.LookupHost(ctx, "nowhere.test."); err == nil || !strings.Contains(err.Error(), "no such host") {
		t.Errorf("got %v, want no such host", err)
	}
}

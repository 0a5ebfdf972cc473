package drift_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"mailconfd/internal/drift"
)

// memory is a world whose only server and resolver know the same records.
type memory []dns.RR

func (m memory) Public(_ context.Context, query *dns.Msg) (*dns.Msg, error) {
	answer := new(dns.Msg).SetReply(query)
	answer.Authoritative = true
	name := dns.CanonicalName(query.Question[0].Name)
	for range 10 {
		alias := ""
		for _, rr := range m {
			if dns.CanonicalName(rr.Header().Name) != name {
				continue
			}
			cname, isAlias := rr.(*dns.CNAME)
			if rr.Header().Rrtype == query.Question[0].Qtype || isAlias {
				answer.Answer = append(answer.Answer, rr)
			}
			if isAlias {
				alias = dns.CanonicalName(cname.Target)
			}
		}
		if alias == "" {
			break
		}
		name = alias
	}
	return answer, nil
}

func (m memory) At(ctx context.Context, _ netip.Addr, query *dns.Msg) (*dns.Msg, error) {
	return m.Public(ctx, query)
}

const apexRecords = `
example.test.      60 SOA ns1.example.test. hostmaster.example.test. 1 3600 600 86400 60
example.test.      60 NS  ns1.example.test.
ns1.example.test.  60 A   192.0.2.1
a.example.test.    60 A   192.0.2.10
b.hoster.test.     60 A   192.0.2.11
`

// drawSet draws SRV records with at most one of each owner, target and port.
func drawSet(t *rapid.T) []dns.RR {
	record := rapid.Custom(func(t *rapid.T) *dns.SRV {
		return &dns.SRV{
			Hdr:      dns.RR_Header{Name: rapid.SampledFrom(wantedNames()).Draw(t, "owner"), Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: 300},
			Priority: rapid.Uint16Range(0, 30).Draw(t, "priority"), Weight: 1, Port: rapid.Uint16Range(1, 3).Draw(t, "port"),
			Target: rapid.SampledFrom([]string{"a.example.test.", "b.hoster.test."}).Draw(t, "target"),
		}
	})
	key := func(r *dns.SRV) string { return r.Hdr.Name + r.Target + string(rune(r.Port)) }
	var all []dns.RR
	for _, r := range rapid.SliceOfNDistinct(record, 1, 8, key).Draw(t, "set") {
		all = append(all, r)
	}
	return all
}

func wantedNames() []string {
	var all []string
	for _, label := range strings.Fields("_submission _submissions _imap _imaps _pop3 _pop3s _sieve") {
		all = append(all, label+"._tcp.example.test.")
	}
	return all
}

// change draws a set that differs from the given one, and where.
func change(t *rapid.T, set []dns.RR) (changed []dns.RR, owner string) {
	i := rapid.IntRange(0, len(set)-1).Draw(t, "which")
	changed = slices.Clone(set)
	srv := dns.Copy(set[i]).(*dns.SRV)
	changed[i] = srv
	switch rapid.IntRange(0, 6).Draw(t, "change") {
	case 0:
		return slices.Delete(changed, i, i+1), srv.Hdr.Name
	case 1:
		srv.Port += 10
	case 2:
		srv.Priority += 100
	case 3:
		srv.Weight = 0
	case 4:
		srv.Target = "c.example.test."
	case 5:
		srv.Hdr.Ttl = 301
	case 6:
		more := dns.Copy(srv).(*dns.SRV)
		more.Port += 10
		return append(changed, more), srv.Hdr.Name
	}
	return changed, srv.Hdr.Name
}

func TestAnyChangeIsFound(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		set := drawSet(t)
		want := drift.Want{Domain: "example.test", Records: set, TTL: 5 * time.Minute}
		for _, owner := range wantedNames() {
			want.Names = append(want.Names, drift.Name{Owner: owner, Type: "SRV"})
		}
		var zone memory
		parser := dns.NewZoneParser(strings.NewReader(apexRecords), ".", "")
		for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
			zone = append(zone, rr)
		}
		compare := func(records []dns.RR) drift.Report {
			seen, err := drift.Look(context.Background(), append(slices.Clone(zone), records...), want)
			if err != nil {
				t.Fatal(err)
			}
			return drift.Compare(want, seen)
		}
		shuffled := rapid.Permutation(set).Draw(t, "order")
		if r := compare(shuffled); r.Drift {
			t.Fatalf("a set differs from itself: %+v", r.Findings)
		}
		changed, owner := change(t, set)
		r := compare(changed)
		if !r.Drift || !slices.ContainsFunc(r.Findings, func(f drift.Finding) bool { return f.Weight == drift.Fault && f.Owner+"." == owner }) {
			t.Fatalf("a change at %s is not found: %+v", owner, r.Findings)
		}
		for _, f := range r.Findings {
			if f.Weight == drift.Fault && f.Owner+"." != owner {
				t.Fatalf("found where nothing changed: %+v", f)
			}
		}
	})
}

// hostile answers everything with one message.
type hostile struct{ message *dns.Msg }

func (h hostile) Public(context.Context, *dns.Msg) (*dns.Msg, error) { return h.message, nil }
func (h hostile) At(context.Context, netip.Addr, *dns.Msg) (*dns.Msg, error) {
	return h.message, nil
}

// FuzzLook: whatever DNS says, a look ends and a comparison makes sense of it.
func FuzzLook(f *testing.F) {
	for _, text := range []string{
		apexRecords + set, "example.test. 60 CNAME example.test.",
		"test. 60 SOA a. b. 1 1 1 1 1\ntest. 60 NS example.test.\nexample.test. 60 A 192.0.2.1\nautoconfig.example.test. 60 CNAME a.test.\na.test. 60 CNAME autoconfig.example.test.",
		". 60 SOA a. b. 1 1 1 1 1\n*.example.test. 60 SRV 0 0 0 .",
	} {
		m := &dns.Msg{Answer: parse(f, text)}
		m.Response, m.Authoritative = true, true
		wire, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	want := wanted(f)
	f.Fuzz(func(t *testing.T, wire []byte) {
		m := new(dns.Msg)
		if m.Unpack(wire) != nil {
			return
		}
		seen, err := drift.Look(t.Context(), hostile{m}, want)
		if err != nil {
			return
		}
		if r := drift.Compare(want, seen); r.Drift && len(r.Findings) == 0 {
			t.Error("drift without a finding")
		}
	})
}

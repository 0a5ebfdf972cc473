package drift_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"mailconfd/internal/drift"
	"mailconfd/internal/lab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// summary says each finding in one line.
func summary(r drift.Report) []string {
	all := []string{}
	for _, f := range r.Findings {
		line := fmt.Sprintf("%s %s %s", f.Kind, f.Owner, f.Type)
		if len(f.Servers) > 0 {
			line += " at " + strings.Join(f.Servers, ", ")
		}
		all = append(all, line)
	}
	return all
}

// services are the labels of the SRV records, in the order in which they are looked at.
var services = []string{"_submission._tcp", "_submissions._tcp", "_imaps._tcp", "_pop3._tcp"}

// missing says that the SRV records at labels are missing.
func missing(labels []string, at ...string) []string {
	var all []string
	for _, label := range labels {
		all = append(all, "missing "+label+".example.test SRV"+strings.Join(at, ""))
	}
	return all
}

// unpublish takes away all that is at labels, everywhere.
func (w *world) unpublish(labels ...string) {
	for _, label := range labels {
		for _, kind := range []string{"SRV", "CNAME", "A", "AAAA"} {
			w.remove(label+".example.test.", kind)
		}
	}
}

// Each row changes the world of a set that is right.
func TestKinds(t *testing.T) {
	t.Parallel()
	const first, second = "ns1.example.test (192.0.2.1)", "ns2.example.test (2001:db8::2)"
	cases := map[string]struct {
		change func(*testing.T, *world)
		want   []string
	}{
		"nothing": {func(*testing.T, *world) {}, nil},
		"missing": {func(t *testing.T, w *world) { w.remove("_imaps._tcp.example.test.", "SRV") }, []string{"missing _imaps._tcp.example.test SRV"}},
		"missing at one server": {func(t *testing.T, w *world) {
			w.servers[ns2].Remove("_imaps._tcp.example.test.", dns.TypeSRV)
		}, []string{"missing _imaps._tcp.example.test SRV at " + second}},
		"extra": {func(t *testing.T, w *world) {
			w.set(t, `_sieve._tcp.example.test. 300 SRV 0 1 4190 old.example.test.`)
		}, []string{"extra _sieve._tcp.example.test SRV"}},
		"unverified": {func(t *testing.T, w *world) {
			w.set(t, "_imap._tcp.example.test. 300 SRV 0 1 143 MAIL.example.test.\n_imap._tcp.example.test. 300 SRV 0 1 143 old.example.test.")
		}, []string{"unverified _imap._tcp.example.test SRV", "extra _imap._tcp.example.test SRV"}},
		"different": {func(t *testing.T, w *world) {
			w.set(t, `_imaps._tcp.example.test. 300 SRV 0 1 443 mail.example.test.`)
		}, []string{"different _imaps._tcp.example.test SRV"}},
		"another priority": {func(t *testing.T, w *world) {
			w.set(t, `_imaps._tcp.example.test. 300 SRV 5 1 993 mail.example.test.`)
		}, []string{"different _imaps._tcp.example.test SRV"}},
		"no longer not offered": {func(t *testing.T, w *world) { w.remove("_pop3._tcp.example.test.", "SRV") }, []string{"missing _pop3._tcp.example.test SRV"}},
		"letter case is the same": {func(t *testing.T, w *world) {
			w.set(t, `_IMAPS._tcp.Example.test. 300 SRV 0 1 993 MAIL.example.TEST.`)
		}, nil},
		"a shorter TTL is the same": {func(t *testing.T, w *world) {
			w.set(t, `_imaps._tcp.example.test. 60 SRV 0 1 993 mail.example.test.`)
		}, nil},
		"a longer TTL": {func(t *testing.T, w *world) {
			w.set(t, `_imaps._tcp.example.test. 86400 SRV 0 1 993 mail.example.test.`)
		}, []string{"ttl_too_long _imaps._tcp.example.test SRV"}},
		"an alias of the same records": {func(t *testing.T, w *world) {
			w.remove("_imaps._tcp.example.test.", "SRV")
			w.set(t, "_imaps._tcp.example.test. 300 CNAME _imaps._tcp.hoster.test.")
			w.resolver.Set(parse(t, "_imaps._tcp.hoster.test. 300 SRV 0 1 993 mail.example.test.")...)
		}, nil},
		"an alias of other records": {func(t *testing.T, w *world) {
			w.remove("_imaps._tcp.example.test.", "SRV")
			w.set(t, "_imaps._tcp.example.test. 300 CNAME _imaps._tcp.hoster.test.")
			w.resolver.Set(parse(t, "_imaps._tcp.hoster.test. 300 SRV 0 1 993 old.example.test.")...)
		}, []string{"different _imaps._tcp.example.test SRV"}},
		"an alias that leads nowhere": {func(t *testing.T, w *world) {
			w.remove("_imaps._tcp.example.test.", "SRV")
			w.set(t, "_imaps._tcp.example.test. 300 CNAME _imaps._tcp.hoster.test.")
		}, []string{"missing _imaps._tcp.example.test SRV"}},
		"a wildcard leads to a web site": {func(t *testing.T, w *world) {
			w.remove("autoconfig.example.test.", "CNAME")
			w.set(t, "*.example.test. 300 CNAME www.hoster.test.")
		}, []string{"wildcard autoconfig.example.test CNAME"}},
		"a wildcard with addresses": {func(t *testing.T, w *world) {
			w.remove("autodiscover.example.test.", "A")
			w.remove("autodiscover.example.test.", "AAAA")
			w.set(t, "*.example.test. 300 AAAA 2001:db8::80")
		}, []string{"wildcard autodiscover.example.test A"}},
		"a wildcard that stands behind": {func(t *testing.T, w *world) {
			w.set(t, "*.example.test. 300 CNAME www.hoster.test.")
		}, nil},
		"a wildcard of SRV": {func(t *testing.T, w *world) {
			w.set(t, "*._tcp.example.test. 300 SRV 0 1 1 www.hoster.test.")
		}, []string{"wildcard _imap._tcp.example.test SRV", "wildcard _pop3s._tcp.example.test SRV", "wildcard _sieve._tcp.example.test SRV"}},
		"the host name is another's alias": {func(t *testing.T, w *world) {
			w.set(t, "autoconfig.example.test. 300 CNAME www.hoster.test.")
		}, []string{"different autoconfig.example.test CNAME"}},
		"the host name is an alias by way of another": {func(t *testing.T, w *world) {
			w.set(t, "autoconfig.example.test. 300 CNAME autoconfig.hoster.test.\nautoconfig.hoster.test. 300 CNAME config.hoster.test.")
		}, nil},
		"addresses in place of the alias": {func(t *testing.T, w *world) {
			w.remove("autoconfig.example.test.", "CNAME")
			w.set(t, "autoconfig.example.test. 300 A 192.0.2.20\nautoconfig.example.test. 300 AAAA 2001:db8::20")
		}, nil},
		"fewer addresses in place of the alias": {func(t *testing.T, w *world) {
			w.remove("autoconfig.example.test.", "CNAME")
			w.set(t, "autoconfig.example.test. 300 A 192.0.2.20")
		}, []string{"different autoconfig.example.test CNAME"}},
		"the alias in place of addresses": {func(t *testing.T, w *world) {
			w.remove("autodiscover.example.test.", "A")
			w.remove("autodiscover.example.test.", "AAAA")
			w.set(t, "autodiscover.example.test. 300 CNAME config.hoster.test.")
		}, nil},
		"another address": {func(t *testing.T, w *world) {
			w.set(t, "autodiscover.example.test. 300 A 192.0.2.21")
		}, []string{"different autodiscover.example.test A"}},
		"another text, beside the texts of others": {func(t *testing.T, w *world) {
			w.set(t, `example.test. 300 TXT "v=spf1 -all"`+"\n"+`example.test. 300 TXT "mailconf=https://" "old.example.test/"`)
		}, []string{"different example.test TXT"}},
		"a target that is an alias": {func(t *testing.T, w *world) {
			w.remove("mail.example.test.", "A")
			w.set(t, "mail.example.test. 300 CNAME www.hoster.test.")
		}, []string{"target_is_alias mail.example.test CNAME"}},
		"a target without an address": {func(t *testing.T, w *world) { w.remove("mail.example.test.", "A") }, []string{"target_without_address mail.example.test A"}},
		"a target that cannot be looked up": {func(t *testing.T, w *world) {
			w.resolver.Fail("mail.example.test.", lab.DNSServFail)
		}, []string{"target_without_address mail.example.test A"}},
		"no such domain": {func(t *testing.T, w *world) {
			for _, rr := range slices.Concat(parse(t, zone), parse(t, set)) {
				if dns.IsSubDomain("example.test.", rr.Header().Name) {
					w.resolver.Remove(rr.Header().Name, rr.Header().Rrtype)
				}
			}
		}, []string{"no_domain example.test "}},
		"lame: refused": {func(t *testing.T, w *world) {
			w.servers[ns2].Fail("example.test.", lab.DNSRefused)
		}, []string{"lame example.test  at " + second}},
		"lame: by hearsay": {func(t *testing.T, w *world) {
			w.servers[ns2].Fail("example.test.", lab.DNSUnauthoritative)
		}, []string{"lame example.test  at " + second}},
		"lame: silent": {func(t *testing.T, w *world) { w.servers[ns2].Fail("example.test.", lab.DNSSilent) }, []string{"lame example.test  at " + second}},
		"lame: one name fails": {func(t *testing.T, w *world) {
			w.servers[ns1].Fail("_imaps._tcp.example.test.", lab.DNSServFail)
		}, []string{"lame example.test  at " + first}},
		"lame: no SOA":      {func(t *testing.T, w *world) { w.servers[ns1].Remove("example.test.", dns.TypeSOA) }, []string{"lame example.test  at " + first}},
		"lame: no address":  {func(t *testing.T, w *world) { w.remove("ns2.example.test.", "AAAA") }, []string{"lame example.test  at ns2.example.test"}},
		"lame: none at all": {func(t *testing.T, w *world) { w.remove("example.test.", "NS") }, []string{"lame example.test "}},
		"all lame, and a record is missing": {func(t *testing.T, w *world) {
			w.servers[ns1].Fail("example.test.", lab.DNSRefused)
			w.servers[ns2].Fail("example.test.", lab.DNSRefused)
			w.resolver.Remove("_imaps._tcp.example.test.", dns.TypeSRV)
		}, []string{
			"missing _imaps._tcp.example.test SRV at resolver",
			"lame example.test  at " + first, "lame example.test  at " + second,
		}},
		"an address that cannot be reached from here": {func(t *testing.T, w *world) {
			w.at = func(ip netip.Addr, _ *dns.Msg) (*dns.Msg, error) {
				if ip == ns2 {
					return nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}
				}
				return nil, nil
			}
		}, []string{"not_asked example.test  at " + second}},
		"a secondary that lags": {func(t *testing.T, w *world) {
			w.servers[ns2].Set(parse(t, "example.test. 300 SOA ns1.example.test. hostmaster.example.test. 6 3600 600 86400 300")...)
		}, []string{"serials_differ example.test SOA"}},
		"the parent zone names others": {func(t *testing.T, w *world) {
			w.at = func(ip netip.Addr, query *dns.Msg) (*dns.Msg, error) {
				if ip != netip.MustParseAddr("192.0.2.99") {
					return nil, nil
				}
				answer := new(dns.Msg).SetReply(query)
				answer.Ns = parse(t, "example.test. 300 NS ns1.example.test.\nexample.test. 300 NS www.hoster.test.")
				return answer, nil
			}
		}, []string{"lame example.test  at www.hoster.test (192.0.2.80)", "delegation_differs example.test NS"}},
		"the resolver still has the old": {func(t *testing.T, w *world) {
			w.resolver.Set(parse(t, "_imaps._tcp.example.test. 300 SRV 0 1 993 old.example.test.")...)
		}, []string{"public_differs _imaps._tcp.example.test SRV at resolver"}},
		"negative TTL": {func(t *testing.T, w *world) {
			w.set(t, "example.test. 7200 SOA ns1.example.test. hostmaster.example.test. 7 3600 600 86400 3600")
		}, []string{"negative_ttl_too_long example.test SOA"}},
		"unsigned":      {func(t *testing.T, w *world) { w.remove("example.test.", "DS") }, []string{"unsigned example.test DS"}},
		"not validated": {func(t *testing.T, w *world) { w.resolver.Vouch(false) }, []string{"not_validated example.test "}},
		"bogus": {func(t *testing.T, w *world) {
			w.resolver.Fail("example.test.", lab.DNSBogus)
		}, []string{"bogus example.test "}},
		"optional: no SRV record": {func(_ *testing.T, w *world) { w.unpublish(services...) }, []string{"unpublished example.test "}},
		"optional: nothing at all": {func(_ *testing.T, w *world) {
			w.unpublish(append(services, "autoconfig", "autodiscover")...)
		}, []string{"unpublished example.test "}},
		"optional: one host name": {func(_ *testing.T, w *world) {
			w.unpublish(append(services, "autodiscover")...)
		}, []string{"missing autodiscover.example.test A", "unpublished example.test "}},
		"optional: one is there":    {func(_ *testing.T, w *world) { w.unpublish(services[1:]...) }, missing(services[1:])},
		"optional: all is there":    {func(*testing.T, *world) {}, nil},
		"nothing, and it should be": {func(_ *testing.T, w *world) { w.unpublish(services...) }, missing(services)},
		"optional: a record of something else": {func(t *testing.T, w *world) {
			w.unpublish(services...)
			w.set(t, `_sieve._tcp.example.test. 300 SRV 0 1 4190 old.example.test.`)
		}, append(missing(services), "extra _sieve._tcp.example.test SRV")},
		"optional: one server has them": {func(_ *testing.T, w *world) {
			for _, label := range services {
				w.servers[ns1].Remove(label+".example.test.", dns.TypeSRV)
			}
		}, missing(services, " at "+"ns1.example.test (192.0.2.1)")},
	}
	var kinds []drift.Kind
	for name, c := range cases {
		for _, line := range c.want {
			kind, _, _ := strings.Cut(line, " ")
			kinds = append(kinds, drift.Kind(kind))
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.change(t, w)
			want := wanted(t)
			want.Optional = strings.HasPrefix(name, "optional: ")
			report := w.look(t, want)
			if diff := cmp.Diff(append([]string{}, c.want...), summary(report)); diff != "" {
				t.Errorf("findings (-want +got):\n%s\n%+v", diff, report)
			}
			fault := false
			for _, f := range report.Findings {
				fault = fault || f.Weight == drift.Fault
				if f.Detail == "" || f.Remedy == "" {
					t.Errorf("a finding that says nothing: %+v", f)
				}
			}
			if report.Drift != fault {
				t.Errorf("drift %t", report.Drift)
			}
		})
	}
	for _, kind := range drift.Kinds() {
		if !slices.Contains(kinds, kind) {
			t.Errorf("no case finds %s", kind)
		}
	}
}

// An alias that is wanted is compared as one: the zone of a customer.
func TestDelegated(t *testing.T) {
	t.Parallel()
	const customer = `
customer.test. 300 SOA ns1.example.test. hostmaster.example.test. 7 3600 600 86400 300
customer.test. 300 NS ns1.example.test.
customer.test. 300 DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000
`
	want := drift.Want{Domain: "customer.test", Records: parse(t, `
_imaps._tcp.customer.test. 300 CNAME _imaps._tcp.example.test.
_pop3s._tcp.customer.test. 300 CNAME _pop3s._tcp.example.test.
autoconfig.customer.test. 300 CNAME autoconfig.example.test.
`), Names: []drift.Name{{Owner: "_imaps._tcp.customer.test.", Type: "SRV"}, {Owner: "_imaps._tcp.customer.test.", Type: "TXT"}, {Owner: "_pop3s._tcp.customer.test.", Type: "SRV"}, {Owner: "autoconfig.customer.test.", Type: "CNAME"}}}
	for name, c := range map[string]struct {
		zone string
		want []string
	}{
		"right": {`
_imaps._tcp.example.test. 300 TXT "path=/dav/"
_imaps._tcp.customer.test. 300 CNAME _imaps._tcp.example.test.
_pop3s._tcp.customer.test. 300 CNAME _pop3s._tcp.example.test.
autoconfig.customer.test. 300 CNAME autoconfig.example.test.`, []string{}},
		"a set of its own, another's alias, nothing, too long": {`
_imaps._tcp.customer.test. 300 SRV 0 1 993 mail.example.test.
autoconfig.customer.test. 3000 CNAME autoconfig.example.test.`, []string{
			"missing _pop3s._tcp.customer.test CNAME", "different _imaps._tcp.customer.test CNAME", "ttl_too_long autoconfig.customer.test CNAME",
		}},
		"another's alias": {`
_imaps._tcp.customer.test. 300 CNAME _imaps._tcp.old.test.
_pop3s._tcp.customer.test. 300 CNAME _pop3s._tcp.example.test.
autoconfig.customer.test. 300 CNAME www.hoster.test.`, []string{
			"different _imaps._tcp.customer.test CNAME", "different autoconfig.customer.test CNAME",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.set(t, customer+c.zone)
			if diff := cmp.Diff(c.want, summary(w.look(t, want))); diff != "" {
				t.Errorf("findings (-want +got):\n%s", diff)
			}
		})
	}
}

// An error is our own resolver's, or the end of ctx; it is never a finding.
func TestLookErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.resolver.Fail("example.test.", lab.DNSServFail)
	if _, err := drift.Look(t.Context(), w, wanted(t)); err == nil || !strings.Contains(err.Error(), "find the zone of example.test: the resolver answers SERVFAIL") {
		t.Errorf("%v", err)
	}
	w = newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	w.at = func(netip.Addr, *dns.Msg) (*dns.Msg, error) {
		cancel()
		return nil, ctx.Err()
	}
	if _, err := drift.Look(ctx, w, wanted(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// Counts has a number for every kind.
func TestCounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remove("_imaps._tcp.example.test.", "SRV")
	w.remove("_submission._tcp.example.test.", "SRV")
	counts := w.look(t, wanted(t)).Counts()
	if len(counts) != len(drift.Kinds()) || counts[drift.Missing] != 2 || counts[drift.Extra] != 0 {
		t.Errorf("%v", counts)
	}
}

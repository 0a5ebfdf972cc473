package publish_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/miekg/dns"

	"mailconfd/internal/publish"
)

// What is wanted and cannot be written does not count: the domain keeps what it has.
func TestKeepsTheLastRecordWhereAnotherIsInTheWay(t *testing.T) {
	t.Parallel()
	p, z := primary(t, zoneText)
	if _, err := z.Publish(t.Context(), want(t, "_imaps._tcp.example.org. 300 IN SRV 0 1 993 mail.example.org.", "_submission._tcp.example.org. 300 IN SRV 0 1 587 mail.example.org.")); err != nil {
		t.Fatal(err)
	}
	if err := p.Edit("_imap._tcp.example.org. 300 IN SRV 0 0 0 ."); err != nil {
		t.Fatal(err)
	}
	job := want(t, "_imap._tcp.example.org. 300 IN SRV 0 1 143 mail.example.org.", "_submission._tcp.example.org. 300 IN SRV 0 1 587 mail.example.org.")
	job.KeepLast = true
	plan, err := z.Publish(t.Context(), job)
	if err != nil || len(plan.Delete) > 0 || !anyHolds(p.Records(), "993 mail.example.org.") {
		t.Errorf("%v, %v; %s", plan.Lines(), err, p.Records())
	}
	if len(plan.Held) != 1 || !plan.Held[0].Last || !strings.Contains(plan.Held[0].String(), "993 mail.example.org.") {
		t.Errorf("held: %v", plan.Held)
	}
	job.KeepLast = false
	if _, err := z.Publish(t.Context(), job); err != nil || anyHolds(p.Records(), "993 mail.example.org.") {
		t.Errorf("asked for: %v; %s", err, p.Records())
	}
}

// An alias that cannot stand beside a record of a rare type costs no address, whether the server shows
// everything that a name has or not, and whether the record is there at first or comes meanwhile.
func TestAliasBesideRareRecordTakesNothingAway(t *testing.T) {
	t.Parallel()
	const theirs = "autoconfig.example.org. 300 IN A 192.0.2.80"
	rare := map[string]string{
		"SSHFP": hostKey, "TLSA": "autoconfig.example.org. 300 IN TLSA 3 1 1 " + strings.Repeat("ab", 32),
		"LOC": "autoconfig.example.org. 300 IN LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m", "CAA": `autoconfig.example.org. 300 IN CAA 0 issue "ca.example"`,
		"NAPTR": `autoconfig.example.org. 300 IN NAPTR 1 1 "u" "E2U+sip" "!x!y!" .`, "HINFO": `autoconfig.example.org. 300 IN HINFO "a" "b"`,
	}
	for name, record := range rare {
		for how, anyShows := range map[string]func(*dns.Msg){
			"everything": func(*dns.Msg) {},
			"one set":    func(answer *dns.Msg) { answer.Answer = answer.Answer[:min(1, len(answer.Answer))] },
			"a refusal":  func(answer *dns.Msg) { answer.Answer, answer.Rcode = nil, dns.RcodeNotImplemented },
		} {
			for _, meanwhile := range []bool{false, true} {
				p, z := primary(t, zoneText)
				before := p.Records()
				edits := []string{theirs, record}
				if meanwhile {
					var once sync.Once
					p.Before(func(*dns.Msg) { once.Do(func() { _ = p.Edit(record) }) })
					edits = edits[:1]
				}
				if err := p.Edit(edits...); err != nil {
					t.Fatal(err)
				}
				p.Fail(func(query, answer *dns.Msg, _ dns.ResponseWriter) bool {
					if query.Opcode == dns.OpcodeQuery && query.Question[0].Qtype == dns.TypeANY {
						anyShows(answer)
					}
					return false
				})
				job := want(t, alias, imaps)
				job.Mode = publish.Adopt
				done, err := z.Publish(t.Context(), job)
				if c := done.Conflicts(); err != nil || len(c) != 1 || c[0].Adoptable() || !strings.Contains(c[0].String(), name) {
					t.Errorf("%s, ANY shows %s, meanwhile %v: %v, conflicts %v", name, how, meanwhile, err, c)
				}
				holds(t, p, before, theirs, record, imaps)
			}
		}
	}
}

// TestUnknownTypeBesideAlias: what neither we know nor the server shows is met only by the alias that does
// not come about: what went for it is put back.
func TestUnknownTypeBesideAlias(t *testing.T) {
	t.Parallel()
	for name, ours := range map[string]bool{"theirs": false, "ours": true} {
		p, z := primary(t, zoneText)
		before := p.Records()
		const unknown = `autoconfig.example.org. 300 IN TYPE65280 \# 1 00`
		if ours {
			mustPublish(t, z, want(t, address))
		} else if err := p.Edit(address); err != nil {
			t.Fatal(err)
		}
		if err := p.Edit(unknown); err != nil {
			t.Fatal(err)
		}
		p.Fail(func(query, answer *dns.Msg, _ dns.ResponseWriter) bool {
			answer.Answer = slices.DeleteFunc(answer.Answer, func(rr dns.RR) bool {
				return query.Opcode == dns.OpcodeQuery && rr.Header().Rrtype == 65280
			})
			return false
		})
		marked := p.Records()
		job := want(t, alias)
		job.Mode = publish.Adopt
		done, err := z.Publish(t.Context(), job)
		if e := errorOf(t, err); e.Kind != publish.KindNotApplied || len(done.Add)+len(done.Delete) > 0 {
			t.Errorf("%s: %v, done %v", name, err, done.Lines())
		}
		holds(t, p, before, address, unknown)
		if now := p.Records(); len(now) != len(marked) {
			t.Errorf("%s: the markers are others: %v", name, now)
		}
	}
}

// TestAliasInSignedZone: where the server leaves out an alias that takes the place of something, it is added
// once that is gone; and what went is put back when it cannot be.
func TestAliasInSignedZone(t *testing.T) {
	t.Parallel()
	p, z := primary(t, zoneText)
	p.Sign(true)
	before := p.Records()
	const aliased = "_imaps._tcp.example.org. 3600 IN CNAME _imaps._tcp.hoster.example."
	mustPublish(t, z, want(t, imaps, address))
	if plan := mustPublish(t, z, want(t, aliased, alias)); len(plan.Add) != 2 || len(plan.Delete) != 2 {
		t.Errorf("done: %v", plan.Lines())
	}
	holds(t, p, before, aliased, alias)
	if plan := mustPublish(t, z, want(t, aliased, alias)); !plan.Empty() || len(plan.Keep) != 2 {
		t.Errorf("a second time: %v", plan.Lines())
	}
	mustPublish(t, z, want(t, imaps, address))
	var once sync.Once
	theirs := "_imaps._tcp.example.org. 60 IN A 192.0.2.99"
	p.Before(func(m *dns.Msg) {
		if len(m.Ns) == 2 { // the aliases by themselves: somebody is faster
			once.Do(func() { _ = p.Edit(theirs) })
		}
	})
	plan, err := z.Publish(t.Context(), want(t, aliased, alias))
	if c := plan.Conflicts(); err != nil || len(c) != 1 || c[0].Why != publish.WhyAlias {
		t.Errorf("%v, conflicts %v", err, c)
	}
	holds(t, p, before, imaps, theirs, alias)
}

// TestTextAtServiceName: a TXT record beside an SRV record of ours (RFC 6764 section 4) is ours like any other.
func TestTextAtServiceName(t *testing.T) {
	t.Parallel()
	p, z := primary(t, zoneText)
	before := p.Records()
	const service, path, other = "_caldavs._tcp.example.org. 300 IN SRV 0 1 443 dav.example.org.", `_caldavs._tcp.example.org. 300 IN TXT "path=/dav/"`, `_caldavs._tcp.example.org. 300 IN TXT "path=/cal/"`
	mustPublish(t, z, want(t, service, path))
	holds(t, p, before, service, path)
	mustPublish(t, z, want(t, service, other))
	holds(t, p, before, service, other)
	const aliased = "_caldavs._tcp.example.org. 300 IN CNAME _caldavs._tcp.hoster.example."
	mustPublish(t, z, want(t, aliased))
	holds(t, p, before, aliased)
	mustPublish(t, z, want(t, service, path))
	holds(t, p, before, service, path)
	mustPublish(t, z, publish.Job{Mode: publish.TakeBack})
	holds(t, p, before)
}

// A server that speaks of a key where there is none is an error, not the end.
func TestTSIGErrorWithoutKey(t *testing.T) {
	t.Parallel()
	p, z := primary(t, zoneText)
	z.Key = nil
	p.Fail(func(_, answer *dns.Msg, w dns.ResponseWriter) bool {
		answer.Rcode = dns.RcodeRefused
		answer.Extra = append(answer.Extra, &dns.TSIG{
			Hdr:       dns.RR_Header{Name: "mailconfd.", Rrtype: dns.TypeTSIG, Class: dns.ClassANY},
			Algorithm: dns.HmacSHA256, Error: dns.RcodeBadKey,
		})
		wire, _ := answer.Pack()
		_, _ = w.Write(wire)
		return true
	})
	if _, err := z.Publish(t.Context(), want(t, "_imaps._tcp.example.org. 300 IN SRV 0 1 993 mail.example.org.")); err == nil {
		t.Error("no error")
	}
}

func anyHolds(records []string, text string) bool {
	return slices.ContainsFunc(records, func(r string) bool { return strings.Contains(r, text) })
}

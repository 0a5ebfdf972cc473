//go:build real

package real

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"mailconfd/internal/publish"
)

// These tests call the package that sends updates, and not the program: record sets of any kind, clocks that are
// wrong, and hundreds of runs at once are beyond its command line. publishzone_test.go has the program.

// The ports of the name servers. The namespace is ours alone.
const (
	bindAddress   = "127.0.0.1:5301"
	knotAddress   = "127.0.0.1:5302"
	secondAddress = "127.0.0.1:5303"
)

// eachPrimary runs a test against BIND and against Knot DNS.
func eachPrimary(t *testing.T, test func(*testing.T, *primary)) {
	requireOwnNamespace(t)
	t.Run("bind", func(t *testing.T) { test(t, startBIND(t, bindAddress, foreignRecords)) })
	t.Run("knot", func(t *testing.T) { test(t, startKnot(t, knotAddress, foreignRecords)) })
}

// zoneOf is the zone as mailconfd has it, with a key.
func (p *primary) zoneOf(t testing.TB, name string) publish.Zone {
	t.Helper()
	key, err := publish.NewKey(name, publish.HMACSHA256, secretOf(name))
	if err != nil {
		t.Fatal(err)
	}
	return publish.Zone{Name: domain, Server: p.address, Key: key}
}

func record(t testing.TB, line string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(line)
	if err != nil || rr == nil {
		t.Fatalf("%q: %v", line, err)
	}
	return rr
}

func wanted(t testing.TB, lines ...string) publish.Job {
	t.Helper()
	var all []dns.RR
	for _, line := range lines {
		all = append(all, record(t, line))
	}
	return publish.Job{Wanted: publish.Fixed(all)}
}

// rest is the zone without markers.
func rest(lines []string) []string {
	var left []string
	for _, line := range lines {
		if !strings.HasPrefix(line, "_mailconfd.") {
			left = append(left, line)
		}
	}
	return left
}

const (
	testIMAPS = "_imaps._tcp.example.test. 3600 IN SRV 0 1 993 mail.example.test."
	testAlias = "autoconfig.example.test. 3600 IN CNAME www.example.test."
)

// TestPrerequisites: each kind of prerequisite that does not hold has its own code, and nothing is changed.
func TestPrerequisites(t *testing.T) {
	eachPrimary(t, func(t *testing.T, p *primary) {
		before := p.records(t)
		set := func(name string, rrtype uint16) []dns.RR {
			return []dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: name, Rrtype: rrtype}}}
		}
		for name, test := range map[string]struct {
			require func(*dns.Msg)
			want    int
		}{
			"a set that is not to be there":       {func(m *dns.Msg) { m.RRsetNotUsed(set("www.example.test.", dns.TypeA)) }, dns.RcodeYXRrset},
			"a set that is to be there":           {func(m *dns.Msg) { m.RRsetUsed(set("www.example.test.", dns.TypeSRV)) }, dns.RcodeNXRrset},
			"a set that is to have another value": {func(m *dns.Msg) { m.Used([]dns.RR{record(t, "www.example.test. 0 IN A 192.0.2.1")}) }, dns.RcodeNXRrset},
			"a set that is to have one value fewer": {func(m *dns.Msg) {
				m.Used([]dns.RR{record(t, `example.test. 0 IN MX 10 mail.example.test.`), record(t, `example.test. 0 IN MX 20 mail.example.test.`)})
			}, dns.RcodeNXRrset},
			"a name that is not to be there":        {func(m *dns.Msg) { m.NameNotUsed(set("www.example.test.", 0)) }, dns.RcodeYXDomain},
			"a name that is to be there":            {func(m *dns.Msg) { m.NameUsed(set("nothing.example.test.", 0)) }, dns.RcodeNameError},
			"what a wildcard shows is not there":    {func(m *dns.Msg) { m.RRsetUsed(set("shown.example.test.", dns.TypeCNAME)) }, dns.RcodeNXRrset},
			"a name with others below is not there": {func(m *dns.Msg) { m.NameUsed(set("_tcp.example.test.", 0)) }, dns.RcodeNameError},
		} {
			answer := p.update(t, "person", time.Now(), func(m *dns.Msg) {
				test.require(m)
				m.Insert([]dns.RR{record(t, testIMAPS)})
			})
			if answer.Rcode != test.want {
				t.Errorf("%s: %s, want %s", name, dns.RcodeToString[answer.Rcode], dns.RcodeToString[test.want])
			}
		}
		if diff := cmp.Diff(before, p.records(t)); diff != "" {
			t.Errorf("the zone (-before +after):\n%s", diff)
		}
	})
}

// answered says how a server answered: the code, and the error of the signature.
func answered(answer *dns.Msg) string {
	words := dns.RcodeToString[answer.Rcode]
	if t := answer.IsTsig(); t != nil && t.Error != 0 {
		words += " " + map[uint16]string{dns.RcodeBadSig: "BADSIG", dns.RcodeBadKey: "BADKEY", dns.RcodeBadTime: "BADTIME"}[t.Error]
	}
	return words
}

// TestServersAnswerFaults is what the servers say themselves, without mailconfd: when one of these fails, look there
// first. That BIND and Knot DNS differ is why mailconfd names several causes for one answer.
func TestServersAnswerFaults(t *testing.T) {
	eachPrimary(t, func(t *testing.T, p *primary) {
		insert := func(lines ...string) func(*dns.Msg) {
			return func(m *dns.Msg) {
				for _, line := range lines {
					m.Insert([]dns.RR{record(t, line)})
				}
			}
		}
		now := time.Now()
		for name, test := range map[string]struct {
			key        string
			at         time.Time
			change     func(*dns.Msg)
			bind, knot string
			applied    []string
		}{
			"a name outside of the zone": {"mailconfd", now, insert(testIMAPS, "a.example.net. 60 IN A 192.0.2.1"), "NOTZONE", "NOTZONE", nil},
			"an alias beside an address": {"mailconfd", now, insert("www.example.test. 300 IN CNAME mail.example.test.", testIMAPS), "NOERROR", "NOERROR", []string{testIMAPS}},
			"wrong secret":               {"mailconfd=AAAA", now, insert(testIMAPS), "NOTAUTH BADSIG", "NOTAUTH BADSIG", nil},
			"unknown key":                {"stranger", now, insert(testIMAPS), "NOTAUTH BADKEY", "NOTAUTH BADKEY", nil},
			"a key without the right":    {"reader", now, insert(testIMAPS), "REFUSED", "NOTAUTH BADKEY", nil},
			"no key":                     {"", now, insert(testIMAPS), "REFUSED", "NOTAUTH", nil},
			"a clock that is off":        {"mailconfd", now.Add(-time.Hour), insert(testIMAPS), "NOTAUTH BADTIME", "NOTAUTH BADTIME", nil},
			"a forbidden type":           {"mailconfd", now, insert(testIMAPS, "example.test. 60 IN MX 5 mail.example.test."), "REFUSED", "NOTAUTH BADKEY", nil},
			"another zone": {"mailconfd", now, func(m *dns.Msg) {
				m.Question[0].Name = "example.net."
				m.Insert([]dns.RR{record(t, "a.example.net. 60 IN A 192.0.2.1")})
			}, "NOTAUTH", "NOTAUTH", nil},
			"the zone's own name servers": {"person", now, func(m *dns.Msg) {
				m.RemoveRRset([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: "example.test.", Rrtype: dns.TypeNS}}})
			}, "NOERROR", "NOERROR", nil},
		} {
			t.Run(name, func(t *testing.T) {
				before := p.records(t)
				want := map[string]string{"bind": test.bind, "knot": test.knot}[p.name]
				if got := answered(p.update(t, test.key, test.at, test.change)); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
				after := p.records(t)
				if diff := cmp.Diff(sorted(append(before, test.applied...)), after); diff != "" {
					t.Errorf("the zone (-want +got):\n%s", diff)
				}
				p.update(t, "person", time.Now(), func(m *dns.Msg) {
					m.RemoveRRset([]dns.RR{record(t, testIMAPS)})
				})
			})
		}
	})
}

// TestFaults is what mailconfd makes of the same: a kind, and words that say what to do. Nothing is changed.
func TestFaults(t *testing.T) {
	eachPrimary(t, func(t *testing.T, p *primary) {
		before := p.records(t)
		secret := func(name, secret string) *publish.Key {
			key, err := publish.NewKey(name, publish.HMACSHA256, secret)
			if err != nil {
				t.Fatal(err)
			}
			return key
		}
		good := p.zoneOf(t, "mailconfd")
		with := func(change func(*publish.Zone)) publish.Zone { z := good; change(&z); return z }
		tlsa := "_25._tcp.example.test. 60 IN SSHFP 1 1 123456789abcdef67890123456789abcdef67890"
		for name, test := range map[string]struct {
			zone       publish.Zone
			job        publish.Job
			bind, knot publish.Kind
			says       string
		}{
			"wrong secret":   {with(func(z *publish.Zone) { z.Key = secret("mailconfd", "AAAA") }), wanted(t, testIMAPS), publish.KindSignature, publish.KindSignature, "secret or the algorithm"},
			"unknown key":    {with(func(z *publish.Zone) { z.Key = secret("stranger", "AAAA") }), wanted(t, testIMAPS), publish.KindKey, publish.KindKey, "does not know the key stranger."},
			"without right":  {p.zoneOf(t, "reader"), wanted(t, testIMAPS), publish.KindRefused, publish.KindKey, "key reader."},
			"no key":         {with(func(z *publish.Zone) { z.Key = nil }), wanted(t, testIMAPS), publish.KindRefused, publish.KindZone, "tsig_name"},
			"clock":          {with(func(z *publish.Zone) { z.Now = func() time.Time { return time.Now().Add(-time.Hour) } }), wanted(t, testIMAPS), publish.KindClock, publish.KindClock, "1h0m"},
			"forbidden type": {good, wanted(t, testIMAPS, tlsa), publish.KindRefused, publish.KindKey, "key mailconfd."},
			"another zone":   {with(func(z *publish.Zone) { z.Name = "example.net" }), wanted(t, "a.example.net. 60 IN A 192.0.2.1"), publish.KindRefused, publish.KindRefused, ""},
			"part of a zone": {with(func(z *publish.Zone) { z.Name = "sub.example.test" }), wanted(t), publish.KindZone, publish.KindZone, "part of example.test"},
			"nobody listens": {with(func(z *publish.Zone) { z.Server = "127.0.0.1:5399" }), wanted(t, testIMAPS), publish.KindUnreachable, publish.KindUnreachable, "refused"},
		} {
			t.Run(name, func(t *testing.T) {
				_, err := test.zone.Publish(t.Context(), test.job)
				e, ok := errors.AsType[*publish.Error](err)
				if !ok {
					t.Fatalf("got %v", err)
				}
				t.Log(err)
				if want := map[string]publish.Kind{"bind": test.bind, "knot": test.knot}[p.name]; e.Kind != want || !strings.Contains(err.Error(), test.says) {
					t.Errorf("got %s: %v; want %s with %q", e.Kind, err, want, test.says)
				}
			})
		}
		if diff := cmp.Diff(before, p.records(t)); diff != "" {
			t.Errorf("the zone (-before +after):\n%s", diff)
		}
	})
}

// TestForeignStays: what stands in the way is reported and left alone, and what a wildcard shows is not in the way.
func TestForeignStays(t *testing.T) {
	eachPrimary(t, func(t *testing.T, p *primary) {
		before := p.records(t)
		z := p.zoneOf(t, "mailconfd")
		plan, err := z.Publish(t.Context(), wanted(t, testIMAPS, testAlias,
			"www.example.test. 3600 IN CNAME mail.example.test.", "_caldavs._tcp.example.test. 3600 IN SRV 0 1 443 www.example.test.",
			`example.test. 3600 IN TXT "mailconf=https://www.example.test/"`))
		if err != nil {
			t.Fatal(err)
		}
		var conflicts []string
		for _, f := range plan.Conflicts() {
			conflicts = append(conflicts, f.Owner+" "+string(f.Why))
		}
		if diff := cmp.Diff([]string{"_caldavs._tcp.example.test. other", "www.example.test. alias"}, sorted(conflicts)); diff != "" {
			t.Errorf("conflicts (-want +got):\n%s", diff)
		}
		want := sorted(append([]string{testIMAPS, testAlias, `example.test. 300 IN TXT "mailconf=https://www.example.test/"`}, before...))
		if diff := cmp.Diff(want, rest(p.records(t))); diff != "" {
			t.Errorf("the zone (-want +got):\n%s", diff)
		}
		if _, err := z.Publish(t.Context(), publish.Job{Mode: publish.TakeBack}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, p.records(t)); diff != "" {
			t.Errorf("taken back (-before +after):\n%s", diff)
		}
	})
}

// TestAliasBesideRareRecordTakesNothingAway: a record of a rare type, where an alias is to take the place of an address,
// costs no address: the servers would say yes, take the address away and leave the alias out.
func TestAliasBesideRareRecordTakesNothingAway(t *testing.T) {
	eachPrimary(t, func(t *testing.T, p *primary) {
		const unknownType = "TYPE65280 \\# 1 00" // to us and to the servers
		base := p.records(t)
		z := p.zoneOf(t, "mailconfd")
		for _, data := range []string{
			"SSHFP 4 2 " + strings.Repeat("AB", 32), "TLSA 3 1 1 " + strings.Repeat("AB", 32), "LOC 52 22 23.000 N 4 53 32.000 E -2m 1m 10000m 10m",
			`NAPTR 1 1 "u" "E2U+sip" "!x!y!" .`, `CAA 0 issue "ca.example"`, `HINFO "a" "b"`, "MX 5 mail.example.test.", `URI 1 1 "https://www.example.test/"`,
			"CERT 1 0 0 AQID", unknownType,
		} {
			if err := p.nsupdate("update add autoconfig.example.test. 300 A 192.0.2.80\nupdate add autoconfig.example.test. 300 " + data); err != nil {
				t.Fatal(err)
			}
			before := p.records(t)
			job := wanted(t, testAlias, testIMAPS)
			for _, job.Mode = range []publish.Mode{publish.Careful, publish.Adopt} {
				plan, err := z.Publish(t.Context(), job)
				c := plan.Conflicts()
				told := err == nil && len(c) == 1 && c[0].Why == publish.WhyAlias && !c[0].Adoptable()
				if e, ok := errors.AsType[*publish.Error](err); data == unknownType && p.name == "knot" {
					// Knot DNS does not show it: what was taken away is put back when the alias does not come about.
					told = job.Mode == publish.Careful && len(c) == 1 || ok && e.Kind == publish.KindNotApplied
				}
				if !told {
					t.Errorf("%s: %v, conflicts %v", data, err, c)
				}
				if diff := cmp.Diff(sorted(append([]string{testIMAPS}, before...)), rest(p.records(t))); diff != "" {
					t.Errorf("%s: the zone (-want +got):\n%s", data, diff)
				}
			}
			if err := p.nsupdate("update delete autoconfig.example.test."); err != nil {
				t.Fatal(err)
			}
			if _, err := z.Publish(t.Context(), publish.Job{Mode: publish.TakeBack}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(base, p.records(t)); diff != "" {
				t.Fatalf("%s: taken back (-before +after):\n%s", data, diff)
			}
		}
		// Where nothing rare stands, the address is taken over.
		if err := p.nsupdate("update add autoconfig.example.test. 300 A 192.0.2.80"); err != nil {
			t.Fatal(err)
		}
		job := wanted(t, testAlias)
		job.Mode = publish.Adopt
		if _, err := z.Publish(t.Context(), job); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(sorted(append([]string{testAlias}, base...)), rest(p.records(t))); diff != "" {
			t.Errorf("adopted (-want +got):\n%s", diff)
		}
	})
}

// TestSecondaries: one that takes no updates is told apart; one that passes them on is waited for, and told when it
// keeps showing the old zone.
func TestSecondaries(t *testing.T) {
	requireOwnNamespace(t)
	p := startBIND(t, bindAddress, foreignRecords)
	t.Run("takes no updates", func(t *testing.T) {
		second := startSecondary(t, secondAddress, bindAddress, false)
		_, err := second.zoneOf(t, "mailconfd").Publish(t.Context(), wanted(t, testIMAPS))
		t.Log(err)
		if e, ok := errors.AsType[*publish.Error](err); !ok || e.Kind != publish.KindRefused && e.Kind != publish.KindZone || !strings.Contains(err.Error(), "primary") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("passes them on and lags", func(t *testing.T) {
		second := startSecondary(t, secondAddress, bindAddress, true)
		_, err := second.zoneOf(t, "mailconfd").Publish(t.Context(), wanted(t, testIMAPS))
		t.Log(err)
		if e, ok := errors.AsType[*publish.Error](err); !ok || e.Kind != publish.KindLagging {
			t.Errorf("got %v", err)
		}
		// The update is whole, at the primary.
		plan, err := p.zoneOf(t, "mailconfd").Publish(t.Context(), wanted(t, testIMAPS))
		if err != nil || !plan.Empty() || len(plan.Keep) != 1 {
			t.Errorf("at the primary: %+v, %v", plan, err)
		}
	})
}

// TestKnotSecondaries: a Knot DNS secondary of either server that shows an old zone. What is published at the primary is
// read there and whole, whatever the secondary says; and who gives the secondary's address is told.
func TestKnotSecondaries(t *testing.T) {
	eachPrimary(t, func(t *testing.T, p *primary) {
		second := startKnotSecondary(t, secondAddress, p.address, false)
		shows := func(server *primary, want string) {
			t.Helper()
			if got := dig(t, server, "_imaps._tcp.example.test", "SRV"); got != want {
				t.Errorf("%s at %s shows %q, want %q", server.name, server.address, got, want)
			}
		}
		z := p.zoneOf(t, "mailconfd")
		for _, port := range []string{"993", "1993"} {
			job := wanted(t, strings.Replace(testIMAPS, "993", port, 1))
			if plan, err := z.Publish(t.Context(), job); err != nil || len(plan.Add) != 1 {
				t.Fatalf("%+v, %v", plan, err)
			}
			if plan, err := z.Publish(t.Context(), job); err != nil || !plan.Empty() {
				t.Errorf("a second time: %+v, %v", plan, err)
			}
			shows(p, "0 1 "+port+" mail.example.test.")
			shows(second, "")
		}
		_, err := second.zoneOf(t, "mailconfd").Publish(t.Context(), wanted(t, testIMAPS))
		t.Log(err)
		if e, ok := errors.AsType[*publish.Error](err); !ok || e.Kind == publish.KindLagging {
			t.Errorf("at a secondary that takes no updates: %v", err)
		}
		second.kill()

		second = startKnotSecondary(t, secondAddress, p.address, true)
		_, err = second.zoneOf(t, "mailconfd").Publish(t.Context(), wanted(t, testIMAPS))
		t.Log(err)
		if e, ok := errors.AsType[*publish.Error](err); !ok || e.Kind != publish.KindLagging {
			t.Errorf("at one that passes them on: %v", err)
		}
		shows(p, "0 1 993 mail.example.test.")
		shows(second, "0 1 1993 mail.example.test.")
		if plan, err := z.Publish(t.Context(), wanted(t, testIMAPS)); err != nil || !plan.Empty() || len(plan.Keep) != 1 {
			t.Errorf("at the primary: %+v, %v", plan, err)
		}
	})
}

// TestKilledInTheMiddle kills the server at any moment of an update, twenty times. The zone is always one of the two
// that were wanted, and running it again makes it the right one.
func TestKilledInTheMiddle(t *testing.T) {
	eachPrimary(t, func(t *testing.T, p *primary) {
		before := p.records(t)
		sets := [][]string{
			{testIMAPS, testAlias, "_submission._tcp.example.test. 3600 IN SRV 0 1 587 mail.example.test."},
			{strings.Replace(testIMAPS, "mail", "other", 1), strings.Replace(testAlias, "CNAME www", "CNAME mail", 1), "_submissions._tcp.example.test. 300 IN SRV 0 1 465 mail.example.test."},
		}
		z := p.zoneOf(t, "mailconfd")
		z.Timeout = 2 * time.Second
		if _, err := z.Publish(t.Context(), wanted(t, sets[0]...)); err != nil {
			t.Fatal(err)
		}
		for round := range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				for i := 1; ; i++ {
					if _, err := z.Publish(ctx, wanted(t, sets[i%2]...)); err != nil {
						done <- err
						return
					}
				}
			}()
			<-time.After(time.Duration(3+7*round) * time.Millisecond)
			p.kill()
			cancel()
			<-done
			p.start(t)
			got := rest(p.records(t))
			if d0, d1 := cmp.Diff(sorted(append(sets[0], before...)), got), cmp.Diff(sorted(append(sets[1], before...)), got); d0 != "" && d1 != "" {
				t.Fatalf("round %d: the zone is neither the one (-want +got):\n%s\nnor the other:\n%s", round, d0, d1)
			}
			if plan, err := z.Publish(t.Context(), wanted(t, sets[round%2]...)); err != nil || len(plan.Foreign) > 0 {
				t.Fatalf("round %d: %v, foreign %v", round, err, plan.Foreign)
			}
			if diff := cmp.Diff(sorted(append(sets[round%2], before...)), rest(p.records(t))); diff != "" {
				t.Fatalf("round %d: the zone (-want +got):\n%s", round, diff)
			}
		}
	})
}

// TestDelegatedName: a name that is given to another zone blocks nothing else, and comes back as it was.
func TestDelegatedName(t *testing.T) {
	eachPrimary(t, func(t *testing.T, p *primary) {
		before := p.records(t)
		z := p.zoneOf(t, "mailconfd")
		const sub, other, cut = "_imaps._tcp.sub.example.test. 3600 IN SRV 0 1 993 mail.example.test.", "_imaps._tcp.sub.example.test. 3600 IN SRV 0 1 1993 mail.example.test.", "sub.example.test. 300 NS ns.elsewhere.example."
		if _, err := z.Publish(t.Context(), wanted(t, sub)); err != nil {
			t.Fatal(err)
		}
		if err := p.nsupdate("update add " + cut); err != nil {
			t.Fatal(err)
		}
		plan, err := z.Publish(t.Context(), wanted(t, testIMAPS, other))
		if err != nil || len(plan.Add) != 1 || len(plan.Conflicts()) != 1 || plan.Foreign[0].Why != publish.WhyDelegated || plan.Foreign[0].Adoptable() {
			t.Fatalf("%v, %v", plan.Lines(), err)
		}
		if err := p.nsupdate("update delete " + cut); err != nil {
			t.Fatal(err)
		}
		if plan, err := z.Publish(t.Context(), wanted(t, testIMAPS, other)); err != nil || len(plan.Add) != 1 || len(plan.Delete) != 1 || len(plan.Foreign) > 0 {
			t.Fatalf("given back: %v, %v", plan.Lines(), err)
		}
		if err := p.nsupdate("update add " + cut); err != nil {
			t.Fatal(err)
		}
		if plan, err := z.Publish(t.Context(), publish.Job{Mode: publish.TakeBack}); err != nil || len(plan.Delete) != 1 || len(plan.Conflicts()) != 1 {
			t.Fatalf("taken back, but for what the delegation hides: %v, %v", plan.Lines(), err)
		}
		if err := p.nsupdate("update delete " + cut); err != nil {
			t.Fatal(err)
		}
		if _, err := z.Publish(t.Context(), publish.Job{Mode: publish.TakeBack}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, p.records(t)); diff != "" {
			t.Errorf("taken back (-before +after):\n%s", diff)
		}
	})
}

//go:build real

package real

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"mailconfd/internal/publish"
)

// TestWriters lets two publishers that want different things and a person with nsupdate change the zone at the same
// time, 500 times. What the person wrote is there at any time, as it was written, whether mailconfd wants something
// in its place or not; and the zone ends as the last publisher wants it.
func TestWriters(t *testing.T) {
	eachPrimary(t, func(t *testing.T, p *primary) {
		base := p.records(t)
		z := p.zoneOf(t, "mailconfd")
		submission := func(host string) string {
			return "_submission._tcp.example.test. 3600 IN SRV 0 1 587 " + host + ".example.test."
		}
		one := wanted(t, testIMAPS, testAlias, submission("mail"))
		two := wanted(t, strings.Replace(testIMAPS, "mail", "www", 1), submission("www"), "_sieve._tcp.example.test. 3600 IN SRV 0 1 4190 www.example.test.")
		const rounds = 500
		for round := range rounds {
			edit, undo, theirs := personal(round)
			var group sync.WaitGroup
			for _, job := range []publish.Job{one, two} {
				group.Go(func() {
					if _, err := z.Publish(t.Context(), job); err != nil {
						t.Errorf("round %d: %v", round, err)
					}
				})
			}
			group.Go(func() {
				if err := p.nsupdate(edit); err != nil {
					t.Error(err)
				}
			})
			group.Wait()
			now := p.records(t)
			if missing := subtract(append(base, theirs), now); len(missing) > 0 {
				t.Fatalf("round %d: foreign records are gone or changed: %q\nthe zone:\n%s", round, missing, strings.Join(now, "\n"))
			}
			if err := p.nsupdate(undo); err != nil {
				t.Fatal(err)
			}
			// What a person has edited is the person's, until it is taken over.
			last := one
			last.Mode = publish.Adopt
			if _, err := z.Publish(t.Context(), last); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
			want := sorted(append([]string{testIMAPS, testAlias, submission("mail")}, base...))
			if diff := cmp.Diff(want, rest(p.records(t))); diff != "" {
				t.Fatalf("round %d: the zone (-want +got):\n%s", round, diff)
			}
		}
		if _, err := z.Publish(t.Context(), publish.Job{Mode: publish.TakeBack}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(base, p.records(t)); diff != "" {
			t.Errorf("taken back (-before +after):\n%s", diff)
		}
	})
}

// personal is what a person does in a round, how it is undone, and the record that must be there in between.
func personal(round int) (edit, undo, theirs string) {
	name, rrtype, data := fmt.Sprintf("host%d.example.test.", round%7), "A", "192.0.2.1"
	switch round % 5 {
	case 1: // in the place of a record that both want
		name, rrtype, data = "_imaps._tcp.example.test.", "SRV", fmt.Sprintf("%d 9 1993 person.example.test.", round)
	case 2: // where one wants an alias
		name = "autoconfig.example.test."
	case 3: // where only the other wants something
		name, rrtype, data = "_sieve._tcp.example.test.", "SRV", fmt.Sprintf("%d 9 4190 person.example.test.", round)
	case 4: // beside markers
		name, rrtype, data = "_mailconfd.example.test.", "TXT", `"a person was here"`
	}
	edit = fmt.Sprintf("update add %s 3600 %s %s", name, rrtype, data)
	undo = fmt.Sprintf("update delete %s %s %s", name, rrtype, data)
	if rrtype == "A" || rrtype == "SRV" {
		edit = fmt.Sprintf("update delete %s\n%s", name, edit)
	}
	return edit, undo, fmt.Sprintf("%s 3600 IN %s %s", name, rrtype, data)
}

// subtract returns the lines that are not among others.
func subtract(lines, others []string) []string {
	there := map[string]bool{}
	for _, line := range others {
		there[line] = true
	}
	var missing []string
	for _, line := range lines {
		if !there[line] {
			missing = append(missing, line)
		}
	}
	return missing
}

// inLowerCase writes names in lower case, as Knot DNS keeps those of an update. Text stays as it is.
func inLowerCase(lines []string) []string {
	var all []string
	for _, line := range lines {
		if !strings.Contains(line, " TXT ") {
			line = strings.ReplaceAll(strings.ToLower(line), " in ", " IN ")
		}
		all = append(all, line)
	}
	return sorted(all)
}

// aRecord draws one of few records, so that sets meet. None of them is foreign.
func aRecord() *rapid.Generator[dns.RR] {
	return rapid.Custom(func(t *rapid.T) dns.RR {
		owner := rapid.SampledFrom([]string{"a.example.test.", "_imaps._tcp.example.test.", "b.a.example.test.", "_443._tcp.example.test."}).Draw(t, "owner")
		data := rapid.SampledFrom([]string{
			"SRV 0 1 993 a.example.test.", "SRV 0 1 993 B.Example.test.", "SRV 10 1 993 b.example.test.", "SRV 0 0 0 .",
			"CNAME c.example.test.", "CNAME d.example.test.", "A 192.0.2.1", "A 192.0.2.2", "AAAA 2001:db8::1", `TXT "x"`, `TXT "y\"; \\ \255"`,
			`TXT "x" "y" ""`, `TXT "` + strings.Repeat("long", 60) + `" "` + strings.Repeat("more", 60) + `"`,
			"TLSA 3 1 1 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		}).Draw(t, "data")
		if strings.HasPrefix(owner, "_") && (strings.HasPrefix(data, "A ") || strings.HasPrefix(data, "AAAA ")) {
			owner = "a.example.test." // BIND refuses an address where no host can be (check-names)
		}
		ttl := rapid.SampledFrom([]string{" 300 ", " 3600 "}).Draw(t, "ttl")
		rr, err := dns.NewRR(owner + ttl + "IN " + data)
		if err != nil {
			t.Fatal(err)
		}
		return rr
	})
}

// aZone draws records that can stand in one zone: an alias alone at its name, one TTL in a set.
func aZone() *rapid.Generator[[]dns.RR] {
	return rapid.Custom(func(t *rapid.T) []dns.RR {
		var all []dns.RR
		for _, rr := range rapid.SliceOfN(aRecord(), 0, 10).Draw(t, "records") {
			fits := true
			for _, other := range all {
				h, o := rr.Header(), other.Header()
				if h.Name == o.Name && (h.Rrtype == dns.TypeCNAME || o.Rrtype == dns.TypeCNAME) {
					fits = false
				}
				if h.Name == o.Name && h.Rrtype == o.Rrtype {
					h.Ttl = o.Ttl
					fits = fits && !dns.IsDuplicate(rr, other)
				}
			}
			if fits {
				all = append(all, rr)
			}
		}
		return all
	})
}

// TestAnySetsBecomeEachOther: for any two record sets, the update that is made of their difference turns the one into
// the other on a real server, whether it signs the zone or not, and touches nothing else.
func TestAnySetsBecomeEachOther(t *testing.T) {
	eachPrimary(t, becomeEachOther)
	t.Run("bind signs", func(t *testing.T) {
		p := startSigningBIND(t, bindAddress, foreignRecords, "inline-signing no; dnssec-policy default;")
		p.awaitSigned(t)
		becomeEachOther(t, p)
	})
	t.Run("knot signs", func(t *testing.T) {
		p := startKnot(t, knotAddress, foreignRecords, "dnssec-signing: on")
		p.awaitSigned(t)
		becomeEachOther(t, p)
	})
}

func becomeEachOther(t *testing.T, p *primary) {
	base := unsigned(p.records(t))
	z := p.zoneOf(t, "mailconfd")
	publishes := func(t *rapid.T, records []dns.RR) {
		if _, err := z.Publish(t.Context(), publish.Job{Wanted: publish.Fixed(records)}); err != nil {
			t.Fatal(err)
		}
		want := append([]string{}, base...)
		for _, rr := range records {
			want = append(want, strings.ReplaceAll(rr.String(), "\t", " "))
		}
		if diff := cmp.Diff(inLowerCase(want), inLowerCase(unsigned(rest(p.records(t))))); diff != "" {
			t.Fatalf("the zone (-want +got):\n%s", diff)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		publishes(t, aZone().Draw(t, "one"))
		publishes(t, aZone().Draw(t, "other"))
	})
}

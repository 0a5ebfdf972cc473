package publish_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"mailconfd/internal/publish"
)

const zone = "example.org"

func rr(t testing.TB, line string) dns.RR {
	t.Helper()
	rr, err := dns.NewRR(line)
	if err != nil || rr == nil {
		t.Fatalf("%q: %v", line, err)
	}
	return rr
}

func rrs(t testing.TB, lines ...string) []dns.RR {
	t.Helper()
	var all []dns.RR
	for _, line := range lines {
		all = append(all, rr(t, line))
	}
	return all
}

func lines(records []dns.RR) []string {
	all := []string{}
	for _, rr := range records {
		all = append(all, strings.ReplaceAll(rr.String(), "\t", " "))
	}
	slices.Sort(all)
	return all
}

func marks(records ...dns.RR) publish.Markers {
	var all publish.Markers
	for _, rr := range records {
		all = append(all, publish.Mark(rr))
	}
	return all
}

// Names to make records of, few enough that they meet.
const (
	imaps      = "_imaps._tcp.example.org. 3600 IN SRV 0 1 993 mail.example.org."
	imapsOther = "_imaps._tcp.example.org. 3600 IN SRV 0 1 993 other.example.org."
	imapsLong  = "_imaps._tcp.example.org. 7200 IN SRV 0 1 993 mail.example.org."
	alias      = "autoconfig.example.org. 3600 IN CNAME config.example.org."
	aliasOther = "autoconfig.example.org. 3600 IN CNAME web.example.org."
	address    = "autoconfig.example.org. 3600 IN A 192.0.2.1"
	hostKey    = "autoconfig.example.org. 3600 IN SSHFP 4 2 abababababababababababababababababababababababababababababababab"
	spf        = `example.org. 300 IN TXT "v=spf1 -all"`
	conf       = `example.org. 3600 IN TXT "mailconf=https://autoconfig.example.org/"`
	confTheirs = `example.org. 300 IN TXT "mailconf=https://autoconfig.example.org/"`
	confNew    = `example.org. 3600 IN TXT "mailconf=https://new.example.org/"`
)

func TestDifference(t *testing.T) {
	t.Parallel()
	type lists = []string
	tests := map[string]struct {
		current, wanted, ours lists // ours: what the markers are of
		mode                  publish.Mode
		add, del, foreign     lists // foreign: owner type why
		mark, unmark          int
	}{
		"empty zone":                 {wanted: lists{imaps, alias}, add: lists{imaps, alias}, mark: 2},
		"as wanted":                  {current: lists{imaps, alias}, wanted: lists{imaps, alias}, ours: lists{imaps, alias}},
		"letter case does not count": {current: lists{strings.ToUpper(imaps)}, wanted: lists{imaps}, ours: lists{imaps}},
		"changed":                    {current: lists{imaps}, wanted: lists{imapsOther}, ours: lists{imaps}, add: lists{imapsOther}, del: lists{imaps}, mark: 1, unmark: 1},
		"one more":                   {current: lists{imaps}, wanted: lists{imaps, imapsOther}, ours: lists{imaps}, add: lists{imapsOther}, mark: 1},
		"another TTL":                {current: lists{imaps}, wanted: lists{imapsLong}, ours: lists{imaps}, add: lists{imapsLong}, del: lists{imaps}, mark: 1, unmark: 1},
		"not wanted any more":        {current: lists{imaps, alias}, ours: lists{imaps, alias}, del: lists{imaps, alias}, unmark: 2},
		"alias becomes an address":   {current: lists{alias}, wanted: lists{address}, ours: lists{alias}, add: lists{address}, del: lists{alias}, mark: 1, unmark: 1},
		"address becomes an alias":   {current: lists{address}, wanted: lists{alias}, ours: lists{address}, add: lists{alias}, del: lists{address}, mark: 1, unmark: 1},

		"somebody else's":                 {current: lists{imapsOther}, wanted: lists{imaps}, foreign: lists{"_imaps._tcp.example.org. SRV other"}},
		"somebody else's, as wanted":      {current: lists{imaps}, wanted: lists{imaps}, foreign: lists{"_imaps._tcp.example.org. SRV same"}},
		"edited":                          {current: lists{imapsOther}, wanted: lists{imaps}, ours: lists{imaps}, foreign: lists{"_imaps._tcp.example.org. SRV edited"}},
		"edited in its TTL":               {current: lists{imapsLong}, wanted: lists{imaps}, ours: lists{imaps}, foreign: lists{"_imaps._tcp.example.org. SRV edited"}},
		"edited to what is wanted":        {current: lists{imapsOther}, wanted: lists{imapsOther}, ours: lists{imaps}, foreign: lists{"_imaps._tcp.example.org. SRV same"}},
		"one added by hand":               {current: lists{imaps, imapsOther}, wanted: lists{imaps}, ours: lists{imaps}, foreign: lists{"_imaps._tcp.example.org. SRV edited"}},
		"taken away by hand":              {wanted: lists{imaps}, ours: lists{imaps}, foreign: lists{"_imaps._tcp.example.org. SRV removed"}},
		"taken away, and nobody wants it": {ours: lists{imaps}, unmark: 1},
		"edited, and nobody wants it":     {current: lists{imapsOther}, ours: lists{imaps}, foreign: lists{"_imaps._tcp.example.org. SRV edited"}},
		"an address in the way":           {current: lists{address}, wanted: lists{alias}, foreign: lists{"autoconfig.example.org. CNAME alias"}},
		"an alias in the way":             {current: lists{aliasOther}, wanted: lists{address}, foreign: lists{"autoconfig.example.org. A alias"}},
		"the rest goes on":                {current: lists{address}, wanted: lists{alias, imaps}, add: lists{imaps}, mark: 1, foreign: lists{"autoconfig.example.org. CNAME alias"}},

		"adopt somebody else's":       {mode: publish.Adopt, current: lists{imapsOther}, wanted: lists{imaps}, add: lists{imaps}, del: lists{imapsOther}, mark: 1},
		"adopt what is as wanted":     {mode: publish.Adopt, current: lists{imaps}, wanted: lists{imaps}, mark: 1},
		"adopt what was edited":       {mode: publish.Adopt, current: lists{imapsOther}, wanted: lists{imaps}, ours: lists{imaps}, add: lists{imaps}, del: lists{imapsOther}},
		"adopt what was taken away":   {mode: publish.Adopt, wanted: lists{imaps}, ours: lists{imaps}, add: lists{imaps}, mark: 0, unmark: 0},
		"adopt an address in the way": {mode: publish.Adopt, current: lists{address}, wanted: lists{alias}, add: lists{alias}, del: lists{address}, mark: 1},
		"adopt an alias in the way":   {mode: publish.Adopt, current: lists{aliasOther}, wanted: lists{address}, add: lists{address}, del: lists{aliasOther}, mark: 1},

		"adopt no host key":           {mode: publish.Adopt, current: lists{address, hostKey}, wanted: lists{alias}, foreign: lists{"autoconfig.example.org. CNAME alias"}},
		"adopt no host key, and ours": {mode: publish.Adopt, current: lists{address, hostKey}, wanted: lists{alias}, ours: lists{address}, foreign: lists{"autoconfig.example.org. CNAME alias"}},

		"text beside others'":          {current: lists{spf}, wanted: lists{conf}, add: lists{confTheirs}, mark: 1},
		"text beside others', there":   {current: lists{spf, confTheirs}, wanted: lists{conf}, ours: lists{conf}},
		"text beside others', changed": {current: lists{spf, confTheirs}, wanted: lists{confNew}, ours: lists{conf}, add: lists{`example.org. 300 IN TXT "mailconf=https://new.example.org/"`}, del: lists{confTheirs}, mark: 1, unmark: 1},
		"text beside others', gone":    {current: lists{spf, confTheirs}, ours: lists{conf}, del: lists{confTheirs}, unmark: 1},
		"text beside others', edited":  {current: lists{spf}, wanted: lists{conf}, ours: lists{conf}, foreign: lists{"example.org. TXT removed"}},
		"text alone, another TTL":      {current: lists{confTheirs}, wanted: lists{conf}, ours: lists{conf}, add: lists{conf}, del: lists{confTheirs}},
		"text that is there already":   {current: lists{spf, confTheirs}, wanted: lists{conf}, foreign: lists{"example.org. TXT same"}},
		"text adopted":                 {mode: publish.Adopt, current: lists{spf, confTheirs}, wanted: lists{conf}, mark: 1},

		"take back":        {mode: publish.TakeBack, current: lists{imaps, alias, spf, confTheirs}, ours: lists{imaps, alias, conf}, del: lists{imaps, alias, confTheirs}, unmark: 3},
		"take back edited": {mode: publish.TakeBack, current: lists{imapsOther}, ours: lists{imaps}, unmark: 1, foreign: lists{"_imaps._tcp.example.org. SRV edited"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := publish.Difference(rrs(t, test.current...), rrs(t, test.wanted...), marks(rrs(t, test.ours...)...), test.mode)
			sorted := func(all lists) lists { return lines(rrs(t, all...)) }
			foreign := lists{}
			for _, f := range p.Foreign {
				foreign = append(foreign, f.Owner+" "+dns.TypeToString[f.Type]+" "+string(f.Why))
			}
			if diff := cmp.Diff(sorted(test.add), lines(p.Add)); diff != "" {
				t.Errorf("add (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(sorted(test.del), lines(p.Delete)); diff != "" {
				t.Errorf("delete (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(append(lists{}, test.foreign...), foreign); diff != "" {
				t.Errorf("foreign (-want +got):\n%s", diff)
			}
			if len(p.Mark) != test.mark || len(p.Unmark) != test.unmark {
				t.Errorf("mark %v, unmark %v, want %d and %d", p.Mark, p.Unmark, test.mark, test.unmark)
			}
		})
	}
}

// record draws one of few records, so that sets meet.
func record() *rapid.Generator[dns.RR] {
	return rapid.Custom(func(t *rapid.T) dns.RR {
		owner := rapid.SampledFrom([]string{"example.org.", "a.example.org.", "_imaps._tcp.example.org.", "B.example.org."}).Draw(t, "owner")
		data := rapid.SampledFrom([]string{
			"SRV 0 1 993 a.example.org.", "SRV 0 1 993 A.Example.org.", "SRV 10 1 993 b.example.org.", "SRV 0 0 0 .",
			"CNAME c.example.org.", "CNAME d.example.org.", "A 192.0.2.1", "A 192.0.2.2", `TXT "x"`, `TXT "y\"; \\ \255"`, `TXT "x" "y"`, "AAAA 2001:db8::1", "SSHFP 4 2 ABAB",
		}).Draw(t, "data")
		ttl := rapid.SampledFrom([]string{" 300 ", " 3600 "}).Draw(t, "ttl")
		r, err := dns.NewRR(owner + ttl + "IN " + data)
		if err != nil {
			t.Fatal(err)
		}
		return r
	})
}

// zoneOf draws records that a zone can hold: an alias stands alone, and a set has one TTL.
func zoneOf() *rapid.Generator[[]dns.RR] {
	return rapid.Custom(func(t *rapid.T) []dns.RR {
		var all []dns.RR
		for _, r := range rapid.SliceOfN(record(), 0, 8).Draw(t, "records") {
			r.Header().Name = strings.ToLower(r.Header().Name)
			fits := true
			for _, other := range all {
				h, o := r.Header(), other.Header()
				sameName := h.Name == o.Name
				if sameName && (h.Rrtype == dns.TypeCNAME || o.Rrtype == dns.TypeCNAME) || strings.EqualFold(withoutTTL(r), withoutTTL(other)) {
					fits = false
				}
				if sameName && h.Rrtype == o.Rrtype {
					h.Ttl = o.Ttl
				}
			}
			if fits {
				all = append(all, r)
			}
		}
		return all
	})
}

func withoutTTL(r dns.RR) string {
	r = dns.Copy(r)
	r.Header().Ttl = 0
	return r.String()
}

// apply carries a plan out.
func apply(t *rapid.T, current []dns.RR, ours publish.Markers, p publish.Plan) ([]dns.RR, publish.Markers) {
	after := slices.Clone(current)
	for _, gone := range p.Delete {
		n := len(after)
		after = slices.DeleteFunc(after, func(r dns.RR) bool { return r.String() == gone.String() })
		if len(after) != n-1 {
			t.Fatalf("%s is to be taken away and is not there once", gone)
		}
	}
	after = append(after, p.Add...)
	left := slices.DeleteFunc(slices.Clone(ours), func(m publish.Marker) bool { return slices.Contains(p.Unmark, m) })
	return after, append(left, p.Mark...)
}

// TestDifferenceProperties: for any zone, wish and markers, the plan leads from one to
// the other, touches nothing foreign, and has nothing left to do the second time.
func TestDifferenceProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		current, wanted := zoneOf().Draw(t, "current"), zoneOf().Draw(t, "wanted")
		var ours publish.Markers
		for _, r := range append(slices.Clone(current), zoneOf().Draw(t, "once ours")...) {
			if m := publish.Mark(r); rapid.Bool().Draw(t, "marked") && !slices.Contains(ours, m) {
				ours = append(ours, m)
			}
		}
		adopt := rapid.Bool().Draw(t, "adopt")
		mode := publish.Careful
		if adopt {
			mode = publish.Adopt
		}
		if err := publish.Check(zone, wanted); err != nil {
			t.Fatal(err)
		}
		p := publish.Difference(current, wanted, ours, mode)
		after, marked := apply(t, current, ours, p)
		for _, gone := range p.Delete {
			if !adopt && !ours.Owns(gone) {
				t.Errorf("%s is foreign and taken away", gone)
			}
			wantsType := slices.ContainsFunc(wanted, func(w dns.RR) bool {
				return w.Header().Name == gone.Header().Name && w.Header().Rrtype == gone.Header().Rrtype
			})
			onceOurs := slices.ContainsFunc(ours, func(m publish.Marker) bool {
				return m.Owner == gone.Header().Name && m.Type == gone.Header().Rrtype
			})
			if gone.Header().Rrtype == dns.TypeSSHFP && !onceOurs && !wantsType {
				t.Errorf("%s is of a type that is not wanted, and adopted", gone)
			}
		}
		if err := publish.Check(zone, after); err != nil {
			t.Errorf("what comes of it cannot stand in a zone: %v", err)
		}
		foreign := map[string]bool{}
		for _, f := range p.Foreign {
			foreign[f.Owner+dns.TypeToString[f.Type]] = true
			if f.Type == dns.TypeSRV && f.Why != publish.WhySame && strings.HasPrefix(f.Owner, "_") {
				foreign[f.Owner+"TXT"] = true // no text of ours beside somebody else's service
			}
			if f.Why == publish.WhyAlias {
				for _, kind := range dns.TypeToString {
					foreign[f.Owner+kind] = true
				}
			}
		}
		if adopt && slices.ContainsFunc(p.Conflicts(), publish.Foreign.Adoptable) {
			t.Errorf("adopted, and still foreign: %v", p.Conflicts())
		}
		isWanted := func(r dns.RR) bool {
			return slices.ContainsFunc(wanted, func(w dns.RR) bool { return dns.IsDuplicate(w, r) })
		}
		for _, r := range after {
			key := strings.ToLower(r.Header().Name) + dns.TypeToString[r.Header().Rrtype]
			if marked.Owns(r) && !isWanted(r) && !foreign[key] {
				t.Errorf("%s is ours and not wanted", r)
			}
		}
		for _, w := range wanted {
			key := strings.ToLower(w.Header().Name) + dns.TypeToString[w.Header().Rrtype]
			if !foreign[key] && !slices.ContainsFunc(after, func(r dns.RR) bool { return dns.IsDuplicate(w, r) && marked.Owns(r) }) {
				t.Errorf("%s is wanted, and not there as ours", w)
			}
		}
		second := publish.Careful
		if len(p.Conflicts()) > 0 {
			second = mode // what could not be adopted: it is not for a careful run to say what becomes of ours beside it
		}
		if again := publish.Difference(after, wanted, marked, second); !again.Empty() {
			t.Errorf("a second time: add %v, delete %v, mark %v, unmark %v", again.Add, again.Delete, again.Mark, again.Unmark)
		}
		back := publish.Difference(after, nil, marked, publish.TakeBack)
		bare, none := apply(t, after, marked, back)
		if len(none) > 0 {
			t.Errorf("taken back, and marked: %v", none)
		}
		for _, r := range current {
			if !ours.Owns(r) && !adopt && !slices.ContainsFunc(bare, func(b dns.RR) bool { return b.String() == r.String() }) {
				t.Errorf("%s is foreign and was changed", r)
			}
		}
	})
}

func TestMarkers(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := publish.Mark(record().Draw(t, "record"))
		m.Owner = strings.Repeat("x23456789.", rapid.IntRange(0, 22).Draw(t, "labels")) + m.Owner
		wire := make([]byte, dns.MaxMsgSize)
		n, err := dns.PackRR(m.Record(zone), wire, 0, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		read, _, err := dns.UnpackRR(wire[:n], 0)
		if err != nil {
			t.Fatal(err)
		}
		got, ok, err := publish.ParseMarker(read)
		if !ok || err != nil || got != m {
			t.Errorf("got %+v %v %v, want %+v", got, ok, err, m)
		}
	})
	for line, want := range map[string]string{
		`_mailconfd.example.org. 60 IN TXT "hello"`:                                               "",
		`_mailconfd.example.org. 60 IN A 192.0.2.1`:                                               "",
		`_mailconfd.example.org. 60 IN TXT "mailconfd=2 whatever"`:                                "another version",
		`_mailconfd.example.org. 60 IN TXT "mailconfd=1"`:                                         "damaged",
		`_mailconfd.example.org. 60 IN TXT "mailconfd=1 owner=a type=NONSENSE digest=00"`:         "damaged",
		`_mailconfd.example.org. 60 IN TXT "mailconfd=1 owner=a. type=A digest=0011223344556677"`: "damaged",
	} {
		_, ok, err := publish.ParseMarker(rr(t, line))
		switch {
		case ok, want == "" && err != nil:
			t.Errorf("%s: %v %v", line, ok, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: got error %v, want one with %q", line, err, want)
		}
	}
}

func FuzzParseMarker(f *testing.F) {
	f.Add([]byte("mailconfd=1 owner=a type=SRV digest=0011223344556677"))
	f.Add([]byte("mailconfd=1 owner=a\\.b type=TYPE65535 digest=0011223344556677"))
	f.Add([]byte("mailconfd=1 owner=@ type=TXT digest=0011223344556677"))
	f.Add([]byte("mailconfd=\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 255 {
			return
		}
		head := []byte("\x0a_mailconfd\x07example\x00\x00\x10\x00\x01\x00\x00\x00\x3c")
		wire := append(head, byte((len(text)+1)>>8), byte(len(text)+1), byte(len(text)))
		read, _, err := dns.UnpackRR(append(wire, text...), 0)
		if err != nil {
			t.Fatal(err)
		}
		m, ok, err := publish.ParseMarker(read)
		if !ok || err != nil {
			return
		}
		again, ok, err := publish.ParseMarker(m.Record("example"))
		if !ok || err != nil || again != m {
			t.Errorf("%q: got %+v %v %v, want %+v", text, again, ok, err, m)
		}
	})
}

func TestCheck(t *testing.T) {
	t.Parallel()
	for want, records := range map[string][]string{
		"":                         {imaps, alias, spf},
		"is not in the zone":       {"a.example.net. 60 IN A 192.0.2.1"},
		"can have no other record": {alias, address},
		"want IN":                  {"a.example.org. 60 CH TXT x"},
		"is an alias":              {alias, aliasOther},
	} {
		err := publish.Check(zone, rrs(t, records...))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", records, err, want)
		}
	}
}

func TestDomainOf(t *testing.T) {
	t.Parallel()
	for owner, want := range map[string]string{
		"_imaps._tcp.example.org.": "example.org", "autoconfig.Example.org.": "example.org", "example.org": "example.org",
		"_ua-auto-config.example.org.": "example.org", "www.example.org.": "www.example.org", "_imaps._tcp.autoconfig.example.org.": "autoconfig.example.org",
	} {
		if got := publish.DomainOf(owner); got != want {
			t.Errorf("%s: got %s, want %s", owner, got, want)
		}
	}
}

package outside_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"mailconfd/internal/outside"
)

func TestLookup(t *testing.T) {
	t.Parallel()
	z := &zone{records: map[string][]string{
		"example.org. mx":              {"example.org. 60 MX 20 B.example.org.", "example.org. 60 MX 10 a.example.org."},
		"null.example.org. mx":         {"null.example.org. 60 MX 0 ."},
		"_imaps._tcp.example.org. srv": {"_imaps._tcp.example.org. 60 SRV 10 1 993 mail.example.org.", "_imaps._tcp.example.org. 60 SRV 0 0 0 ."},
		"example.org. txt":             {`example.org. 60 TXT "v=UAAC1; a=sha256; " "d=abc"`},
		"example.org. a":               {"example.org. 60 A 192.0.2.1"},
		"example.org. aaaa":            {"example.org. 60 AAAA 2001:DB8::1"},
		"www.example.org. cname":       {"www.example.org. 60 CNAME Hoster.example.net."},
		"www.example.org. a":           {"www.example.org. 60 CNAME Hoster.example.net.", "hoster.example.net. 60 CNAME web.example.net.", "web.example.net. 60 A 192.0.2.9"},
		"loop.example.org. a":          {"loop.example.org. 60 CNAME pool.example.org.", "pool.example.org. 60 CNAME loop.example.org."},
		"self.example.org. a":          {"self.example.org. 60 CNAME self.example.org."},
		"empty.example.org. txt":       {},
		"dangling.example.org. a":      {"dangling.example.org. 60 CNAME nothing.example.net."},
	}}
	z.rude = func(_ dns.ResponseWriter, query, answer *dns.Msg) bool {
		answer.AuthenticatedData = query.AuthenticatedData && query.Question[0].Qtype == dns.TypeMX
		return false
	}
	r := z.resolver(t)
	for ask, want := range map[string]outside.Answer{
		"MX example.org":              {Records: []outside.Record{{Host: "b.example.org", Priority: 20}, {Host: "a.example.org", Priority: 10}}, Authentic: true},
		"MX null.example.org":         {Records: []outside.Record{{}}, Authentic: true},
		"SRV _imaps._tcp.example.org": {Records: []outside.Record{{Host: "mail.example.org", Priority: 10, Weight: 1, Port: 993}, {}}},
		"TXT example.org":             {Records: []outside.Record{{Text: "v=UAAC1; a=sha256; d=abc"}}},
		"A EXAMPLE.org.":              {Records: []outside.Record{{Host: "192.0.2.1"}}},
		"AAAA example.org":            {Records: []outside.Record{{Host: "2001:db8::1"}}},
		"CNAME www.example.org":       {Records: []outside.Record{{Host: "hoster.example.net"}}, Alias: "hoster.example.net"},
		"A www.example.org":           {Records: []outside.Record{{Host: "192.0.2.9"}}, Alias: "hoster.example.net"},
		"TXT empty.example.org":       {},
		"A nothing.example.org":       {NoSuchName: true},
		"A dangling.example.org":      {Alias: "nothing.example.net"},
	} {
		kind, name, _ := strings.Cut(ask, " ")
		got, err := r.Lookup(t.Context(), name, kind)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", ask, err, diff)
		}
	}
	for _, name := range []string{"loop.example.org", "self.example.org"} {
		if _, err := r.Lookup(t.Context(), name, "A"); !errors.Is(err, outside.ErrAliases) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, ask := range []string{"AXFR example.org", "ANY example.org", "A ", " example.org", "A " + strings.Repeat("a.", 200), "A " + strings.Repeat("a", 70) + ".org"} {
		kind, name, _ := strings.Cut(ask, " ")
		if got, err := r.Lookup(t.Context(), name, kind); err == nil {
			t.Errorf("%.20s: %+v", ask, got)
		}
	}
}

// A name with thousands of records, and aliases that have no end, each with a new name.
func TestLookupHostile(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 1500 {
		many = append(many, fmt.Sprintf("example.org. 60 MX 10 %d.mx.example.org.", i))
	}
	z := &zone{records: map[string][]string{"example.org. mx": many}}
	z.rude = func(w dns.ResponseWriter, query, answer *dns.Msg) bool {
		answer.Compress = true
		name := query.Question[0].Name
		if strings.HasSuffix(name, "endless.test.") {
			answer.Rcode = dns.RcodeSuccess
			rr, err := dns.NewRR(fmt.Sprintf("%s 0 CNAME a%s", name, name))
			if err != nil {
				panic(err)
			}
			answer.Answer = []dns.RR{rr}
		}
		if w.LocalAddr().Network() == "udp" {
			answer.Truncate(512)
		}
		return false
	}
	r := z.resolver(t)
	got, err := r.Lookup(t.Context(), "example.org", "MX")
	if err != nil || len(got.Records) != 100 {
		t.Errorf("%d records, %v", len(got.Records), err)
	}
	if _, err := r.Lookup(t.Context(), "endless.test", "TXT"); !errors.Is(err, outside.ErrAliases) {
		t.Error(err)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	if len(z.asked) > 20 {
		t.Errorf("%d questions", len(z.asked))
	}
}

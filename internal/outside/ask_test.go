package outside_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"mailconfd/internal/lab"
	"mailconfd/internal/outside"
)

func question(name, kind string) *dns.Msg {
	return new(dns.Msg).SetQuestion(name, dns.StringToType[kind])
}

// The message comes back as it is, whatever its code; over TCP when it was cut, without
// EDNS0 when the server does not know that.
func TestAskPublic(t *testing.T) {
	t.Parallel()
	var many []string
	for i := range 300 {
		many = append(many, fmt.Sprintf("big.example.org. 60 TXT %q", fmt.Sprint(i)))
	}
	z := &zone{records: map[string][]string{"example.org. a": {"example.org. 60 A 192.0.2.1"}, "big.example.org. txt": many}}
	z.rude = func(w dns.ResponseWriter, query, answer *dns.Msg) bool {
		switch query.Question[0].Name {
		case "refused.example.org.":
			answer.Rcode = dns.RcodeRefused
		case "old.example.org.":
			if query.IsEdns0() != nil {
				answer.Rcode = dns.RcodeFormatError
			}
		}
		if w.LocalAddr().Network() == "udp" {
			answer.Truncate(512)
		}
		return false
	}
	asker := outside.NewAsker(z.resolver(t), &outside.Dialer{})
	for _, c := range []struct {
		name, kind string
		code       int
		records    int
	}{
		{"example.org.", "A", dns.RcodeSuccess, 1},
		{"big.example.org.", "TXT", dns.RcodeSuccess, 300},
		{"none.example.org.", "A", dns.RcodeNameError, 0},
		{"refused.example.org.", "A", dns.RcodeRefused, 0},
		{"old.example.org.", "A", dns.RcodeNameError, 0},
	} {
		query := question(c.name, c.kind)
		before := query.String()
		answer, err := asker.Public(t.Context(), query)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if answer.Rcode != c.code || len(answer.Answer) != c.records {
			t.Errorf("%s: code %d, %d records", c.name, answer.Rcode, len(answer.Answer))
		}
		if diff := cmp.Diff(before, query.String()); diff != "" {
			t.Errorf("the query was changed:\n%s", diff)
		}
	}
}

// Name servers are asked at port 53, through the proxy where there is one.
func TestAskAt(t *testing.T) {
	t.Parallel()
	internet, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = internet.Close() })
	resolver, err := outside.NewResolver(internet.Resolver())
	if err != nil {
		t.Fatal(err)
	}
	dialer, err := outside.NewDialer(internet.ProxyURL())
	if err != nil {
		t.Fatal(err)
	}
	asker := outside.NewAsker(resolver, dialer)
	answer, err := asker.At(t.Context(), netip.MustParseAddr("2001:db8::10"), question("example.test.", "SOA"))
	if err != nil || !answer.Authoritative || len(answer.Answer) != 1 {
		t.Errorf("%v, %v", answer, err)
	}
	if _, err = asker.At(t.Context(), netip.MustParseAddr("192.0.2.77"), question("example.test.", "SOA")); err == nil {
		t.Error("nobody is there, and somebody answers")
	}
	internet.DNS().Fail("example.test.", lab.DNSSilent)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = asker.At(ctx, netip.MustParseAddr("192.0.2.10"), question("example.test.", "SOA"))
	if err == nil || !strings.Contains(err.Error(), "no answer in time") {
		t.Errorf("silence: %v", err)
	}
}

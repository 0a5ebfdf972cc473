package publish_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"
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
	job.KeepLast = false
	if _, err := z.Publish(t.Context(), job); err != nil || anyHolds(p.Records(), "993 mail.example.org.") {
		t.Errorf("asked for: %v; %s", err, p.Records())
	}
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

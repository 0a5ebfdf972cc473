package outside

import (
	"context"
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// maxRecords is how many records of one answer are kept. A message of 64 KB can hold
// some thousands; a mail domain has a handful.
const maxRecords = 100

// Answer is what DNS says of one name and type.
type Answer struct {
	Records []Record
	// Alias is where the name itself points, if it is an alias.
	Alias string
	// NoSuchName: the name does not exist, with any type of record (NXDOMAIN, RFC 8020).
	NoSuchName bool
	// Authentic is the resolver's word that DNSSEC vouches for the answer (the AD bit,
	// RFC 4035 section 3.2.3). It is worth as much as the way to the resolver.
	Authentic bool
}

// Record is one record. Names are in lower case without the final dot, "" the root.
// Which fields are set depends on the type.
type Record struct {
	Host     string // A, AAAA: the address; CNAME, MX, SRV: the target
	Priority uint16 // MX: the preference
	Weight   uint16
	Port     uint16
	Text     string // TXT: the strings, joined (RFC 7208 section 3.3), escaped as in a zone file
}

// Lookup asks for the records of a name: A, AAAA, CNAME, MX, SRV or TXT. At most 100 are
// returned. None and no error: the name has none, or does not exist. The error is
// ErrAliases, or means that our resolver does not work.
func (r *Resolver) Lookup(ctx context.Context, name, kind string) (Answer, error) {
	code := dns.StringToType[kind]
	switch code {
	case dns.TypeA, dns.TypeAAAA, dns.TypeCNAME, dns.TypeMX, dns.TypeSRV, dns.TypeTXT:
	default:
		return Answer{}, fmt.Errorf("look up %s: no record type %q is known here", name, kind)
	}
	whole, err := r.records(ctx, name, code)
	if err != nil {
		return Answer{}, err
	}
	answer := Answer{NoSuchName: whole.nowhere, Authentic: whole.authentic}
	if whole.alias != "" {
		answer.Alias = canonical(whole.alias)
	}
	for _, rr := range whole.records[:min(len(whole.records), maxRecords)] {
		answer.Records = append(answer.Records, recordOf(rr))
	}
	return answer, nil
}

func recordOf(rr dns.RR) Record {
	switch rr := rr.(type) {
	case *dns.A, *dns.AAAA:
		for _, ip := range addressOf(rr) {
			return Record{Host: ip.String()}
		}
	case *dns.CNAME:
		return Record{Host: canonical(rr.Target)}
	case *dns.MX:
		return Record{Host: canonical(rr.Mx), Priority: rr.Preference}
	case *dns.SRV:
		return Record{Host: canonical(rr.Target), Priority: rr.Priority, Weight: rr.Weight, Port: rr.Port}
	case *dns.TXT:
		return Record{Text: strings.Join(rr.Txt, "")}
	}
	return Record{}
}

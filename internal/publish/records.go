package publish

import (
	"cmp"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// setKey names a resource record set (RFC 2181 section 5).
type setKey struct {
	owner  string // as dns.CanonicalName has it: absolute, in lower case
	rrtype uint16
}

func keyOf(rr dns.RR) setKey {
	return setKey{dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype}
}

func (k setKey) compare(l setKey) int {
	return cmp.Or(compareNames(k.owner, l.owner), cmp.Compare(k.rrtype, l.rrtype))
}

// compareNames orders names from the root down, as people read a zone.
func compareNames(a, b string) int {
	x, y := dns.SplitDomainName(a), dns.SplitDomainName(b)
	slices.Reverse(x)
	slices.Reverse(y)
	return slices.Compare(x, y)
}

// bySet returns the sets that records make. One that comes twice is there once.
func bySet(records []dns.RR) map[setKey][]dns.RR {
	type identity struct {
		ttl  uint32
		data string
	}
	sets, seen := map[setKey][]dns.RR{}, map[identity]bool{}
	for _, rr := range records {
		if id := (identity{rr.Header().Ttl, data(rr)}); !seen[id] {
			seen[id] = true
			sets[keyOf(rr)] = append(sets[keyOf(rr)], rr)
		}
	}
	return sets
}

// shared tells the sets in which somebody else's records may stand beside ours: TXT
// holds SPF, proofs of ownership and much else. Such a set has one TTL (RFC 2181 section
// 5.2), so its TTL is not ours to say. At the name of a service TXT says how that service
// is used (RFC 6764 section 4), and two of them contradict each other.
func shared(k setKey) bool { return k.rrtype == dns.TypeTXT && !strings.HasPrefix(k.owner, "_") }

// data returns a record in canonical form without its TTL, to compare with others: letter case
// does not count in names (RFC 4343).
func data(rr dns.RR) string {
	rr = dns.Copy(rr)
	h := rr.Header()
	h.Name, h.Ttl = dns.CanonicalName(h.Name), 0
	switch rr := rr.(type) {
	case *dns.SRV:
		rr.Target = dns.CanonicalName(rr.Target)
	case *dns.CNAME:
		rr.Target = dns.CanonicalName(rr.Target)
	}
	wire := make([]byte, dns.Len(rr)+1)
	n, err := dns.PackRR(rr, wire, 0, nil, false)
	if err != nil {
		return rr.String()
	}
	return string(wire[:n])
}

// same tells whether both are one record, with one TTL.
func same(a, b dns.RR) bool {
	h, o := a.Header(), b.Header()
	return h.Ttl == o.Ttl && h.Rrtype == o.Rrtype && strings.EqualFold(h.Name, o.Name) && data(a) == data(b)
}

func contains(records []dns.RR, rr dns.RR) bool {
	return slices.ContainsFunc(records, func(other dns.RR) bool { return same(other, rr) })
}

// without returns the records that are not among others.
func without(records, others []dns.RR) []dns.RR {
	var left []dns.RR
	for _, rr := range records {
		if !contains(others, rr) {
			left = append(left, rr)
		}
	}
	return left
}

func equal(a, b []dns.RR) bool { return len(without(a, b)) == 0 && len(without(b, a)) == 0 }

// withTTL returns copies with another TTL.
func withTTL(records []dns.RR, ttl uint32) []dns.RR {
	all := copies(records)
	for _, rr := range all {
		rr.Header().Ttl = ttl
	}
	return all
}

func copies(records []dns.RR) []dns.RR {
	all := make([]dns.RR, len(records))
	for i, rr := range records {
		all[i] = dns.Copy(rr)
	}
	return all
}

func sorted(records []dns.RR) []dns.RR {
	slices.SortStableFunc(records, func(a, b dns.RR) int {
		return cmp.Or(keyOf(a).compare(keyOf(b)), cmp.Compare(data(a), data(b)))
	})
	return records
}

func typeName(rrtype uint16) string { return dns.Type(rrtype).String() }

// text writes a record in one line as a zone file has it, with single blanks.
func text(rr dns.RR) string { return strings.ReplaceAll(rr.String(), "\t", " ") }

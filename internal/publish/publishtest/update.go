package publishtest

import (
	"slices"

	"github.com/miekg/dns"
)

// update carries out an update as a whole or not at all (RFC 2136 section 3), and returns the code of the answer.
func (p *Primary) update(m *dns.Msg) int {
	p.mu.Lock()
	before := p.before
	p.mu.Unlock()
	if before != nil && len(m.Ns) > 0 {
		before(m)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if dns.CanonicalName(m.Question[0].Name) != p.zone {
		return dns.RcodeNotAuth
	}
	if code := p.prerequisites(m.Answer); code != dns.RcodeSuccess {
		return code
	}
	for _, rr := range m.Ns {
		if !dns.IsSubDomain(p.zone, rr.Header().Name) {
			return dns.RcodeNotZone
		}
	}
	if len(m.Ns) == 0 {
		return dns.RcodeSuccess
	}
	were := slices.Clone(p.records)
	for _, rr := range m.Ns {
		if p.signs && rr.Header().Rrtype == dns.TypeCNAME && rr.Header().Class == dns.ClassINET && occupied(were, rr) {
			continue
		}
		p.change(rr)
	}
	p.bump()
	p.updates++
	return dns.RcodeSuccess
}

// prerequisites checks what must hold (RFC 2136 section 3.2).
func (p *Primary) prerequisites(all []dns.RR) int {
	exact := map[dns.RR_Header][]dns.RR{}
	for _, rr := range all {
		h := *rr.Header()
		h.Name, h.Rdlength = dns.CanonicalName(h.Name), 0
		set := p.set(h.Name, h.Rrtype)
		switch {
		case h.Class == dns.ClassANY && h.Rrtype == dns.TypeANY && len(set) == 0:
			return dns.RcodeNameError
		case h.Class == dns.ClassANY && len(set) == 0:
			return dns.RcodeNXRrset
		case h.Class == dns.ClassNONE && h.Rrtype == dns.TypeANY && len(set) > 0:
			return dns.RcodeYXDomain
		case h.Class == dns.ClassNONE && len(set) > 0:
			return dns.RcodeYXRrset
		case h.Class == dns.ClassINET:
			exact[h] = append(exact[h], rr)
		}
	}
	for h, want := range exact {
		set := p.set(h.Name, h.Rrtype)
		for _, rr := range set {
			if !slices.ContainsFunc(want, func(other dns.RR) bool { return dns.IsDuplicate(rr, other) }) {
				return dns.RcodeNXRrset
			}
		}
		if len(set) != len(want) {
			return dns.RcodeNXRrset
		}
	}
	return dns.RcodeSuccess
}

// occupied tells whether an alias's name has something else.
func occupied(records []dns.RR, alias dns.RR) bool {
	return slices.ContainsFunc(records, func(rr dns.RR) bool {
		return dns.CanonicalName(rr.Header().Name) == dns.CanonicalName(alias.Header().Name) && rr.Header().Rrtype != dns.TypeCNAME
	})
}

// set returns the records of a name and type, or of the name.
func (p *Primary) set(name string, rrtype uint16) []dns.RR {
	var set []dns.RR
	for _, rr := range p.records {
		h := rr.Header()
		if dns.CanonicalName(h.Name) == name && (h.Rrtype == rrtype || rrtype == dns.TypeANY) {
			set = append(set, rr)
		}
	}
	return set
}

// change does one change (RFC 2136 section 3.4.2).
func (p *Primary) change(rr dns.RR) {
	h := rr.Header()
	if h.Class == dns.ClassNONE {
		gone := dns.Copy(rr)
		gone.Header().Class = dns.ClassINET
		p.records = slices.DeleteFunc(p.records, func(other dns.RR) bool { return dns.IsDuplicate(other, gone) })
		return
	}
	name := dns.CanonicalName(h.Name)
	for _, other := range p.set(name, dns.TypeANY) {
		if (h.Rrtype == dns.TypeCNAME) != (other.Header().Rrtype == dns.TypeCNAME) {
			return // left out without a word
		}
	}
	p.records = slices.DeleteFunc(p.records, func(other dns.RR) bool {
		o := other.Header()
		return dns.IsDuplicate(other, rr) || h.Rrtype == dns.TypeCNAME && o.Rrtype == dns.TypeCNAME && dns.CanonicalName(o.Name) == name
	})
	// A set has one TTL (RFC 2181 section 5.2): the newest record's, as BIND 9 does it.
	for i, other := range p.records {
		o := other.Header()
		if dns.CanonicalName(o.Name) == name && o.Rrtype == h.Rrtype && o.Ttl != h.Ttl {
			p.records[i] = dns.Copy(other)
			p.records[i].Header().Ttl = h.Ttl
		}
	}
	p.records = append(p.records, dns.Copy(rr))
}

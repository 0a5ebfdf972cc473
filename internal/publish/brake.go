package publish

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Fate says what is known of the service behind an SRV record that is wanted no more.
type Fate int

// The fates.
const (
	Free    Fate = iota // nothing speaks against taking the record away: it works and is said otherwise, its grace is over, or the operator has taken it out
	Missing             // it does not answer, and it is not known since when
	Pending             // it is not decided yet
)

// Fates says what has become of the service behind an SRV record: its owner is absolute, the target
// is not, and both are in lower case.
type Fates func(owner, target string, port uint16) Fate

// Brake holds records back that a zone should not lose yet. Clients of existing accounts
// may look SRV records up again after a failed connection (RFC 6186 section 4), so a record goes
// only when its service has been gone for a while; and a domain is not left without any
// way to read or to send mail, since that is more likely our fault than the operator's wish.
// The zero Brake holds nothing but the latter.
type Brake struct {
	Grace      time.Duration         // how long a service must have been Missing
	AllowEmpty bool                  // a domain may lose its last retrieval or submission record
	Fates      Fates                 // nil: always Free
	missing    map[service]time.Time // since when records' services are Missing, as far as we know
}

// service is what an SRV record leads to, whatever its priority.
type service struct {
	owner, target string // in lower case, with the final dot
	port          uint16
}

func serviceOf(srv *dns.SRV) service {
	return service{keyOf(srv).owner, dns.CanonicalName(srv.Target), srv.Port}
}

// Held is a record that is not wanted and stays for now.
type Held struct {
	Record dns.RR    // as it is to be
	Until  time.Time // when its time is over; zero: not known, something has to happen
	Last   bool      // it is held because the domain would have no other of its use
}

// String returns the record as a zone file has it.
func (h Held) String() string { return text(h.Record) }

// Hold returns wanted with those records of ours that are to stay for now, behind what is wanted, and what
// they are. Nothing of the arguments is changed. When the zone holds what Hold returned, the same is returned again.
func (b *Brake) Hold(ours, wanted []dns.RR, now time.Time) ([]dns.RR, []Held) {
	var held []Held
	missing := map[service]time.Time{}
	for _, rr := range ours {
		srv, ok := rr.(*dns.SRV)
		if !ok || srv.Target == "." || b.Fates == nil || offers(wanted, srv) {
			continue
		}
		k := serviceOf(srv)
		switch b.Fates(k.owner, strings.TrimSuffix(k.target, "."), k.port) {
		case Pending:
			held = append(held, Held{Record: rr})
		case Missing:
			missing[k] = now
			if since, known := b.missing[k]; known {
				missing[k] = since
			}
			if until := missing[k].Add(b.Grace); now.Before(until) {
				held = append(held, Held{Record: rr, Until: until})
			}
		}
	}
	b.missing = missing
	held = append(behind(wanted, held), texts(ours, wanted, held)...)
	if !b.AllowEmpty {
		for _, rr := range Last(ours, with(wanted, held)) {
			held = append(held, Held{Record: rr, Last: true})
		}
	}
	return with(wanted, held), held
}

// offers tells whether a record set still leads to the same service, be it with another priority or TTL; or
// whether an alias takes its place, which leads to a set that is kept elsewhere.
func offers(wanted []dns.RR, srv *dns.SRV) bool {
	return slices.ContainsFunc(wanted, func(rr dns.RR) bool {
		if rr.Header().Rrtype == dns.TypeCNAME {
			return keyOf(rr).owner == keyOf(srv).owner
		}
		other, ok := rr.(*dns.SRV)
		return ok && serviceOf(other) == serviceOf(srv)
	})
}

// behind gives SRV records that are held a priority behind all that is wanted and that clients compare them
// with, and one behind the other. What stands there already keeps its priority, so that the next look has nothing to
// change.
func behind(wanted []dns.RR, held []Held) []Held {
	last := map[string]uint16{} // priority, by what is compared
	for _, rr := range wanted {
		if srv, ok := rr.(*dns.SRV); ok && srv.Target != "." {
			last[compared(srv)] = max(last[compared(srv)], srv.Priority)
		}
	}
	held = slices.Clone(held)
	slices.SortStableFunc(held, func(a, b Held) int {
		return cmp.Compare(a.Record.(*dns.SRV).Priority, b.Record.(*dns.SRV).Priority)
	})
	for i, h := range held {
		srv := dns.Copy(h.Record).(*dns.SRV)
		before, any := last[compared(srv)]
		if !any {
			continue // alone with its like
		}
		if srv.Priority <= before {
			srv.Priority = uint16(min(int(before)+priorityStep, math.MaxUint16))
		}
		last[compared(srv)] = srv.Priority
		held[i].Record = srv
	}
	return held
}

// priorityStep leaves room for an edit by hand.
const priorityStep = 10

// compared names the records among which clients choose by priority: those of one use of a domain (RFC 6186
// section 3.4), or of one owner.
func compared(srv *dns.SRV) string {
	if u, ok := useOf(srv); ok {
		return u.domain + " " + uses[u.use][0]
	}
	return keyOf(srv).owner
}

// texts returns our TXT records at the names of SRV records that are held: they say how to use the
// service (RFC 6763 section 6, RFC 6764 section 4), and stay as long, where no other is wanted.
func texts(ours, wanted []dns.RR, held []Held) []Held {
	wants := bySet(wanted)
	var all []Held
	for _, rr := range ours {
		k := keyOf(rr)
		i := slices.IndexFunc(held, func(h Held) bool { return keyOf(h.Record).owner == k.owner })
		if k.rrtype == dns.TypeTXT && i >= 0 && len(wants[k])+len(wants[setKey{k.owner, dns.TypeSRV}]) == 0 {
			all = append(all, Held{Record: rr, Until: held[i].Until})
		}
	}
	return all
}

// with adds records that are held. Where one is, "not offered" is not said beside it, and the
// set takes the TTL of what is wanted there.
func with(wanted []dns.RR, held []Held) []dns.RR {
	if len(held) == 0 {
		return wanted
	}
	owners := map[string]bool{}
	for _, h := range held {
		owners[keyOf(h.Record).owner] = true
	}
	all := slices.DeleteFunc(slices.Clone(wanted), func(rr dns.RR) bool {
		srv, ok := rr.(*dns.SRV)
		return ok && srv.Target == "." && owners[keyOf(rr).owner]
	})
	for _, h := range held {
		rr := dns.Copy(h.Record)
		for _, other := range all {
			if keyOf(other) == keyOf(rr) {
				rr.Header().Ttl = other.Header().Ttl
			}
		}
		all = append(all, rr)
	}
	return all
}

// uses are the two that an account needs.
var uses = [][]string{{"_imap", "_imaps", "_pop3", "_pop3s"}, {"_submission", "_submissions"}}

// use is one of them, of a domain.
type use struct {
	domain string
	use    int // in uses
}

// useOf returns what a record is for, or an alias of such a set; false: none of them.
func useOf(rr dns.RR) (use, bool) {
	srv, isSRV := rr.(*dns.SRV)
	_, isAlias := rr.(*dns.CNAME)
	labels := dns.SplitDomainName(keyOf(rr).owner)
	if !isAlias && (!isSRV || srv.Target == ".") || len(labels) == 0 {
		return use{}, false
	}
	i := slices.IndexFunc(uses, func(of []string) bool { return slices.Contains(of, labels[0]) })
	return use{DomainOf(keyOf(rr).owner), i}, i >= 0
}

// Last returns the records of before without which a domain that has records for
// retrieval, or for submission, would have none of them after.
func Last(before, after []dns.RR) []dns.RR {
	left := map[use]bool{}
	for _, rr := range after {
		if u, ok := useOf(rr); ok {
			left[u] = true
		}
	}
	var last []dns.RR
	for _, rr := range before {
		if u, ok := useOf(rr); ok && !left[u] {
			last = append(last, rr)
		}
	}
	return last
}

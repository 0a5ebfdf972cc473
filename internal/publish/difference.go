package publish

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Mode says what to do about records that are not ours and stand in the way.
type Mode int

// The modes. Careful leaves them alone. Adopt takes them over: they are replaced by what
// is wanted, and ours from then on; of a TXT set only the wanted records. Where an alias is wanted, a
// record of a type that we never write stays all the same. TakeBack is
// for a job that wants nothing: markers of records that somebody has edited go as well,
// and the records stay.
const (
	Careful Mode = iota
	Adopt
	TakeBack
)

// Why says in what way foreign records matter.
type Why string

// The reasons.
const (
	WhyDelegated Why = "delegated" // the name is in another zone, which the NS records name
	WhySame      Why = "same"      // somebody has written just what is wanted: nothing is amiss
	WhyOther     Why = "other"     // somebody has written something else
	WhyEdited    Why = "edited"    // we wrote it, and somebody has edited it since
	WhyRemoved   Why = "removed"   // we wrote it, and somebody has taken it away since
	WhyAlias     Why = "alias"     // it cannot stand beside what is wanted, since one of the two is an alias
)

// Foreign is a record set that was left as somebody else has made it.
type Foreign struct {
	Owner   string   // absolute, in lower case
	Type    uint16   // of the set that is wanted, or was
	Why     Why      //
	Records []dns.RR // what stands there
	Wanted  []dns.RR // what would; empty: nothing
}

// String says it to a person.
func (f Foreign) String() string {
	stands := "nothing"
	if len(f.Records) > 0 {
		var lines []string
		for _, rr := range f.Records {
			lines = append(lines, dns.Type(rr.Header().Rrtype).String()+" "+strings.TrimPrefix(text(rr), text(rr.Header())))
		}
		stands = strings.Join(lines, ", ")
	}
	why := map[Why]string{
		WhySame:      "it is as wanted, and not ours",
		WhyDelegated: "the name is in another zone, which is to be published by itself",
		WhyOther:     "it is not ours",
		WhyEdited:    "somebody has edited what we wrote",
		WhyRemoved:   "somebody has taken away what we wrote",
		WhyAlias:     "an alias can have no record beside it",
	}[f.Why]
	if f.Why == WhyAlias && !f.Adoptable() {
		why += ", and only its owner can take this one away"
	}
	return fmt.Sprintf("%s %s: %s stands there; %s", f.Owner, typeName(f.Type), stands, why)
}

// Adoptable tells whether [Adopt] would take it over.
func (f Foreign) Adoptable() bool {
	return f.Why != WhyDelegated && (f.Why != WhyAlias || !slices.ContainsFunc(f.Records, isRare))
}

// isRare tells records of types that we never write: a host key, a certificate, a location. They say something
// that an alias does not say in their place.
func isRare(rr dns.RR) bool {
	return !slices.Contains([]uint16{dns.TypeSRV, dns.TypeTXT, dns.TypeCNAME, dns.TypeA, dns.TypeAAAA}, rr.Header().Rrtype)
}

// Plan is what there is to do to a zone. Records are as the zone has them, or will.
type Plan struct {
	Add, Delete []dns.RR // ours, in the order of their names; Delete comes first
	Keep        []dns.RR // ours, and as wanted
	Foreign     []Foreign
	Mark        Markers // to be written; for records of Add, and those that are adopted
	Unmark      Markers // to be taken away
	// Elsewhere are the domains outside of a job's scope of which the zone has records of
	// ours, sorted. Difference leaves it empty.
	Elsewhere []string
	// Held are records of ours that stay although they are not wanted, by Job.KeepLast. Difference leaves it
	// empty.
	Held []Held

	touched map[setKey][]dns.RR // the sets that change, as they were
}

// Empty tells that the zone needs no change.
func (p Plan) Empty() bool { return len(p.Add)+len(p.Delete)+len(p.Mark)+len(p.Unmark) == 0 }

// Conflicts returns what is foreign and not as wanted.
func (p Plan) Conflicts() []Foreign {
	return slices.DeleteFunc(slices.Clone(p.Foreign), func(f Foreign) bool { return f.Why == WhySame })
}

// Lines writes the plan as a person would: "- " and a record that goes, "+ " and one that comes, "! "
// and what is foreign and in the way, "= " and what is foreign and as wanted; by name.
func (p Plan) Lines() []string {
	type line struct{ owner, text string }
	var all []line
	for _, rr := range p.Delete {
		all = append(all, line{keyOf(rr).owner, "- " + text(rr)})
	}
	for _, rr := range p.Add {
		all = append(all, line{keyOf(rr).owner, "+ " + text(rr)})
	}
	for _, f := range p.Foreign {
		sign := "! "
		if f.Why == WhySame {
			sign = "= "
		}
		all = append(all, line{f.Owner, sign + f.String()})
	}
	slices.SortStableFunc(all, func(a, b line) int { return compareNames(a.owner, b.owner) })
	texts := make([]string, len(all))
	for i, l := range all {
		texts[i] = l.text
	}
	return texts
}

// Difference plans how to get from the current records to the wanted ones. current must
// hold all records at the names that are wanted or marked, of the types that matter
// there: the wanted one, CNAME, and beside a CNAME any. Wanted must pass [Check]. The
// arguments are not changed; the same ones give the same plan.
func Difference(current, wanted []dns.RR, ours Markers, mode Mode) Plan {
	d := differ{mode: mode, current: bySet(current), changes: map[setKey]*change{}, halfDone: ours.halfDone()}
	want, marks := bySet(wanted), ours.bySet()
	keys := slices.AppendSeq(slices.Collect(maps.Keys(want)), maps.Keys(marks))
	slices.SortFunc(keys, setKey.compare)
	keys = slices.Compact(keys)
	for _, k := range keys {
		d.changes[k] = d.set(k, want[k], marks[k])
	}
	for _, k := range keys {
		d.besideAlias(k)
	}
	for _, k := range keys {
		d.besideService(k)
	}
	return d.plan(keys)
}

// differ makes a plan.
type differ struct {
	mode    Mode
	current map[setKey][]dns.RR
	changes map[setKey]*change

	halfDone map[string]bool // the names at which an alias was to replace something, see Plan.staged
}

// change is what happens to one set.
type change struct {
	want         []dns.RR
	add, del     []dns.RR
	keep         []dns.RR // ours
	mark, unmark Markers
	foreign      []Foreign
}

// set plans one set by itself.
func (d *differ) set(k setKey, want []dns.RR, marks Markers) *change {
	have := d.current[k]
	var mine, others []dns.RR
	for _, rr := range have {
		if marks.Owns(rr) {
			mine = append(mine, rr)
		} else {
			others = append(others, rr)
		}
	}
	stale := slices.DeleteFunc(slices.Clone(marks), func(m Marker) bool { return slices.ContainsFunc(mine, m.of) })
	c := &change{want: want}
	if shared(k) {
		d.sharedSet(c, k, mine, others, stale)
		return c
	}
	switch untouched := len(stale) == 0 && len(others) == 0; {
	case untouched, d.mode == Adopt, len(have) == 0 && d.halfDone[k.owner]:
		c.replace(have, want, mine)
		c.unmark = append(c.unmark, stale...)
	case len(have) == 0 && len(want) == 0:
		c.unmark = stale // nobody has a wish any more
	case equal(have, want):
		c.left(k, WhySame, have)
	case len(marks) == 0:
		c.left(k, WhyOther, have)
	case len(have) == 0:
		c.left(k, WhyRemoved, nil)
	default:
		c.left(k, WhyEdited, have)
	}
	if d.mode == TakeBack && len(c.foreign) > 0 {
		c.unmark = marks
	}
	return c
}

// sharedSet plans a set in which others may have records: ours are looked at one by one.
func (d *differ) sharedSet(c *change, k setKey, mine, others []dns.RR, stale Markers) {
	var theirs, wanted []dns.RR // those of others that are not wanted, and that are
	for _, rr := range others {
		if slices.ContainsFunc(c.want, func(w dns.RR) bool { return data(w) == data(rr) }) {
			wanted = append(wanted, rr)
		} else {
			theirs = append(theirs, rr)
		}
	}
	have := mine
	if d.mode == Adopt {
		have, others = slices.Concat(mine, wanted), theirs
	}
	if len(others) > 0 {
		c.want = withTTL(c.want, others[0].Header().Ttl)
	}
	if len(stale) > 0 && len(c.want) > 0 && d.mode != Adopt && !d.halfDone[k.owner] {
		c.left(k, WhyRemoved, others)
		c.keep = mine
		return
	}
	if d.mode != Adopt && len(wanted) > 0 {
		c.left(k, WhySame, wanted)
		c.want = without(c.want, wanted)
	}
	c.replace(have, c.want, mine)
	c.unmark = append(c.unmark, stale...)
}

// replace changes what stands there to what is wanted.
func (c *change) replace(have, want, mine []dns.RR) {
	c.del, c.add = without(have, want), without(want, have)
	for _, rr := range without(have, c.del) {
		c.keep = append(c.keep, rr)
		if !contains(mine, rr) {
			c.mark = append(c.mark, Mark(rr)) // adopted
		}
	}
	for _, rr := range c.add {
		c.mark = append(c.mark, Mark(rr))
	}
	for _, rr := range c.del {
		if contains(mine, rr) {
			c.unmark = append(c.unmark, Mark(rr))
		}
	}
}

// left leaves the set alone and says why.
func (c *change) left(k setKey, why Why, records []dns.RR) {
	// A server turns the order of its answers about.
	c.foreign = append(c.foreign, Foreign{Owner: k.owner, Type: k.rrtype, Why: why, Records: sorted(slices.Clone(records)), Wanted: c.want})
}

// besideAlias looks at what would stand beside an alias once all is done, at the name of
// a set that is added to. It is taken away where it is adopted and can be; otherwise nothing at
// that name is changed.
func (d *differ) besideAlias(k setKey) {
	c := d.changes[k]
	if len(c.add) == 0 {
		return
	}
	var blocking []dns.RR
	for other, have := range d.current {
		if other.owner != k.owner || other == k || besidesAlias(other.rrtype) || k.rrtype != dns.TypeCNAME && other.rrtype != dns.TypeCNAME {
			continue
		}
		if planned := d.changes[other]; planned != nil {
			have = without(have, planned.del)
		}
		blocking = append(blocking, have...)
	}
	if len(blocking) == 0 {
		return
	}
	sorted(blocking)
	if d.mode == Adopt && !slices.ContainsFunc(blocking, isRare) {
		c.del = append(c.del, blocking...)
		return
	}
	for other, planned := range d.changes {
		if other.owner == k.owner {
			*planned = change{want: planned.want, keep: append(planned.keep, planned.del...), foreign: planned.foreign}
		}
	}
	c.left(k, WhyAlias, blocking)
}

// besideService leaves a TXT set alone where the SRV set of the same name is left to
// somebody else: it would say how to use a service that it does not belong to.
func (d *differ) besideService(k setKey) {
	srv := d.changes[setKey{k.owner, dns.TypeSRV}]
	if k.rrtype != dns.TypeTXT || shared(k) || srv == nil {
		return
	}
	if !slices.ContainsFunc(srv.foreign, func(f Foreign) bool { return f.Why != WhySame }) {
		return
	}
	c := d.changes[k]
	if len(c.add) > 0 {
		added := c.add
		c.add = nil
		c.mark = slices.DeleteFunc(c.mark, func(m Marker) bool { return slices.ContainsFunc(added, m.of) })
	}
}

// besidesAlias tells the types that DNSSEC puts beside an alias (RFC 4035 section 2.5).
func besidesAlias(rrtype uint16) bool {
	return rrtype == dns.TypeRRSIG || rrtype == dns.TypeNSEC || rrtype == dns.TypeNSEC3
}

// plan puts the changes together.
func (d *differ) plan(keys []setKey) Plan {
	p := Plan{touched: map[setKey][]dns.RR{}}
	for _, k := range keys {
		c := d.changes[k]
		p.Add, p.Keep = append(p.Add, c.add...), append(p.Keep, c.keep...)
		p.Delete = append(p.Delete, without(c.del, p.Delete)...)
		p.Mark, p.Unmark = append(p.Mark, c.mark...), append(p.Unmark, c.unmark...)
		p.Foreign = append(p.Foreign, c.foreign...)
		if len(c.mark) > 0 {
			p.touched[k] = d.current[k]
		}
	}
	// What is put back, or a TXT record with another TTL, keeps its marker.
	marked := slices.Clone(p.Mark)
	p.Mark = slices.DeleteFunc(p.Mark, func(m Marker) bool { return slices.Contains(p.Unmark, m) })
	p.Unmark = slices.DeleteFunc(p.Unmark, func(m Marker) bool { return slices.Contains(marked, m) })
	sorted(p.Add)
	sorted(p.Delete)
	sorted(p.Keep)
	slices.SortStableFunc(p.Foreign, func(a, b Foreign) int {
		return cmp.Or(compareNames(a.Owner, b.Owner), cmp.Compare(a.Type, b.Type))
	})
	for _, rr := range slices.Concat(p.Add, p.Delete) {
		p.touched[keyOf(rr)] = d.current[keyOf(rr)]
	}
	return p
}

// staged returns the plan with the markers of what an alias replaces, be it ours or adopted. They are there until
// the alias has been seen: where it is not, the next run sees by them that nobody has taken it away.
func (p Plan) staged() Plan {
	p.Mark, p.Unmark = slices.Clone(p.Mark), slices.Clone(p.Unmark)
	for _, alias := range p.Add {
		for _, gone := range p.replacedBy(alias) {
			if m := Mark(gone); !slices.Contains(p.Unmark, m) {
				p.Mark = append(p.Mark, m)
			}
		}
	}
	aliases := slices.DeleteFunc(slices.Clone(p.Add), isNoAlias)
	p.Unmark = slices.DeleteFunc(p.Unmark, func(m Marker) bool {
		return m.Type != dns.TypeCNAME && slices.ContainsFunc(aliases, func(alias dns.RR) bool { return keyOf(alias).owner == m.Owner })
	})
	return p
}

// part returns the part of a plan that is about the first n domains, and how many there are.
func (p Plan) part(n int) (Plan, int) {
	var domains []string
	see := func(owner string) {
		if d := DomainOf(owner); !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
	}
	for k := range p.touched {
		see(k.owner)
	}
	for _, m := range slices.Concat(p.Mark, p.Unmark) {
		see(m.Owner)
	}
	slices.SortFunc(domains, compareNames)
	left := func(owner string) bool { return slices.Contains(domains[min(n, len(domains)):], DomainOf(owner)) }
	leftOut := func(rr dns.RR) bool { return left(rr.Header().Name) }
	leftUnmarked := func(m Marker) bool { return left(m.Owner) }
	part := Plan{
		Add: slices.DeleteFunc(slices.Clone(p.Add), leftOut), Delete: slices.DeleteFunc(slices.Clone(p.Delete), leftOut),
		Keep: p.Keep, Foreign: p.Foreign, Elsewhere: p.Elsewhere, Held: p.Held, touched: maps.Clone(p.touched),
		Mark: slices.DeleteFunc(slices.Clone(p.Mark), leftUnmarked), Unmark: slices.DeleteFunc(slices.Clone(p.Unmark), leftUnmarked),
	}
	maps.DeleteFunc(part.touched, func(k setKey, _ []dns.RR) bool { return left(k.owner) })
	return part, len(domains)
}

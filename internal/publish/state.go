package publish

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// zoneState is what a zone holds of what a job is about.
type zoneState struct {
	serial  uint32
	records []dns.RR // at the names of what is wanted or ours
	marks   []dns.RR // the whole TXT set at the markers' name
	ours    Markers  // within the scope of the job
	others  []string // domains of ours outside of it
	wanted  []dns.RR
	apart   []Foreign // what is wanted or ours, and is in another zone now
}

// zoneState reads the zone and asks the job what it wants.
func (r *run) zoneState(ctx context.Context) (s zoneState, err error) {
	if s.serial, err = r.serial(ctx); err != nil {
		return s, err
	}
	if s.marks, err = r.markers(ctx); err != nil {
		return s, err
	}
	all, err := ParseMarkers(s.marks)
	if err != nil {
		return s, r.fail(KindMarkers, "%v", err)
	}
	for _, m := range all {
		if r.job.Scope(m.Owner) {
			s.ours = append(s.ours, m)
		} else {
			s.others = append(s.others, DomainOf(m.Owner))
		}
	}
	slices.Sort(s.others)
	s.others = slices.Compact(s.others)
	read := reading{run: r, asked: map[setKey]bool{}}
	for _, k := range slices.SortedFunc(maps.Keys(s.ours.bySet()), setKey.compare) {
		if err := read.set(ctx, k); err != nil {
			return s, err
		}
	}
	mine := slices.DeleteFunc(slices.Clone(read.records), func(rr dns.RR) bool { return !s.ours.Owns(rr) })
	if s.wanted, err = r.job.Wanted(mine); err != nil {
		return s, err
	}
	if err := Check(r.zone.Name, s.wanted); err != nil {
		return s, err
	}
	for _, k := range slices.SortedFunc(maps.Keys(bySet(s.wanted)), setKey.compare) {
		if err := read.set(ctx, k); err != nil {
			return s, err
		}
	}
	s.setApart(read.delegated)
	s.records, err = r.withoutWildcards(ctx, read.records, s.ours)
	return s, err
}

// setApart takes out what is at names that were delegated to another zone. Their markers
// stay, since the records come to light again with the end of the delegation.
func (s *zoneState) setApart(delegated map[string][]dns.RR) {
	isApart := func(owner string) bool { _, found := delegated[owner]; return found }
	keys := slices.AppendSeq(slices.Collect(maps.Keys(bySet(s.wanted))), maps.Keys(s.ours.bySet()))
	slices.SortFunc(keys, setKey.compare)
	for _, k := range slices.Compact(keys) {
		if isApart(k.owner) {
			s.apart = append(s.apart, Foreign{Owner: k.owner, Type: k.rrtype, Why: WhyDelegated, Records: sorted(delegated[k.owner])})
		}
	}
	s.wanted = slices.DeleteFunc(slices.Clone(s.wanted), func(rr dns.RR) bool { return isApart(keyOf(rr).owner) })
	s.ours = slices.DeleteFunc(s.ours, func(m Marker) bool { return isApart(m.Owner) })
}

// serial reads the zone's SOA record, which tells at once whether the server has the
// zone and as what.
func (r *run) serial(ctx context.Context) (uint32, error) {
	apex := dns.Fqdn(r.zone.Name)
	answer, err := r.ask(ctx, apex, dns.TypeSOA)
	if err != nil {
		return 0, err
	}
	for _, rr := range answer.Answer {
		if soa, ok := rr.(*dns.SOA); ok && answer.Authoritative && dns.CanonicalName(soa.Hdr.Name) == apex {
			return soa.Serial, nil
		}
	}
	for _, rr := range answer.Ns {
		if soa, ok := rr.(*dns.SOA); ok && answer.Authoritative {
			return 0, r.fail(KindZone, "there is no such zone; it is a part of %s: give that one as the zone", strings.TrimSuffix(soa.Hdr.Name, "."))
		}
	}
	return 0, r.fail(KindZone, "the server is not authoritative for it: give the address of the zone's primary, not that of a resolver")
}

// markers reads the TXT set at the markers' name.
func (r *run) markers(ctx context.Context) ([]dns.RR, error) {
	read := reading{run: r, asked: map[setKey]bool{}}
	k := setKey{MarkerName(r.zone.Name), dns.TypeTXT}
	if err := read.set(ctx, k); err != nil {
		return nil, err
	}
	return r.withoutWildcards(ctx, read.records, nil)
}

// reading collects records.
type reading struct {
	run       *run
	asked     map[setKey]bool
	records   []dns.RR
	delegated map[string][]dns.RR // the NS records, by the name that they take out of the zone
}

// besideAliases are the types that are looked for where an alias is wanted and there is none: any record
// would be in its way, but for those that DNSSEC puts there. The rest of them shows in an answer to ANY,
// if at all.
var besideAliases = []uint16{
	dns.TypeA, dns.TypeAAAA, dns.TypeTXT, dns.TypeMX, dns.TypeSRV, dns.TypeHTTPS, dns.TypeCAA, dns.TypeNS,
	dns.TypeSSHFP, dns.TypeTLSA, dns.TypeLOC, dns.TypeNAPTR, dns.TypePTR, dns.TypeSVCB, dns.TypeURI, dns.TypeHINFO, dns.TypeRP,
	dns.TypeCERT, dns.TypeDNAME, dns.TypeSPF, dns.TypeOPENPGPKEY, dns.TypeSMIMEA, dns.TypeAFSDB, dns.TypeDHCID,
}

// set reads a set, or the alias that stands in its place. Of a set of aliases it reads
// what else is at the name.
func (r *reading) set(ctx context.Context, k setKey) error {
	nothing, err := r.query(ctx, k)
	if err != nil || k.rrtype != dns.TypeCNAME || !nothing {
		return err
	}
	if err := r.any(ctx, k.owner); err != nil {
		return err
	}
	var left []uint16
	for _, rrtype := range besideAliases {
		if !r.asked[setKey{k.owner, rrtype}] {
			left = append(left, rrtype)
		}
	}
	// One question more tells most often that there is nothing else.
	if none, err := r.run.none(ctx, k.owner, left); none || err != nil {
		return err
	}
	for _, rrtype := range left {
		if _, err := r.query(ctx, setKey{k.owner, rrtype}); err != nil {
			return err
		}
	}
	return nil
}

// any takes in what a server tells of a name when it is asked for everything. It may tell a part
// only (RFC 8482), so nothing follows from what it does not tell, nor from a refusal.
func (r *reading) any(ctx context.Context, owner string) error {
	answer, err := r.run.ask(ctx, owner, dns.TypeANY)
	var e *Error
	switch {
	case errors.As(err, &e) && e.Kind != KindUnreachable:
		return nil
	case err != nil:
		return err
	}
	for k, set := range bySet(answer.Answer) {
		if k.owner == owner && !besidesAlias(k.rrtype) && !r.asked[k] {
			r.asked[k] = true
			r.records = append(r.records, set...)
		}
	}
	return nil
}

// query asks for one set. nothing tells that the name exists without it.
func (r *reading) query(ctx context.Context, k setKey) (nothing bool, err error) {
	if r.asked[k] {
		return false, nil
	}
	r.asked[k] = true
	answer, err := r.run.ask(ctx, k.owner, k.rrtype)
	if err != nil {
		return false, err
	}
	if referral := nameServers(answer.Ns); !answer.Authoritative && len(referral) > 0 && k.owner != MarkerName(r.run.zone.Name) {
		if r.delegated == nil {
			r.delegated = map[string][]dns.RR{}
		}
		r.delegated[k.owner] = referral
		return false, nil
	}
	if !answer.Authoritative {
		return false, r.run.fail(KindZone, "%s is not in this zone: it is delegated to another one, which is to be published by itself", strings.TrimSuffix(k.owner, "."))
	}
	found := false
	for _, rr := range answer.Answer {
		if got := keyOf(rr); got.owner == k.owner && (got.rrtype == k.rrtype || got.rrtype == dns.TypeCNAME) {
			found = true
			r.records = append(r.records, rr)
		}
	}
	return !found && answer.Rcode == dns.RcodeSuccess, nil
}

// nameServers returns the NS records of a referral (RFC 1034 section 4.3.2).
func nameServers(authority []dns.RR) []dns.RR {
	return slices.DeleteFunc(slices.Clone(authority), func(rr dns.RR) bool { return rr.Header().Rrtype != dns.TypeNS })
}

// withoutWildcards leaves out what only a wildcard puts there (RFC 4592): it is no
// record of that name, and does not stand in the way. An answer does not show the difference;
// a prerequisite does, so an update without any change is sent for each set that is not ours.
func (r *run) withoutWildcards(ctx context.Context, records []dns.RR, ours Markers) ([]dns.RR, error) {
	sets := bySet(records)
	for k, set := range sets {
		if !slices.ContainsFunc(set, func(rr dns.RR) bool { return !ours.Owns(rr) }) || isMarked(set) {
			continue
		}
		real, err := r.exists(ctx, k)
		if err != nil {
			return nil, err
		}
		if !real {
			delete(sets, k)
		}
	}
	var all []dns.RR
	for _, k := range slices.SortedFunc(maps.Keys(sets), setKey.compare) {
		all = append(all, sets[k]...)
	}
	return all, nil
}

// isMarked tells the markers' own set: no wildcard has it.
func isMarked(set []dns.RR) bool {
	markers, err := ParseMarkers(set)
	return err != nil || len(markers) > 0
}

// exists asks whether a set is in the zone, by a prerequisite (RFC 2136 section 2.4.1). A
// server that does not let us change anything is not believed to have a wildcard.
func (r *run) exists(ctx context.Context, k setKey) (bool, error) {
	m := new(dns.Msg)
	m.SetUpdate(dns.Fqdn(r.zone.Name))
	m.RRsetUsed([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: k.owner, Rrtype: k.rrtype}}})
	err := r.update(ctx, m)
	var e *Error
	switch {
	case errors.Is(err, errChanged):
		return false, nil
	case errors.As(err, &e) && e.Kind != KindUnreachable, err == nil:
		return true, nil
	}
	return false, fmt.Errorf("ask whether %s is real: %w", k.owner, err)
}

// none asks whether none of these sets is in the zone. false says nothing: a server may not let us ask.
func (r *run) none(ctx context.Context, owner string, rrtypes []uint16) (bool, error) {
	m := new(dns.Msg)
	m.SetUpdate(dns.Fqdn(r.zone.Name))
	for _, rrtype := range rrtypes {
		require(m, setKey{owner, rrtype}, nil)
	}
	err := r.update(ctx, m)
	var e *Error
	if errors.Is(err, errChanged) || errors.As(err, &e) && e.Kind != KindUnreachable {
		return false, nil
	}
	return err == nil, err
}

// message makes the update of a plan: prerequisites that say what was read, then what
// is taken away, then what is added.
func (r *run) message(p Plan) *dns.Msg {
	m := new(dns.Msg)
	m.SetUpdate(dns.Fqdn(r.zone.Name))
	ttl := uint32(markerTTL)
	if len(r.seen.marks) > 0 {
		ttl = r.seen.marks[0].Header().Ttl
	}
	if len(p.Mark)+len(p.Unmark) > 0 {
		require(m, setKey{MarkerName(r.zone.Name), dns.TypeTXT}, r.seen.marks)
	}
	for _, k := range slices.SortedFunc(maps.Keys(p.touched), setKey.compare) {
		require(m, k, p.touched[k])
	}
	r.requireAlone(m, p)
	m.Remove(copies(p.Delete))
	m.Remove(p.Unmark.records(r.zone.Name, ttl))
	m.Insert(copies(p.Add))
	m.Insert(p.Mark.records(r.zone.Name, ttl))
	return m
}

// require makes a prerequisite of a set as it was read (RFC 2136 sections 2.4.2, 2.4.3).
func require(m *dns.Msg, k setKey, set []dns.RR) {
	if len(set) == 0 {
		m.RRsetNotUsed([]dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: k.owner, Rrtype: k.rrtype}}})
		return
	}
	m.Used(copies(set))
}

// requireAlone lets an alias be added only where nothing is (RFC 2136 section 2.4.5), or where it replaces
// something, nothing else; and anything else only where no alias is. Servers would leave out what does
// not fit, and say yes.
func (r *run) requireAlone(m *dns.Msg, p Plan) {
	there, replaced, aliased := bySet(r.seen.records), map[string]bool{}, map[string]bool{}
	for _, rr := range p.Delete {
		replaced[keyOf(rr).owner] = true
	}
	for _, rr := range p.Add {
		k := keyOf(rr)
		name := []dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: k.owner, Rrtype: dns.TypeCNAME}}}
		switch {
		case k.rrtype == dns.TypeCNAME && !replaced[k.owner]:
			m.NameNotUsed(name)
		case k.rrtype == dns.TypeCNAME && len(there[k]) == 0:
			for _, rrtype := range besideAliases {
				// What is there has a prerequisite of its own, since it is taken away.
				if other := (setKey{k.owner, rrtype}); len(there[other]) == 0 {
					require(m, other, nil)
				}
			}
		case k.rrtype != dns.TypeCNAME && !aliased[k.owner] && len(p.touched[setKey{k.owner, dns.TypeCNAME}]) == 0:
			aliased[k.owner] = true
			m.RRsetNotUsed(name)
		}
	}
}

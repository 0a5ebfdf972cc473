// Package drift compares the records that a domain should have with those that DNS has:
// what is missing, left over or different, and what about the zone keeps a record set
// from being right or from changing in time. Each name server of the zone is asked at
// each of its addresses (RFC 1034 section 4.3.1), and the resolver as clients would.
//
// [Look] asks and is thin; [Compare] is pure. A record set is compared by what clients
// get: an alias at an owner name is no drift as long as it leads to the same records
// (RFC 2782 forbids aliases as targets, not as owner names).
//
// The package changes nothing in DNS, follows no referral further than the zone itself,
// and validates no DNSSEC: whether the zone validates is the resolver's word (the AD
// bit, RFC 4035 section 3.2.3), worth as much as the way to the resolver.
package drift

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// World is how DNS is asked.
type World interface {
	// Public asks the resolver. The error means that it does not work.
	Public(ctx context.Context, query *dns.Msg) (*dns.Msg, error)
	// At asks the name server at an address. The error says why it does not answer.
	At(ctx context.Context, server netip.Addr, query *dns.Msg) (*dns.Msg, error)
}

// Want is what DNS should have of a domain.
type Want struct {
	Domain  string // in A-labels, without a final dot
	Records []dns.RR
	Names   []Name // all owner names and types that Records speak of
	// Unverified are services that have no record because they may not be published now.
	Unverified []Service
	// TTL is the time in which a change should be seen everywhere.
	TTL time.Duration
	// Optional says that the domain need not have records: where no SRV record is in DNS
	// at all, this is one note.
	Optional bool
}

// Name is an owner name and a type at which there should be the records of Want only.
type Name struct {
	Owner  string // absolute, with the final dot
	Type   string // "SRV", "CNAME", "A", "AAAA", "TXT"
	Prefix string // of TXT records that others use too: only those that begin so are compared
}

// Service is a service without a record, and why.
type Service struct {
	Owner  string // where its SRV record would stand
	Host   string // without a final dot
	Port   uint16
	Reason string
}

// Weight says how much a finding matters.
type Weight string

// The weights. Only a fault is drift.
const (
	Fault   Weight = "fault"
	Warning Weight = "warning"
	Note    Weight = "note"
)

// Kind is what was found, one of a closed set.
type Kind string

// The kinds.
const (
	Missing      Kind = "missing"                // a record that should be there is not
	Extra        Kind = "extra"                  // a record that should not be there
	Unverified   Kind = "unverified"             // a record of a service that is not seen to work now
	Different    Kind = "different"              // others than those that should be there
	Wildcard     Kind = "wildcard"               // a wildcard answers in place of the record
	TTLTooLong   Kind = "ttl_too_long"           // resolvers keep the record for longer than it should be
	TargetAlias  Kind = "target_is_alias"        // the target of an SRV record is a CNAME
	TargetNoAddr Kind = "target_without_address" // the host that a record names has no address
	NoDomain     Kind = "no_domain"              // the domain does not exist in DNS
	Lame         Kind = "lame"                   // a name server of the zone does not answer for it
	Unpublished  Kind = "unpublished"            // none of the SRV records is there, and that may be meant
	NotAsked     Kind = "not_asked"              // an address that cannot be reached from here
	Serials      Kind = "serials_differ"         // the name servers hold different versions of the zone
	Delegation   Kind = "delegation_differs"     // the parent zone names other servers than the zone itself
	Cached       Kind = "public_differs"         // the resolver says something else than the name servers
	NegativeTTL  Kind = "negative_ttl_too_long"  // a new record is not seen for long by who asked before
	Unsigned     Kind = "unsigned"               // no DNSSEC
	NotValidated Kind = "not_validated"          // signed, and the resolver does not vouch for it
	Bogus        Kind = "bogus"                  // signed wrongly: validating resolvers answer nothing
)

// kindOf is what is fixed for a kind.
type kindOf struct {
	kind   Kind
	weight Weight
	remedy string
}

// kinds are all kinds with their weight, and what to do about each.
var kinds = []kindOf{
	{NoDomain, Fault, "register the domain or create its zone, or take it out of the configuration"},
	{Missing, Fault, "add the record: mailconfd records prints it"},
	{Different, Fault, "replace the records by what mailconfd records prints"},
	{Unverified, Fault, "mend the service (mailconfd probe says what is wrong), or delete the record"},
	{Extra, Fault, "delete the record"},
	{Wildcard, Fault, "add the record itself, which then stands before the wildcard (RFC 4592); where there should be none, narrow the wildcard"},
	{TTLTooLong, Fault, "lower the TTL, or say with --ttl that it is meant"},
	{TargetAlias, Fault, "give the target address records, or name the host that it leads to (RFC 2782)"},
	{TargetNoAddr, Fault, "give the host A or AAAA records"},
	{Bogus, Fault, "sign the zone anew, or take the DS record out of the parent zone"},
	{Lame, Fault, "let the server serve the zone, or take it out of the NS records and the delegation"},
	{Serials, Warning, "wait for the transfer; if it stays so, look at the secondary's log"},
	{Delegation, Warning, "make the NS records of the zone and of the delegation the same"},
	{Cached, Warning, "wait until caches have forgotten the old records"},
	{NegativeTTL, Warning, "lower the last field of the SOA record, or its TTL (RFC 2308)"},
	{Unpublished, Note, "mailconfd records prints them, for clients that look in DNS"},
	{NotAsked, Note, "look from a place that has such addresses"},
	{NotValidated, Note, "ask a resolver that validates, with --resolver; if it does not vouch either, look at the DS record"},
	{Unsigned, Note, "sign the zone with DNSSEC"},
}

// Kinds returns all kinds, the gravest first.
func Kinds() []Kind {
	all := make([]Kind, len(kinds))
	for i, k := range kinds {
		all[i] = k.kind
	}
	return all
}

// Weight returns how much findings of the kind matter.
func (k Kind) Weight() Weight {
	i := slices.IndexFunc(kinds, func(of kindOf) bool { return of.kind == k })
	return kinds[i].weight
}

// Finding is one thing that was found.
type Finding struct {
	Kind    Kind     `json:"kind"`
	Weight  Weight   `json:"weight"`
	Owner   string   `json:"owner"`             // the name that it is about, without the final dot
	Type    string   `json:"type,omitempty"`    // the type of records, where it is about records
	Want    []string `json:"want,omitempty"`    // record data that should be there
	Got     []string `json:"got,omitempty"`     // record data that is
	Servers []string `json:"servers,omitempty"` // who says so, "NAME (ADDRESS)" or "resolver"; none: all that were asked
	Detail  string   `json:"detail"`
	Remedy  string   `json:"remedy"`
}

// Report is what came of a comparison.
type Report struct {
	Domain   string    `json:"domain"`
	Zone     string    `json:"zone"`     // the zone that holds the domain
	Drift    bool      `json:"drift"`    // there is a fault
	Servers  []string  `json:"servers"`  // the name servers that answered, "NAME (ADDRESS)"
	Findings []Finding `json:"findings"` // the gravest first
}

// Counts returns how often each kind was found, for all kinds: the labels of a metric
// that come from a closed set.
func (r Report) Counts() map[Kind]int {
	counts := map[Kind]int{}
	for _, k := range kinds {
		counts[k.kind] = 0
	}
	for _, f := range r.Findings {
		counts[f.Kind]++
	}
	return counts
}

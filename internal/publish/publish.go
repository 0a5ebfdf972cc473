// Package publish keeps records in DNS zones by dynamic updates (RFC 2136), signed with
// a shared key (TSIG, RFC 8945), over TCP.
//
// It owns exactly what it wrote. For each of its records there is a marker in the zone,
// a TXT record at _mailconfd.ZONE with owner name, type and digest. A record without a
// marker is somebody else's, and so is one that no longer has its digest: somebody has
// edited it. Such records are reported and never touched, unless the caller adopts them.
//
// [Difference] is pure: from what a zone holds and what it should hold it makes a
// [Plan]. [Zone] carries a plan out: it reads from the server that takes the updates,
// never from a cache, and sends all changes of a zone as one message, whose
// prerequisites repeat what was read (RFC 2136 section 2.4). So two runs at once, or an
// edit between reading and writing, end in another try and never in a mixed zone. What
// was sent is read back before it is called published: BIND 9 and Knot DNS answer NOERROR and
// leave a CNAME out that would stand beside other records.
//
// [Keeper] does the same again and again, with a brake.
//
// The package takes no decision about mail: it sees resource records. It never sends
// what it was not given, and it asks no server but the one it was told.
package publish

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Records are resource records. The name lets others do without the DNS library.
type Records = []dns.RR

// Zone is a zone and the server that takes its updates.
type Zone struct {
	Name    string        // of the zone, in A-labels
	Server  string        // HOST:PORT of its primary
	Key     *Key          // nil: messages are not signed
	Timeout time.Duration // for one message and its answer; 0: 10 s

	Now func() time.Time // the time of signatures; nil: time.Now
}

// Job is what to do with a zone.
type Job struct {
	// Wanted returns the records that the zone should hold within Scope, given those of
	// ours that it holds. It may be called several times. The error ends the run.
	Wanted func(ours Records) (Records, error)
	// Scope says of an owner name, absolute and in lower case, whether the job is about
	// it. Our records elsewhere are left alone. nil: the whole zone.
	Scope func(owner string) bool
	Mode  Mode
	// KeepLast keeps the last record of ours that a domain has for retrieval or for
	// submission, whatever is wanted, where what is wanted cannot be written because
	// somebody else's record stands there. The plan says what it keeps, in Held.
	KeepLast bool
}

// Fixed makes the Wanted of a job that does not depend on what the zone holds.
func Fixed(records Records) func(Records) (Records, error) {
	return func(Records) (Records, error) { return records, nil }
}

// Compare reads the zone and returns what there is to do. It changes nothing; where a
// record may come from a wildcard, it asks the server by an update that holds a
// prerequisite and no change.
func (z Zone) Compare(ctx context.Context, job Job) (Plan, error) {
	r := newRun(z, job)
	defer r.close()
	if err := r.read(ctx); err != nil {
		return Plan{}, err
	}
	return r.plan, nil
}

// Publish brings the zone to what is wanted and returns what it changed, which is in
// the zone when the error is nil. Foreign records that are in the way are in the plan
// and are no error. The error is an *[Error] when it is about the zone or its server.
func (z Zone) Publish(ctx context.Context, job Job) (Plan, error) {
	r := newRun(z, job)
	defer r.close()
	return r.publish(ctx)
}

// FindZone asks a server for the zone that a domain is in, without knowing more.
func FindZone(ctx context.Context, server string, key *Key, domain string) (string, error) {
	r := newRun(Zone{Name: domain, Server: server, Key: key}, Job{})
	defer r.close()
	answer, err := r.ask(ctx, dns.Fqdn(domain), dns.TypeSOA)
	if err != nil {
		return "", err
	}
	for _, rr := range append(answer.Answer, answer.Ns...) {
		if soa, ok := rr.(*dns.SOA); ok && answer.Authoritative {
			return strings.TrimSuffix(dns.CanonicalName(soa.Hdr.Name), "."), nil
		}
	}
	return "", r.fail(KindZone, "the server is not authoritative for it; give the primary of its zone")
}

// Check returns what is wrong with records that a zone is to hold: each has to be a
// record that can be sent, in the zone, and an alias stands alone at its name (RFC 1034 section
// 3.6.2).
func Check(zone string, records []dns.RR) error {
	sets := bySet(records)
	for _, rr := range records {
		h := rr.Header()
		if _, err := dns.PackRR(rr, make([]byte, dns.MaxMsgSize), 0, nil, false); err != nil {
			return fmt.Errorf("%s %s cannot be sent: %w", h.Name, typeName(h.Rrtype), err)
		}
		if !dns.IsSubDomain(dns.Fqdn(zone), h.Name) {
			return fmt.Errorf("%s is not in the zone %s", h.Name, zone)
		}
		if h.Class != dns.ClassINET {
			return fmt.Errorf("%s has class %s; want IN", h.Name, dns.ClassToString[h.Class])
		}
		if alias := sets[setKey{dns.CanonicalName(h.Name), dns.TypeCNAME}]; len(alias) > 1 || len(alias) == 1 && h.Rrtype != dns.TypeCNAME {
			return fmt.Errorf("%s is an alias and can have no other record", h.Name)
		}
	}
	return nil
}

// DomainOf returns the mail domain that a record of ours is for, without the final dot: the owner name less
// the labels that stand for a service (RFC 2782, RFC 8552) or for a server of documents.
func DomainOf(owner string) string {
	labels := dns.SplitDomainName(dns.CanonicalName(owner))
	i := 0
	for i < len(labels) && strings.HasPrefix(labels[i], "_") {
		i++
	}
	if i == 0 && len(labels) > 0 && slices.Contains([]string{"autoconfig", "autodiscover", "ua-auto-config"}, labels[0]) {
		i = 1
	}
	return strings.Join(labels[i:], ".")
}

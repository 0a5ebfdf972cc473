package publish

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/miekg/dns"
)

// Kind is what went wrong with a zone or its server. The set is closed: it is the label
// of a metric.
type Kind string

// The kinds.
const (
	KindUnreachable Kind = "unreachable"     // no connection, or it broke
	KindZone        Kind = "wrong_zone"      // the server is not the primary of such a zone
	KindKey         Kind = "unknown_key"     // the server does not know the key, or not for this
	KindSignature   Kind = "wrong_secret"    // ours or the server's signature is wrong
	KindClock       Kind = "clock"           // the clocks differ
	KindRefused     Kind = "refused"         // the server does not let us
	KindUnsupported Kind = "not_implemented" // the server takes no updates
	KindServer      Kind = "server_failure"  // the server says that it failed
	KindAnswer      Kind = "bad_answer"      // the answer makes no sense
	KindChanging    Kind = "kept_changing"   // others changed the same records again and again
	KindNotApplied  Kind = "not_applied"     // the server said yes and did not do it
	KindLagging     Kind = "lagging"         // the server said yes and still answers with the old zone
	KindMarkers     Kind = "markers"         // markers that we cannot read
	KindTooLarge    Kind = "too_large"       // more than one message can say
)

// Kinds returns all kinds.
func Kinds() []Kind {
	return []Kind{
		KindUnreachable, KindZone, KindKey, KindSignature, KindClock, KindRefused, KindUnsupported, KindServer,
		KindAnswer, KindChanging, KindNotApplied, KindLagging, KindMarkers, KindTooLarge,
	}
}

// Error is why a zone could not be read or changed.
type Error struct {
	Kind   Kind
	Zone   string
	Server string
	Text   string // what was seen, and what to do
	err    error
}

// Error says it to a person.
func (e *Error) Error() string {
	return fmt.Sprintf("zone %s at %s: %s", e.Zone, e.Server, e.Text)
}

// Unwrap returns the error of the connection, if it is one.
func (e *Error) Unwrap() error { return e.err }

// errChanged means that a prerequisite did not hold: somebody changed the zone between
// our reading and our writing.
var errChanged = errors.New("the zone has changed meanwhile")

func (r *run) fail(kind Kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Zone: r.zone.Name, Server: r.zone.Server, Text: fmt.Sprintf(format, args...)}
}

// broken is a connection that does not come about, or ends early.
func (r *run) broken(deed string, err error) error {
	var op *net.OpError
	var call *os.SyscallError
	what := err
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		what = errors.New("no answer in time")
	case errors.As(err, &call):
		what = call.Err
	case errors.As(err, &op):
		what = op.Err
	}
	e := r.fail(KindUnreachable, "%s: %v; is this the primary's address, and does it take TCP there?", deed, what)
	e.err = err
	return e
}

// refusal makes an error of an answer that is no success. BIND 9.18, Knot DNS 3.2 and
// PowerDNS 4.7 answer the same fault differently; test/real holds the first two to it.
func (r *run) refusal(answer *dns.Msg, deed string) error {
	if t := answer.IsTsig(); t != nil && t.Error != dns.RcodeSuccess && r.zone.Key != nil {
		return r.unsigned(t)
	}
	signed := r.zone.Key != nil
	switch answer.Rcode {
	case dns.RcodeYXDomain, dns.RcodeYXRrset, dns.RcodeNXRrset, dns.RcodeNameError:
		return errChanged // RFC 2136 section 2.2
	case dns.RcodeNotAuth:
		if !signed {
			return r.fail(KindZone, "the server says NOTAUTH to our wish to %s: it is not the primary of this zone, or it wants a key: give tsig_name and tsig_secret_file", deed)
		}
		return r.fail(KindZone, "the server says NOTAUTH to our wish to %s: it does not have this zone, or not as its primary; check the zone's name, and give the address of its primary", deed)
	case dns.RcodeNotZone:
		return r.fail(KindZone, "the server says NOTZONE: a record is outside of the zone that it has; check the zone's name")
	case dns.RcodeRefused:
		return r.refused(signed, deed)
	case dns.RcodeNotImplemented:
		return r.fail(KindUnsupported, "the server does not know how to %s (NOTIMP): let it take updates by RFC 2136, or give the address of one that does", deed)
	case dns.RcodeFormatError:
		return r.fail(KindAnswer, "the server does not understand our wish to %s (FORMERR); is it a name server that takes updates and keys (TSIG)?", deed)
	case dns.RcodeServerFailure:
		return r.fail(KindServer, "the server failed to %s (SERVFAIL): its log says why; often it may not write its zone or journal file, or has not loaded the zone", deed)
	}
	return r.fail(KindAnswer, "the server answers code %d (%s) to our wish to %s", answer.Rcode, dns.RcodeToString[answer.Rcode], deed)
}

func (r *run) refused(signed bool, deed string) error {
	switch {
	case deed != changing && signed:
		return r.fail(KindRefused, "the server refuses to %s: it does not have this zone, or does not let us ask; check the zone's name, the server's address, and whom it answers", deed)
	case deed != changing:
		return r.fail(KindRefused, "the server refuses to %s: it does not have this zone, or does not let us ask without a key; check the zone's name and the server's address, or give tsig_name and tsig_secret_file", deed)
	case !signed:
		return r.fail(KindRefused, "the server refuses to %s: we gave no key; give tsig_name and tsig_secret_file, or let the server take it from this address", deed)
	}
	return r.fail(KindRefused, "the server refuses to %s: key %s may not do it, or the server is not the zone's primary. The key must be allowed to change SRV, CNAME and TXT records, and with addresses A and AAAA, in the whole zone "+
		"(BIND: update-policy or allow-update; PowerDNS: TSIG-ALLOW-DNSUPDATE, and it says so of a wrong secret or clock too)", deed, r.zone.Key.Name)
}

// unsigned makes an error of what a server says about our signature (RFC 8945 section 5.2).
// Only BADTIME comes signed, so an attacker could say the others: they end the run and do no more.
func (r *run) unsigned(t *dns.TSIG) error {
	switch t.Error {
	case dns.RcodeBadSig:
		return r.fail(KindSignature, "the server knows the key %s and finds our signature wrong (BADSIG): the secret or the algorithm is not the one that it has", r.zone.Key.Name)
	case dns.RcodeBadKey:
		return r.fail(KindKey, "the server says BADKEY: it does not know the key %s with %s, or (Knot DNS) the key may not change this zone or this type of record, or the server is not the zone's primary; "+
			"compare its name and algorithm with the server's, and what it may do", r.zone.Key.Name, r.zone.Key.Algorithm)
	case dns.RcodeBadTime:
		return r.fail(KindClock, "the server says BADTIME%s: set both clocks, by NTP for example", apart(t))
	}
	return r.fail(KindSignature, "the server does not take our signature: %s", dns.RcodeToString[int(t.Error)])
}

// apart says how far the clocks are apart: the answer has both times (RFC 8945 section
// 5.2.3).
func apart(t *dns.TSIG) string {
	var theirs int64
	if n, err := fmt.Sscanf(t.OtherData, "%x", &theirs); n != 1 || err != nil || t.OtherLen != 6 {
		return ""
	}
	ours := time.Unix(int64(t.TimeSigned), 0)
	there := time.Unix(theirs, 0)
	return fmt.Sprintf(", its clock shows %s and ours %s, %s apart", there.UTC().Format(time.RFC3339), ours.UTC().Format(time.RFC3339), there.Sub(ours).Abs())
}

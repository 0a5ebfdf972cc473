package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// Limits of the DNS server.
const (
	maxAliases = 8      // CNAME records followed for one answer
	maxQueries = 10_000 // queries remembered
	ednsSize   = 1232   // largest UDP answer, as DNS flag day 2020 advises
)

// DNSFault is how the lab's DNS server fails for a name.
type DNSFault string

// The ways to fail: DNSServFail answers SERVFAIL, DNSSilent does not answer at all,
// DNSRefused answers as a server that does not have the zone, DNSUnauthoritative as one
// that knows of it by hearsay (no AA bit, no records), DNSBogus as a resolver that finds
// the zone's signatures wrong: SERVFAIL, unless it is told not to check (RFC 4035
// section 3.2.2).
const (
	DNSServFail        DNSFault = "servfail"
	DNSSilent          DNSFault = "silent"
	DNSRefused         DNSFault = "refused"
	DNSUnauthoritative DNSFault = "unauthoritative"
	DNSBogus           DNSFault = "bogus"
)

// DNS is an authoritative name server (RFC 1034, RFC 2308) on one loopback port, UDP
// and TCP. It feels responsible for every name there is: what it was not told
// about is NXDOMAIN at once, with the SOA that lets a resolver remember that, so
// that nothing ever leaves the machine. Wildcards answer as RFC 4592 has it. It has no zone
// transfer, no updates over the network and no DNSSEC, but can say that it validated.
//
// Methods may be called from any goroutine and take effect with the next query.
type DNS struct {
	addr    string
	servers []*dns.Server
	ended   sync.WaitGroup

	mu      sync.Mutex
	sets    map[setKey][]dns.RR
	faults  map[string]DNSFault
	vouches bool
	queries []dns.Question
}

// setKey names a resource record set (RFC 2181, section 5).
type setKey struct {
	name string // lower case, fully qualified
	kind uint16
}

func keyOf(rr dns.RR) setKey {
	return setKey{dns.CanonicalName(rr.Header().Name), rr.Header().Rrtype}
}

func keysOf(records []dns.RR) []setKey {
	keys := make([]setKey, len(records))
	for i, rr := range records {
		keys[i] = keyOf(rr)
	}
	return keys
}

// NewDNS starts a server that knows nothing yet.
func NewDNS() (*DNS, error) {
	d := &DNS{sets: map[setKey][]dns.RR{}, faults: map[string]DNSFault{}}
	packets, stream, err := listenBoth()
	if err != nil {
		return nil, fmt.Errorf("listen for DNS: %w", err)
	}
	d.addr = packets.LocalAddr().String()
	d.start(&dns.Server{PacketConn: packets, Handler: d})
	d.start(&dns.Server{Listener: stream, Handler: d})
	return d, nil
}

// rootSOA is what answers for names outside all zones refer to.
func rootSOA() dns.RR {
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: 60},
		Ns:  "ns.invalid.", Mbox: "hostmaster.invalid.",
		Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: 60,
	}
}

// listenBoth finds a loopback port that is free for UDP and for TCP.
func listenBoth() (net.PacketConn, net.Listener, error) {
	var errs []error
	for range 20 {
		packets, err := net.ListenPacket("udp", "127.0.0.1:0")
		if err != nil {
			return nil, nil, err
		}
		stream, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, stream, nil
		}
		errs = append(errs, err, packets.Close())
	}
	return nil, nil, errors.Join(errs...)
}

// start runs the server and returns when it can be shut down.
func (d *DNS) start(server *dns.Server) {
	started := make(chan struct{})
	server.NotifyStartedFunc = func() { close(started) }
	d.servers = append(d.servers, server)
	d.ended.Go(func() {
		_ = server.ActivateAndServe() // ends with Shutdown; on loopback nothing else stops it
	})
	<-started
}

// Addr returns where the server listens, as --resolver wants it.
func (d *DNS) Addr() string { return d.addr }

// Set adds record sets. The records of one name and type replace those that were
// there before; all other sets stay.
func (d *DNS) Set(records ...dns.RR) { d.replace(nil, records) }

// Remove deletes the set of the name and type, if there is one.
func (d *DNS) Remove(name string, kind uint16) {
	d.replace([]setKey{{dns.CanonicalName(name), kind}})
}

// replace deletes sets and then adds layer upon layer, all at once: no query sees
// a state in between.
func (d *DNS) replace(gone []setKey, layers ...[]dns.RR) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, key := range gone {
		delete(d.sets, key)
	}
	for _, records := range layers {
		for _, key := range keysOf(records) {
			delete(d.sets, key)
		}
		for _, rr := range records {
			d.sets[keyOf(rr)] = append(d.sets[keyOf(rr)], dns.Copy(rr))
		}
	}
}

// Fail lets every query for the name fail; the empty fault ends that.
func (d *DNS) Fail(name string, fault DNSFault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if fault == "" {
		delete(d.faults, dns.CanonicalName(name))
		return
	}
	d.faults[dns.CanonicalName(name)] = fault
}

// Vouch lets all answers say that they were validated (the AD bit, RFC 4035 section
// 3.2.3), as those of a validating resolver do for a signed zone.
func (d *DNS) Vouch(validated bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.vouches = validated
}

// Queries returns what was asked, oldest first, as it was asked. Only the newest
// 10,000 are kept.
func (d *DNS) Queries() []dns.Question {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.queries)
}

// Close stops the server and waits for what it is doing.
func (d *DNS) Close() error {
	var errs []error
	for _, server := range d.servers {
		errs = append(errs, server.Shutdown())
	}
	d.ended.Wait()
	return errors.Join(errs...)
}

// ServeDNS answers one query; it makes DNS a [dns.Handler].
func (d *DNS) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	answer := d.answer(query)
	if answer == nil {
		return
	}
	if _, udp := w.RemoteAddr().(*net.UDPAddr); udp {
		answer.Truncate(udpSize(query))
	}
	_ = w.WriteMsg(answer) // the client that is gone asks again
}

// udpSize is how long an answer by UDP may be (RFC 6891, section 6.2.3).
func udpSize(query *dns.Msg) int {
	opt := query.IsEdns0()
	if opt == nil {
		return dns.MinMsgSize
	}
	return int(min(max(opt.UDPSize(), dns.MinMsgSize), ednsSize))
}

// answer makes the answer to the query, or nil for none.
func (d *DNS) answer(query *dns.Msg) *dns.Msg {
	answer := new(dns.Msg).SetReply(query)
	answer.Authoritative = true
	answer.RecursionAvailable = true // a stub resolver may take us for its resolver
	if opt := query.IsEdns0(); opt != nil {
		answer.SetEdns0(ednsSize, opt.Do())
		if opt.Version() != 0 { // RFC 6891, section 6.1.3
			answer.Rcode = dns.RcodeBadVers
			return answer
		}
	}
	question := query.Question[0] // the server library lets exactly one through

	d.mu.Lock()
	defer d.mu.Unlock()
	d.queries = append(d.queries, question)
	if len(d.queries) > maxQueries {
		d.queries = slices.Delete(d.queries, 0, len(d.queries)-maxQueries)
	}
	switch d.faults[dns.CanonicalName(question.Name)] {
	case DNSServFail:
		answer.Rcode = dns.RcodeServerFailure
		return answer
	case DNSSilent:
		return nil
	case DNSRefused:
		answer.Rcode = dns.RcodeRefused
		return answer
	case DNSUnauthoritative:
		answer.Authoritative = false
		return answer
	case DNSBogus:
		if !query.CheckingDisabled {
			answer.Rcode = dns.RcodeServerFailure
			return answer
		}
	}
	answer.AuthenticatedData = d.vouches
	// RFC 8482 leaves ANY to the server; there is no zone to transfer.
	if question.Qclass != dns.ClassINET || question.Qtype == dns.TypeANY ||
		question.Qtype == dns.TypeAXFR || question.Qtype == dns.TypeIXFR {
		answer.Rcode = dns.RcodeRefused
		return answer
	}
	d.fill(answer, question)
	return answer
}

// fill looks the question up, through aliases (RFC 1034, section 4.3.2). The code
// and the SOA are those of the last name of the chain (RFC 2308, section 2).
func (d *DNS) fill(answer *dns.Msg, question dns.Question) {
	name := dns.CanonicalName(question.Name)
	for range maxAliases {
		source := d.source(name)
		if set := d.sets[setKey{source, question.Qtype}]; len(set) > 0 {
			answer.Answer = append(answer.Answer, copies(set, name)...)
			return
		}
		alias := d.sets[setKey{source, dns.TypeCNAME}]
		if len(alias) == 0 {
			break
		}
		answer.Answer = append(answer.Answer, copies(alias, name)...)
		name = dns.CanonicalName(alias[0].(*dns.CNAME).Target)
	}
	if !d.exists(d.source(name)) {
		answer.Rcode = dns.RcodeNameError
	}
	answer.Ns = append(answer.Ns, d.soa(name))
}

// source returns the name whose records answer for a name: itself, or if it does not
// exist the wildcard at the closest name above it that does (RFC 4592, section 3.3.1).
func (d *DNS) source(name string) string {
	at := name
	for !d.exists(at) {
		next, end := dns.NextLabel(at, 0)
		if end {
			return name
		}
		at = at[next:]
	}
	if wildcard := "*." + at; at != name && d.exists(wildcard) {
		return wildcard
	}
	return name
}

// exists tells whether the name or one below it has records: a name in between
// exists too and has no data (RFC 4592, section 2.2.2).
func (d *DNS) exists(name string) bool {
	for key := range d.sets {
		if dns.IsSubDomain(name, key.name) {
			return true
		}
	}
	return false
}

// soa returns the SOA of the zone that the name is in.
func (d *DNS) soa(name string) dns.RR {
	for {
		if set := d.sets[setKey{name, dns.TypeSOA}]; len(set) > 0 {
			return dns.Copy(set[0])
		}
		next, end := dns.NextLabel(name, 0)
		if end {
			return rootSOA()
		}
		name = name[next:]
	}
}

// copies returns the records of a set as those of the name.
func copies(set []dns.RR, name string) []dns.RR {
	out := make([]dns.RR, len(set))
	for i, rr := range set {
		out[i] = dns.Copy(rr)
		if dns.CanonicalName(rr.Header().Name) != name {
			out[i].Header().Name = name
		}
	}
	return out
}

// lookup returns the addresses of the name, IPv4 first, without asking over the
// network. An address literal is its own address.
func (d *DNS) lookup(name string) []netip.Addr {
	if ip, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return []netip.Addr{ip.Unmap()}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var found []netip.Addr
	for _, kind := range []uint16{dns.TypeA, dns.TypeAAAA} {
		var answer dns.Msg
		d.fill(&answer, dns.Question{Name: dns.Fqdn(name), Qtype: kind, Qclass: dns.ClassINET})
		for _, rr := range answer.Answer {
			if ip, ok := addressOf(rr); ok {
				found = append(found, ip)
			}
		}
	}
	return found
}

// addressOf returns the address in an A or AAAA record.
func addressOf(rr dns.RR) (netip.Addr, bool) {
	switch rr := rr.(type) {
	case *dns.A:
		ip, ok := netip.AddrFromSlice(rr.A)
		return ip.Unmap(), ok
	case *dns.AAAA:
		return netip.AddrFromSlice(rr.AAAA)
	}
	return netip.Addr{}, false
}

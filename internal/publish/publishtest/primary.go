// Package publishtest is a name server for tests: the primary of one zone, which answers
// questions (RFC 1035), takes updates (RFC 2136), both signed or not (RFC 8945), and fails when it is told to. It
// knows wildcards (RFC 4592) and leaves out what cannot stand beside an alias, as BIND 9
// does. It is not a name server for anything else.
package publishtest

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/miekg/dns"
)

// Primary serves one zone on a loopback port. Its methods may be called from any
// goroutine.
type Primary struct {
	zone     string // absolute, in lower case
	listener net.Listener
	server   *dns.Server
	ended    chan struct{}

	mu      sync.Mutex
	records []dns.RR       // the SOA record first
	before  func(*dns.Msg) // called with each update, before it is carried out
	fault   func(query, answer *dns.Msg, w dns.ResponseWriter) bool
	updates int
	frozen  []dns.RR // what is answered from while updates go elsewhere
	signs   bool
}

// Start serves a zone from the text of a zone file that begins with its SOA record. Secrets
// are the keys that are known: base64 by absolute name; without any, messages need no
// signature.
func Start(zone, text string, secrets map[string]string) (*Primary, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Primary{zone: dns.CanonicalName(zone), listener: listener, ended: make(chan struct{})}
	parser := dns.NewZoneParser(strings.NewReader(text), p.zone, "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		p.records = append(p.records, rr)
	}
	if err := parser.Err(); err != nil {
		_ = listener.Close()
		return nil, err
	}
	started := make(chan struct{})
	p.server = &dns.Server{
		Listener: listener, Handler: p, TsigSecret: secrets, NotifyStartedFunc: func() { close(started) },
		MaxTCPQueries: -1,
		// The library's own refuses updates.
		MsgAcceptFunc: func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept },
	}
	go func() {
		defer close(p.ended)
		_ = p.server.ActivateAndServe() // ends with Shutdown
	}()
	<-started
	return p, nil
}

// Addr returns HOST:PORT.
func (p *Primary) Addr() string { return p.listener.Addr().String() }

// Close stops the server and waits for it. A second call does nothing.
func (p *Primary) Close() error {
	select {
	case <-p.ended:
		return nil
	default:
	}
	err := p.server.Shutdown()
	<-p.ended
	return err
}

// Before sets what is called with each update that changes something, before it is carried out; nil: nothing.
func (p *Primary) Before(f func(*dns.Msg)) { p.mu.Lock(); defer p.mu.Unlock(); p.before = f }

// Fail sets what is called with each answer before it is sent: it may change it, or send
// something else and return true. nil: nothing.
func (p *Primary) Fail(f func(query, answer *dns.Msg, w dns.ResponseWriter) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// Lag lets questions be answered from the zone as it is now, while updates change it; or
// ends that.
func (p *Primary) Lag(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = nil
	if on {
		p.frozen = slices.Clone(p.records)
	}
}

// Sign lets an alias be left out where other records stood before the update, even when it takes them away, as Knot
// DNS does in a zone that it signs. There are no signatures.
func (p *Primary) Sign(on bool) { p.mu.Lock(); defer p.mu.Unlock(); p.signs = on }

// Updates returns how many updates with changes were carried out.
func (p *Primary) Updates() int { p.mu.Lock(); defer p.mu.Unlock(); return p.updates }

// Records returns the records of the zone but for the SOA record, sorted, one a line.
func (p *Primary) Records() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var lines []string
	for _, rr := range p.records[1:] {
		lines = append(lines, strings.ReplaceAll(rr.String(), "\t", " "))
	}
	slices.Sort(lines)
	return lines
}

// Edit changes the zone as a person would: lines that begin with "-" take the record
// away, others add it.
func (p *Primary) Edit(lines ...string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, line := range lines {
		words, remove := strings.CutPrefix(line, "-")
		rr, err := dns.NewRR(words)
		if err != nil || rr == nil {
			return fmt.Errorf("edit %q: %v", line, err)
		}
		if remove {
			p.records = slices.DeleteFunc(p.records, func(other dns.RR) bool { return dns.IsDuplicate(other, rr) })
		} else {
			p.records = append(p.records, rr)
		}
	}
	p.bump()
	return nil
}

// bump raises the serial. The record is a new one: the old may be in a snapshot.
func (p *Primary) bump() {
	soa := dns.Copy(p.records[0]).(*dns.SOA)
	soa.Serial++
	p.records = append([]dns.RR{soa}, p.records[1:]...)
}

// ServeDNS makes it a [dns.Handler].
func (p *Primary) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	answer := new(dns.Msg).SetReply(query)
	signed := query.IsTsig()
	switch {
	case signed == nil && p.server.TsigSecret != nil:
		answer.Rcode = dns.RcodeRefused
	case signed != nil && w.TsigStatus() != nil:
		p.refuse(w, answer, signed)
		return
	case query.Opcode == dns.OpcodeUpdate:
		answer.Rcode = p.update(query)
	default:
		p.answer(query, answer)
	}
	if signed != nil {
		answer.SetTsig(signed.Hdr.Name, signed.Algorithm, 300, int64(signed.TimeSigned))
	}
	p.mu.Lock()
	fault := p.fault
	p.mu.Unlock()
	if fault == nil || !fault(query, answer, w) {
		_ = w.WriteMsg(answer) // a client that has gone is no fault
	}
}

// refuse says what is wrong with a signature; such an answer has none (RFC 8945 section 5.3.2).
func (p *Primary) refuse(w dns.ResponseWriter, answer *dns.Msg, signed *dns.TSIG) {
	code := uint16(dns.RcodeBadSig)
	if p.server.TsigSecret[signed.Hdr.Name] == "" {
		code = dns.RcodeBadKey
	}
	answer.Rcode = dns.RcodeNotAuth
	t := &dns.TSIG{Hdr: signed.Hdr, Algorithm: signed.Algorithm, TimeSigned: signed.TimeSigned, Fudge: signed.Fudge, OrigId: answer.Id, Error: code}
	answer.Extra = append(answer.Extra, t)
	wire, err := answer.Pack()
	if err == nil {
		_, _ = w.Write(wire)
	}
}

// answer fills in what the zone has.
func (p *Primary) answer(query, answer *dns.Msg) {
	p.mu.Lock()
	defer p.mu.Unlock()
	records := p.records
	if p.frozen != nil {
		records = p.frozen
	}
	q := query.Question[0]
	if !dns.IsSubDomain(p.zone, q.Name) {
		answer.Rcode = dns.RcodeRefused
		return
	}
	answer.Authoritative = true
	name := dns.CanonicalName(q.Name)
	found, exists := at(records, name)
	if !exists {
		for parent := name; parent != p.zone && !exists; {
			next, _ := dns.NextLabel(parent, 0)
			parent = parent[next:]
			found, exists = at(records, "*."+parent)
			if _, closer := at(records, parent); closer {
				break // the closest encloser: no wildcard above it counts
			}
		}
	}
	for _, rr := range found {
		if t := rr.Header().Rrtype; t == q.Qtype || t == dns.TypeCNAME || q.Qtype == dns.TypeANY {
			rr = dns.Copy(rr)
			rr.Header().Name = q.Name
			answer.Answer = append(answer.Answer, rr)
		}
	}
	if len(answer.Answer) == 0 {
		answer.Ns = []dns.RR{records[0]}
	}
	if !exists {
		answer.Rcode = dns.RcodeNameError
	}
}

// at returns the records of a name, and whether it exists: names above others do.
func at(records []dns.RR, name string) (found []dns.RR, exists bool) {
	for _, rr := range records {
		if owner := dns.CanonicalName(rr.Header().Name); owner == name {
			found, exists = append(found, rr), true
		} else if dns.IsSubDomain(name, owner) {
			exists = true
		}
	}
	return found, exists
}

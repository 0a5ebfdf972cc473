package publish

import (
	"context"
	"errors"
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

const (
	defaultTimeout = 10 * time.Second
	fudge          = 300 // seconds that clocks may differ (RFC 8945 section 10)
)

// ask puts a question to the server and returns its answer: NOERROR or NXDOMAIN. The
// errors are *Error, but for the end of ctx.
func (r *run) ask(ctx context.Context, name string, rrtype uint16) (*dns.Msg, error) {
	query := new(dns.Msg)
	query.Id = dns.Id()
	query.Question = []dns.Question{{Name: name, Qtype: rrtype, Qclass: dns.ClassINET}}
	answer, err := r.exchange(ctx, query)
	switch {
	case err != nil:
		return nil, err
	case answer.Rcode == dns.RcodeNameError, answer.Rcode == dns.RcodeSuccess:
		return answer, nil
	}
	return nil, r.refusal(answer, asking)
}

// update sends an update. A prerequisite that does not hold is errChanged.
func (r *run) update(ctx context.Context, m *dns.Msg) error {
	answer, err := r.exchange(ctx, m)
	if err != nil {
		return err
	}
	if answer.Rcode != dns.RcodeSuccess {
		return r.refusal(answer, changing)
	}
	return nil
}

// exchange sends one message over TCP and reads the answer to it. A connection is kept for
// the next one; after an error there is a new one.
func (r *run) exchange(ctx context.Context, m *dns.Msg) (answer *dns.Msg, err error) {
	timeout := r.zone.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if r.conn == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", r.zone.Server)
		if err != nil {
			return nil, r.broken("connect", err)
		}
		r.conn = conn
	}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	stream := r.conn
	defer context.AfterFunc(ctx, func() { _ = stream.SetDeadline(time.Unix(1, 0)) })()
	deadline, _ := ctx.Deadline()
	_ = stream.SetDeadline(deadline)
	// A new one each time: it would sign the next message as a continuation of this one.
	conn := &dns.Conn{Conn: stream}
	if err := r.send(conn, m); err != nil {
		return nil, err
	}
	answer, err = r.receive(conn, m)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) {
		return nil, ctx.Err()
	}
	return answer, err
}

func (r *run) send(conn *dns.Conn, m *dns.Msg) error {
	m.Compress = true
	if key := r.zone.Key; key != nil {
		now := time.Now
		if r.zone.Now != nil {
			now = r.zone.Now
		}
		conn.TsigSecret = map[string]string{key.Name: key.secret}
		m.SetTsig(key.Name, dns.Fqdn(key.Algorithm), fudge, now().Unix())
	}
	if m.Len() > dns.MaxMsgSize {
		return r.fail(KindTooLarge, "one domain and the markers of the zone are more than one message can hold, 64 KiB: give some domains a zone of their own, or let their names be aliases of one set")
	}
	err := conn.WriteMsg(m)
	if err != nil {
		return r.broken("send", err)
	}
	return nil
}

// receive reads an answer and checks that it is one to m and, with a key, that the
// server signed it.
func (r *run) receive(conn *dns.Conn, m *dns.Msg) (*dns.Msg, error) {
	answer, err := conn.ReadMsg()
	if answer == nil || err != nil && answer.IsTsig() == nil {
		if _, isNet := errors.AsType[net.Error](err); !isNet && answer != nil {
			return nil, r.fail(KindAnswer, "the answer is no DNS message: %v", err)
		}
		return nil, r.broken("wait for the answer", err)
	}
	if answer.Id != m.Id || !answer.Response || answer.Opcode != m.Opcode || !answers(answer, m) {
		return nil, r.fail(KindAnswer, "the answer is not to what we sent")
	}
	t := answer.IsTsig()
	switch {
	case r.zone.Key == nil:
	case t != nil && t.Error != dns.RcodeSuccess:
		return nil, r.unsigned(t)
	case errors.Is(err, dns.ErrAuth) && answer.Rcode == dns.RcodeNotAuth:
		return nil, r.refusal(answer, deed(m)) // the library never verifies this one
	case t == nil && answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError:
		return nil, r.refusal(answer, deed(m)) // some servers refuse without a signature: it ends the run and does no more
	case t == nil:
		return nil, r.fail(KindSignature, "the answer is not signed, as one to a signed message must be (RFC 8945 section 5.3); is something between us and the server?")
	case errors.Is(err, dns.ErrTime):
		return nil, r.fail(KindClock, "the answer was signed at %s, by a clock that differs from ours: set both, by NTP for example", time.Unix(int64(t.TimeSigned), 0).UTC().Format(time.RFC3339))
	case err != nil:
		return nil, r.fail(KindSignature, "the signature of the answer is wrong (%v); is something between us and the server?", err)
	}
	if answer.Truncated {
		return nil, r.fail(KindAnswer, "the answer is cut, over TCP too")
	}
	return answer, nil
}

// What we wish of a server.
const (
	changing = "change the zone"
	asking   = "tell what the zone has"
)

func deed(m *dns.Msg) string {
	if m.Opcode == dns.OpcodeUpdate {
		return changing
	}
	return asking
}

// answers tells whether the question is ours. In an answer to an update, the sections
// may be left out (RFC 2136 section 3.8), as they may where a server finds a fault.
func answers(answer, m *dns.Msg) bool {
	if len(answer.Question) == 0 {
		return m.Opcode == dns.OpcodeUpdate || answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError
	}
	a, q := answer.Question[0], m.Question[0]
	return len(answer.Question) == 1 && strings.EqualFold(a.Name, q.Name) && a.Qtype == q.Qtype && a.Qclass == q.Qclass
}

func (r *run) close() {
	if r.conn != nil {
		_ = r.conn.Close()
		r.conn = nil
	}
}

package outside

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Limits of one question to one server.
const (
	tryTimeout   = 2 * time.Second  // for an answer over UDP, and again over TCP
	queryTimeout = 10 * time.Second // for a question, whatever ctx allows beyond it
	rounds       = 2                // how often each server is asked
	udpSize      = 1232             // largest UDP answer, as DNS flag day 2020 advises
	maxServers   = 3                // of /etc/resolv.conf, as resolv.conf(5) says (MAXNS)
)

// query asks the servers in turn until one gives an answer that counts: NOERROR or
// NXDOMAIN. The name is absolute; no search list is used. The error says what each
// server did.
func (r *Resolver) query(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	if _, ok := dns.IsDomainName(name); !ok {
		return nil, fmt.Errorf("look up %q: not a domain name", name)
	}
	servers, err := r.servers()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	question := dns.Question{Name: dns.Fqdn(name), Qtype: kind, Qclass: dns.ClassINET}
	var said []error
	for range rounds {
		said = nil
		for _, server := range servers {
			answer, err := ask(ctx, server, question)
			if err == nil {
				return answer, nil
			}
			said = append(said, fmt.Errorf("%s: %w", server, cause(err)))
			if ctx.Err() != nil {
				return nil, &queryFailed{question, said}
			}
		}
	}
	return nil, &queryFailed{question, said}
}

// queryFailed is a question that no server answered.
type queryFailed struct {
	question dns.Question
	said     []error // for each server, why
}

// Error says what each server did, without the ports of our own end, which differ each
// time.
func (e *queryFailed) Error() string {
	texts := make([]string, len(e.said))
	for i, err := range e.said {
		texts[i] = err.Error()
	}
	return fmt.Sprintf("look up %s %s: no DNS server answers (%s)",
		strings.TrimSuffix(e.question.Name, "."), dns.TypeToString[e.question.Qtype], strings.Join(texts, "; "))
}

// Unwrap returns what each server did.
func (e *queryFailed) Unwrap() []error { return e.said }

// cause returns what went wrong with a connection, in few words.
func cause(err error) error {
	var op *net.OpError
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return errNoAnswer{err}
	case errors.As(err, &op):
		return op.Err
	}
	return err
}

// errNoAnswer is a time-out in words for people.
type errNoAnswer struct{ error }

func (e errNoAnswer) Error() string { return "no answer in time" }
func (e errNoAnswer) Unwrap() error { return e.error }

// ask puts the question to one server: over UDP, without EDNS0 if the server does not
// know it (RFC 6891 section 7), and over TCP if the answer was cut.
func ask(ctx context.Context, server string, question dns.Question) (*dns.Msg, error) {
	answer, err := exchange(ctx, "udp", server, question, true)
	if err == nil && (answer.Rcode == dns.RcodeFormatError || answer.Rcode == dns.RcodeNotImplemented) {
		answer, err = exchange(ctx, "udp", server, question, false)
	}
	if err == nil && answer.Truncated {
		answer, err = exchange(ctx, "tcp", server, question, true) // RFC 7766 section 5
	}
	switch {
	case err != nil:
		return nil, err
	case answer.Truncated:
		return nil, errors.New("the answer is cut even over TCP")
	case answer.Rcode != dns.RcodeSuccess && answer.Rcode != dns.RcodeNameError:
		return nil, fmt.Errorf("answers %s", rcodeText(answer.Rcode))
	}
	return answer, nil
}

func rcodeText(code int) string {
	if text, known := dns.RcodeToString[code]; known {
		return text
	}
	return fmt.Sprintf("code %d", code)
}

// exchange sends the question once and reads what belongs to it. It ends at once when
// ctx does.
func exchange(ctx context.Context, network, server string, question dns.Question, edns bool) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	client := &dns.Client{Net: network}
	conn, err := client.DialContext(ctx, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()

	ask := &dns.Msg{Question: []dns.Question{question}}
	ask.Id, ask.RecursionDesired = dns.Id(), true
	ask.AuthenticatedData = true // we understand the bit in the answer (RFC 6840 section 5.7)
	if edns {
		ask.SetEdns0(udpSize, false)
	}
	answer, _, err := client.ExchangeWithConnContext(ctx, ask, conn)
	switch {
	case ctx.Err() != nil:
		return nil, timeoutOr(ctx.Err())
	case err != nil:
		return nil, err
	case !belongs(answer, question):
		return nil, errors.New("the answer is not to our question")
	}
	return answer, nil
}

// timeoutOr says "no answer in time" for a deadline.
func timeoutOr(err error) error {
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("no answer in time: %w", err)
	}
	return err
}

// belongs tells whether the answer is one, and to the question (RFC 5452 section 4.2).
// A server that finds a fault in the message may leave the question out.
func belongs(answer *dns.Msg, question dns.Question) bool {
	if !answer.Response || answer.Opcode != dns.OpcodeQuery {
		return false
	}
	if len(answer.Question) == 0 {
		return answer.Rcode == dns.RcodeFormatError || answer.Rcode == dns.RcodeNotImplemented
	}
	q := answer.Question[0]
	return len(answer.Question) == 1 && strings.EqualFold(q.Name, question.Name) && q.Qtype == question.Qtype && q.Qclass == question.Qclass
}

// servers returns whom to ask, as HOST:PORT.
func (r *Resolver) servers() ([]string, error) {
	if r.server != "" {
		return []string{r.server}, nil
	}
	system, err := dns.ClientConfigFromFile(r.resolvConf)
	if err != nil {
		return nil, fmt.Errorf("find the system's DNS servers: %w; name one with --resolver", err)
	}
	if len(system.Servers) == 0 {
		return nil, fmt.Errorf("find the system's DNS servers: none in %s; name one with --resolver", r.resolvConf)
	}
	var servers []string
	for _, ip := range system.Servers[:min(len(system.Servers), maxServers)] {
		servers = append(servers, net.JoinHostPort(ip, "53"))
	}
	return servers, nil
}

// ParseServer reads HOST:PORT of a DNS server, where HOST is an IP address; without a
// port it is 53.
func ParseServer(text string) (string, error) {
	if ip, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return netip.AddrPortFrom(ip, 53).String(), nil
	}
	server, err := netip.ParseAddrPort(text)
	if err != nil || server.Port() == 0 {
		return "", fmt.Errorf("resolver %q: want the IP address and port of a DNS server, such as 192.0.2.53:53", text)
	}
	return server.String(), nil
}

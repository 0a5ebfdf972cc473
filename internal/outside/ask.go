package outside

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/miekg/dns"
)

// Asker puts single questions to single DNS servers and returns their messages as they
// are, whatever the code. It is safe for concurrent use.
type Asker struct {
	resolver *Resolver
	dialer   *Dialer
}

// NewAsker returns an asker. Resolver's servers are asked directly, others by the dialer:
// through its proxy over TCP only, since SOCKS5 proxies seldom carry UDP (RFC 7766
// section 5 has every server answer over TCP).
func NewAsker(r *Resolver, d *Dialer) *Asker { return &Asker{r, d} }

// Public asks the resolver. Of several servers the first that answers counts. The error
// means that our resolver does not work.
func (a *Asker) Public(ctx context.Context, query *dns.Msg) (*dns.Msg, error) {
	servers, err := a.resolver.servers()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var said []error
	for range rounds {
		said = nil
		for _, server := range servers {
			answer, err := askOnce(ctx, (&net.Dialer{}).DialContext, "udp", server, query)
			if err == nil {
				return answer, nil
			}
			said = append(said, fmt.Errorf("%s: %w", server, cause(err)))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, &queryFailed{query.Question[0], said}
}

// At asks the name server at an address, port 53, twice if there is no answer. The error
// says why there is none; a failure of our own network keeps its errno.
func (a *Asker) At(ctx context.Context, server netip.Addr, query *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	network := "udp"
	if a.dialer.Proxied() {
		network = "tcp"
	}
	var last error
	for range rounds {
		answer, err := askOnce(ctx, a.dialer.DialContext, network, netip.AddrPortFrom(server, 53).String(), query)
		if err == nil {
			return answer, nil
		}
		if last = cause(err); ctx.Err() != nil {
			break
		}
	}
	return nil, last
}

type dialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// askOnce asks once, and again over TCP if the answer was cut (RFC 7766 section 5), and
// without EDNS0 if the server does not know it (RFC 6891 section 7).
func askOnce(ctx context.Context, dial dialFunc, network, server string, query *dns.Msg) (*dns.Msg, error) {
	query = query.Copy()
	if query.IsEdns0() == nil {
		query.SetEdns0(udpSize, false)
	}
	answer, err := converse(ctx, dial, network, server, query)
	if err == nil && (answer.Rcode == dns.RcodeFormatError || answer.Rcode == dns.RcodeNotImplemented) {
		query.Extra = nil
		answer, err = converse(ctx, dial, network, server, query)
	}
	if err == nil && answer.Truncated && network == "udp" {
		answer, err = converse(ctx, dial, "tcp", server, query)
	}
	if err == nil && answer.Truncated {
		return nil, errors.New("the answer is cut even over TCP")
	}
	return answer, err
}

// converse sends the query once and reads the answer to it. It ends when ctx does.
func converse(ctx context.Context, dial dialFunc, network, server string, query *dns.Msg) (*dns.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	raw, err := dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer raw.Close()
	defer context.AfterFunc(ctx, func() { _ = raw.Close() })()
	query.Id = dns.Id()
	client := &dns.Client{Net: network, Timeout: tryTimeout}
	answer, _, err := client.ExchangeWithConnContext(ctx, query, &dns.Conn{Conn: raw, UDPSize: udpSize})
	switch {
	case ctx.Err() != nil:
		return nil, timeoutOr(ctx.Err())
	case err != nil:
		return nil, err
	case !belongs(answer, query.Question[0]):
		return nil, errors.New("the answer is not to our question")
	}
	return answer, nil
}

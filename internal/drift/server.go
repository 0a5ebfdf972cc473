package drift

import (
	"context"
	"errors"
	"fmt"
	"syscall"

	"github.com/miekg/dns"
)

// server asks one name server everything, until it does not answer. The error is ctx's.
func (l *look) server(ctx context.Context, s *Server) error {
	if !s.IP.IsValid() {
		return nil
	}
	m, err := l.world.At(ctx, s.IP, query(Question{dns.CanonicalName(l.seen.Zone), "SOA"}, false))
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		s.Far = err.Error()
		return nil
	case err != nil:
		s.Lame = err.Error()
		return nil
	}
	if s.Serial, s.Lame = l.serves(m); s.Lame != "" {
		return nil
	}
	s.Answers, s.Wildcard = map[Question]Answer{}, map[Question]Answer{}
	for _, q := range l.questions() {
		if s.Answers[q], err = l.at(ctx, s, q); err != nil {
			return err
		}
		for _, w := range wildcards(q, l.seen.Zone) {
			if _, asked := s.Wildcard[w]; !asked && s.Lame == "" {
				if s.Wildcard[w], err = l.at(ctx, s, w); err != nil {
					return err
				}
			}
		}
		if s.Lame != "" {
			return nil
		}
	}
	return nil
}

// serves reads a server's answer about the SOA record of the zone: it says that it is
// authoritative, and which version of the zone it has, or why it is lame.
func (l *look) serves(m *dns.Msg) (serial uint32, lame string) {
	if m.Rcode != dns.RcodeSuccess {
		return 0, "answers " + codeText(m.Rcode)
	}
	if !m.Authoritative {
		return 0, "is not authoritative for " + l.seen.Zone
	}
	for _, rr := range m.Answer {
		if soa, ok := rr.(*dns.SOA); ok && bare(soa.Hdr.Name) == l.seen.Zone {
			return soa.Serial, ""
		}
	}
	return 0, "has no SOA record of " + l.seen.Zone
}

// at asks a server one question. One that does not answer, or not well, is lame.
func (l *look) at(ctx context.Context, s *Server, q Question) (Answer, error) {
	m, err := l.world.At(ctx, s.IP, query(q, false))
	if ctx.Err() != nil {
		return Answer{}, ctx.Err()
	}
	if err != nil {
		s.Lame = fmt.Sprintf("%s %s: %s", bare(q.Name), q.Type, err)
		return Answer{}, nil
	}
	a := readAnswer(m, q)
	if a.Err != "" {
		s.Lame = fmt.Sprintf("%s %s: %s", bare(q.Name), q.Type, a.Err)
	}
	return a, nil
}

// wildcards returns the questions for wildcards that could answer in place of a name: "*"
// at each name above it, up to the apex (RFC 4592 section 2.1.1).
func wildcards(q Question, zone string) []Question {
	var all []Question
	for at, end := dns.NextLabel(q.Name, 0); !end && dns.IsSubDomain(dns.Fqdn(zone), q.Name[at:]); at, end = dns.NextLabel(q.Name, at) {
		all = append(all, Question{"*." + q.Name[at:], q.Type})
	}
	return all
}

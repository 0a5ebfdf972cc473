package settings

import (
	"fmt"
	"slices"
	"time"
)

// Policy decides between what was seen. Start from DefaultPolicy; the zero Policy
// publishes nothing for longer than an instant.
type Policy struct {
	// SubmissionOrder ranks submission by port: 587 and 2525 with STARTTLS, 465 with
	// implicit TLS. What is not named, or uses a port otherwise, comes last.
	SubmissionOrder   []uint16
	MaxAge            time.Duration // a success older than this is no longer fresh
	WithdrawAfter     int           // failures in a row, and
	WithdrawAfterTime time.Duration // how long they must go on, before a service steps back
	Grace             time.Duration // how long after its last success a service may stay published
	Vantage           VantagePolicy // who decides when several vantages differ; "": any
}

// FirstAnswer is how long after its first success a role waits for candidates that
// rank higher and have no outcome yet: a client gives up after five seconds.
const FirstAnswer = 5 * time.Second

// DefaultPolicy returns the order 587, 2525, 465. RFC 8314 section 4 prefers
// implicit TLS; 587 first is a deliberate exception, because it gets through more
// firewalls and because every client knows it.
func DefaultPolicy() Policy {
	return Policy{
		SubmissionOrder:   []uint16{587, PortSubmissionAlternate, 465},
		MaxAge:            time.Hour,
		WithdrawAfter:     3,
		WithdrawAfterTime: 10 * time.Minute,
		Grace:             72 * time.Hour,
		Vantage:           VantageAny,
	}
}

// Check returns what is wrong with the policy, nil when it can be used.
func (p Policy) Check() []Problem {
	var problems []Problem
	bad := func(key, format string, args ...any) {
		problems = append(problems, Problem{key, fmt.Sprintf(format, args...)})
	}
	for i, port := range p.SubmissionOrder {
		if !slices.Contains([]uint16{587, PortSubmissionAlternate, 465}, port) {
			bad("submission_order", "%d: want an order of 587, 2525 and 465", port)
		}
		if slices.Contains(p.SubmissionOrder[:i], port) {
			bad("submission_order", "%d stands there twice", port)
		}
	}
	if p.MaxAge <= 0 {
		bad("max_age", "%s: want a time such as 1h", p.MaxAge)
	}
	if p.WithdrawAfter < 1 {
		bad("withdraw_after", "%d: want a number of failures, 1 or more", p.WithdrawAfter)
	}
	if p.WithdrawAfterTime < 0 {
		bad("withdraw_after_time", "%s: want a time such as 10m, or 0s", p.WithdrawAfterTime)
	}
	if !slices.Contains([]VantagePolicy{"", VantageAny, VantageAll, VantageMajority}, p.Vantage) {
		bad("vantage", "%q: want any, all or majority", string(p.Vantage))
	}
	if p.Grace < p.MaxAge {
		bad("grace", "%s is shorter than max_age %s: a service would vanish while it is still fresh", p.Grace, p.MaxAge)
	}
	return problems
}

// Rank returns where a service stands among those of its role: a lower rank comes
// first. Services of one rank stand as the operator wrote them.
func (p Policy) Rank(s Service) int {
	switch s.Scheme {
	case SchemeSubmission, SchemeSubmissions:
		usual := s.OnDefaultPort() || s.Scheme == SchemeSubmission && s.Port == PortSubmissionAlternate
		if i := slices.Index(p.SubmissionOrder, s.Port); usual && i >= 0 {
			return i
		}
		return len(p.SubmissionOrder)
	case SchemeIMAPS, SchemePOP3S, SchemeSieve, SchemeJMAP, SchemeCalDAVS, SchemeCardDAVS:
		if s.OnDefaultPort() {
			return 0
		}
	case SchemeIMAP, SchemePOP3:
		if s.OnDefaultPort() {
			return 1
		}
	}
	return 2
}

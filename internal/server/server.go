// Package server answers mail clients over HTTP: Thunderbird's autoconfig
// (draft-ietf-mailmaint-autoconfig-06) and Outlook's Autodiscover (MS-OXDSCLI),
// on plain HTTP and on HTTPS, and the operator's metrics and health elsewhere.
//
// A request reads an immutable snapshot of compiled documents and never waits for
// a probe. Echo, which routes here, is known to no other package, and its handlers
// are plain functions of net/http types, so that it can be replaced.
//
// The server never asks for a password (a 401 makes Thunderbird blame the user's),
// never says 200 or 204 without a document (Delta Chat takes both for an answer),
// and never writes a mail address, a query string, a path or an Authorization header
// into a log: Thunderbird sends the mailbox password unasked.
package server

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"mailconfd/settings"
)

// Finder knows which domains are served.
//
// Find takes the readings of one request, canonical as settings.ParseDomain gives
// them: the domain of an address alone; or a Host as it is, and then without its
// first label where that is autoconfig, autodiscover or ua-auto-config. It returns
// the provider that serves one of them, and which. Names are tried before wildcards
// and wildcards before MX; names in the order given, wildcards from the last reading
// to the first, since *.customers.example matches autoconfig.a.customers.example too,
// and what is meant is a.customers.example. MX is looked up for the last reading only.
//
// An empty provider means that none is served. An error means that this could not
// be found out, because an MX look-up did not work. Find bounds its own waiting: a
// client gives up after 5 s.
type Finder interface {
	Find(ctx context.Context, readings ...string) (provider, domain string, err error)
}

// Options is what a Server needs.
type Options struct {
	Finder  Finder
	Log     *slog.Logger         // nil: nothing is logged
	Metrics *prometheus.Registry // the server's metrics go there, and /metrics shows all of it; nil: none
	// Ready returns why the process cannot answer yet, for /readyz; nil: it always can.
	Ready func() error
	// State returns why what is learnt cannot be kept just now, for /readyz, which stays
	// ready; nil: it is kept.
	State func() error
	// Operator is what the operator's page and API show; nil: there are none.
	Operator Operator
	// MaxAge is how long a client or proxy may keep a document; at most the probe
	// interval makes sense. Zero: it has to ask again each time.
	MaxAge time.Duration
	// TrustedProxies are the peers whose X-Forwarded-Proto is believed.
	TrustedProxies []netip.Prefix
	// CanonicalHost is where plain-http Autodiscover is sent; empty: the host that was
	// asked, or autodiscover.DOMAIN.
	CanonicalHost string
	// Certificates is needed for the door Secure; nil: there is no TLS here.
	Certificates *Certificates
}

// Server answers requests. It is safe for concurrent use.
type Server struct {
	options      Options
	cacheControl atomic.Pointer[string]
	metrics      metrics
	buffers      sync.Pool      // *[]byte: a document on its way out
	complaint    rate.Sometimes // keeps failing look-ups from flooding the log

	publishing sync.Mutex
	answers    atomic.Pointer[map[string]Answers] // by provider; the map is never changed
}

// New makes a server that has nothing to say yet: until a provider is published, its
// domains get 503. It panics where its metrics are registered already. A canonical
// host that is no host name is an error.
func New(o Options) (*Server, error) {
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Ready == nil {
		o.Ready = func() error { return nil }
	}
	if o.State == nil {
		o.State = func() error { return nil }
	}
	if o.CanonicalHost != "" {
		host, err := settings.ParseDomain(o.CanonicalHost)
		if err != nil {
			return nil, fmt.Errorf("canonical_host: %w", err)
		}
		o.CanonicalHost = host
	}
	s := &Server{
		options:   o,
		metrics:   newMetrics(o.Metrics),
		complaint: rate.Sometimes{First: 1, Interval: time.Minute},
	}
	s.buffers.New = func() any { return new(make([]byte, 0, 4096)) }
	s.answers.Store(&map[string]Answers{})
	s.SetMaxAge(o.MaxAge)
	return s, nil
}

// SetMaxAge changes how long a client or proxy may keep a document.
func (s *Server) SetMaxAge(d time.Duration) {
	text := fmt.Sprintf("public, max-age=%d", int(d.Seconds()))
	s.cacheControl.Store(&text)
}

// Publish replaces what is answered for the domains of a provider, and returns for
// each format that is not published why.
func (s *Server) Publish(provider string, v settings.Verified) []error {
	answers := Compile(v)
	s.change(func(all map[string]Answers) { all[provider] = answers })
	return answers.Withheld()
}

// Answers returns what clients of a provider are told now.
func (s *Server) Answers(provider string) Answers { return (*s.answers.Load())[provider] }

// Retire forgets a provider. Domains that still lead to it get 503.
func (s *Server) Retire(provider string) {
	s.change(func(all map[string]Answers) { delete(all, provider) })
}

// change puts a changed copy in the place of the snapshot.
func (s *Server) change(edit func(map[string]Answers)) {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	all := maps.Clone(*s.answers.Load())
	edit(all)
	s.answers.Store(&all)
}

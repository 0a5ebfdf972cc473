// Package doctor asks from outside exactly as each mail client would, connects to what
// the client would be left with, and says what is wrong, for whom, and how to mend it.
//
// A simulator, one file a client, asks the URLs and names that the client asks, in its
// order; takes and refuses answers by its rules for status, content type, redirects
// and certificates; parses with its parser, as loose or strict as that is; and ends
// with the settings that the client would set up and the user name it would try. Each
// cites the version that was read or run. Then what it would set up is probed, and all
// that was seen is held against each other, against DNS and against the mail servers.
//
// It is an independent witness: it shares no line with the packages that write the
// documents, and works on anybody's domain. It asks each thing once, however many
// clients would ask it, and never sends a credential, although some clients do.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"mailconfd/settings"
)

// Options say how to examine.
type Options struct {
	World World
	// ISPDB is asked in place of the central database that most clients ask for a domain
	// that does not answer itself, with a final slash. Default: each client's own.
	ISPDB string
	// Only and Skip choose clients by name; empty: all. Unknown names are an error.
	Only, Skip []string
	// Typed is the address as the user typed it, if it is known: some clients go wrong where
	// its domain is not in A-labels.
	Typed string
	// Proxied: everything goes through a proxy, which can take a connection and close it.
	Proxied bool
	Now     func() time.Time // default: time.Now
}

// Doctor examines domains. It is safe for concurrent use.
type Doctor struct {
	options Options
	clients []client
}

// New makes a doctor.
func New(o Options) (*Doctor, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	d := &Doctor{options: o}
	for _, name := range append(slices.Clone(o.Only), o.Skip...) {
		if !slices.ContainsFunc(clients, func(c client) bool { return c.name == name }) {
			return nil, fmt.Errorf("client %q is not known; there are %s", name, strings.Join(Clients(), ", "))
		}
	}
	for _, c := range clients {
		if (len(o.Only) == 0 || slices.Contains(o.Only, c.name)) && !slices.Contains(o.Skip, c.name) {
			d.clients = append(d.clients, c)
		}
	}
	if len(d.clients) == 0 {
		return nil, errors.New("no client is left: every one that is chosen is skipped too")
	}
	return d, nil
}

// Clients returns the names of all clients that can be simulated, those that most
// people use first.
func Clients() []string {
	var names []string
	for _, c := range clients {
		names = append(names, c.name)
	}
	return names
}

// Examine asks for one address as every client would. It ends soon after ctx does; what
// was not asked by then is missing from the report.
func (d *Doctor) Examine(ctx context.Context, a settings.Address) Report {
	e := newExamination(ctx, d.options, a)
	if e.lookUp(a.Domain, TypeMX).NoSuchName {
		return d.noSuchDomain(a)
	}
	report := Report{Address: a.String(), At: d.now(), Clients: make([]ClientReport, len(d.clients))}
	var wg sync.WaitGroup
	for i, c := range d.clients {
		wg.Go(func() { report.Clients[i] = e.simulate(c) })
	}
	wg.Wait()
	e.evidence = e.gather()
	e.connect(report.Clients)
	report.Blind = e.blind()
	report.conclude(e.crossExamine(report.Clients, report.Blind))
	return report
}

// noSuchDomain is the report for a domain that DNS does not have: no client can find
// anything there, and none is asked.
func (d *Doctor) noSuchDomain(a settings.Address) Report {
	f := finding(KindNoSuchDomain, a.Domain+" does not exist", "")
	f.People = people()
	return Report{Address: a.String(), At: d.now(), Verdict: Fails, Clients: []ClientReport{}, Findings: []Finding{f}}
}

func (d *Doctor) now() time.Time { return d.options.Now().UTC().Truncate(time.Second) }

// examination is everything that was asked for one address, each thing once.
type examination struct {
	ctx     context.Context
	options Options
	address settings.Address
	asked   record
	*evidence
}

func newExamination(ctx context.Context, o Options, a settings.Address) *examination {
	return &examination{ctx: ctx, options: o, address: a}
}

// simulate lets one client look for its settings.
func (e *examination) simulate(c client) ClientReport {
	v := &visit{examination: e, client: c}
	report := ClientReport{Client: c.name, Title: c.title, simulated: c.discover != nil}
	if c.discover == nil {
		report.Verdict = Unknown
		report.Findings = []Finding{c.unknown}
		return report
	}
	report.Settings = c.discover(v)
	report.Steps, report.Findings, report.broken = v.steps, v.findings, v.broken
	if v.unknown {
		report.Verdict = Unknown
	}
	return report
}

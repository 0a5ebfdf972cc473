package doctor

import (
	"net/url"
	"slices"
	"strings"
)

// crossExamine holds what was seen against each other, against DNS and against the mail
// servers. What a single client meets is in its own report; what this doctor could not
// see is taken out of the reports again.
func (e *examination) crossExamine(reports []ClientReport, blind string) []Finding {
	c := &comparison{examination: e, reports: reports}
	if blind != "" {
		c.find(KindNotTested, "nothing can be seen from here: "+blind, "")
		c.withdraw()
		return c.findings
	}
	c.ahead()
	c.ownInability()
	c.overHTTP()
	c.answers()
	c.values()
	c.order()
	c.agreement()
	c.servers()
	c.records()
	c.names()
	c.pacc()
	c.inside()
	return c.findings
}

// comparison is a cross-examination on its way.
type comparison struct {
	*examination
	reports  []ClientReport
	findings []Finding
}

// find adds a finding with those whom it affects; nobody: whoever asks.
func (c *comparison) find(k Kind, detail, remedy string, affected ...string) {
	c.add(finding(k, detail, remedy), affected...)
}

func (c *comparison) add(f Finding, affected ...string) {
	f.Affected = affected
	c.findings = merge(c.findings, f)
}

// findLess finds with less weight than the kind has.
func (c *comparison) findLess(w Weight, k Kind, detail, remedy string, affected ...string) {
	f := finding(k, detail, remedy)
	f.Weight = w
	c.add(f, affected...)
}

// readers returns the clients that would set up what they have from a source: a URL or
// the owner name of a record.
func (c *comparison) readers(sources ...string) []string {
	return c.those(func(r ClientReport) bool {
		return slices.ContainsFunc(r.Settings, func(s Setting) bool {
			return slices.ContainsFunc(sources, func(u string) bool { return bare(u) == bare(s.Source) })
		})
	})
}

// believers returns those that would set up an offer as it stands, and misreaders those
// that read it otherwise.
func (c *comparison) believers(o offer) []string {
	return c.those(func(r ClientReport) bool {
		return slices.ContainsFunc(r.Settings, func(s Setting) bool { return o.led(s) && s.Security == o.security })
	})
}

func (c *comparison) misreaders(o offer) []string {
	return c.those(func(r ClientReport) bool {
		return slices.ContainsFunc(r.Settings, func(s Setting) bool { return o.led(s) && s.Security != o.security })
	})
}

// led tells whether a client has a setting from an offer, however it read it.
func (o offer) led(s Setting) bool {
	return bare(o.source) == bare(s.Source) && s.place() == o.place()
}

// askers returns the clients that asked a URL, whatever they made of the answer.
func (c *comparison) askers(urls ...string) []string {
	return c.those(func(r ClientReport) bool {
		return slices.ContainsFunc(r.Steps, func(s Step) bool {
			return s.asked != "" && slices.ContainsFunc(urls, func(u string) bool { return bare(u) == bare(s.asked) })
		})
	})
}

func (c *comparison) those(are func(ClientReport) bool) []string {
	var titles []string
	for _, r := range c.reports {
		if are(r) {
			titles = append(titles, r.Title)
		}
	}
	return titles
}

// told tells whether a client's report has a finding about something already.
func (c *comparison) told(k Kind, about string) bool {
	return len(c.those(func(r ClientReport) bool {
		return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Kind == k && f.about == about })
	})) > 0
}

// bare is a URL without its query, which holds the address.
func bare(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return address
}

// bareAll lists URLs without their queries.
func bareAll(urls []string) string {
	var all []string
	for _, u := range urls {
		all = append(all, bare(u))
	}
	return strings.Join(all, ", ")
}

// origin is a URL's scheme and host.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return u.Scheme + "://" + u.Host
}

// withdraw takes back what the clients' reports say: nothing was seen.
func (c *comparison) withdraw() {
	for i := range c.reports {
		r := &c.reports[i]
		if r.Verdict == "" {
			r.Verdict = Unknown
		}
		if r.simulated {
			r.Findings = nil
		}
	}
}

// ahead asks for what the examination will want to know, several things at once.
func (c *comparison) ahead() {
	domain := c.address.Domain
	var tasks []func()
	for _, label := range askedLabels {
		for _, kind := range []RecordType{TypeCNAME, TypeA, TypeAAAA} {
			tasks = append(tasks, func() { c.lookUp(label+"."+domain, kind) })
		}
	}
	for _, kind := range []RecordType{TypeA, TypeAAAA} {
		tasks = append(tasks, func() { c.lookUp(shadow+"."+domain, kind) })
	}
	for _, o := range c.offers() {
		if s, ok := o.service(); ok {
			tasks = append(tasks, func() { c.probe(s) })
		}
	}
	for _, s := range c.candidates() {
		tasks = append(tasks, func() { c.probe(s) })
	}
	together(tasks)
}

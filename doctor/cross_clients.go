package doctor

import (
	"slices"
	"strings"

	"mailconfd/settings"
)

// ownInability takes blame from the domain where a client finds nothing, or guesses, although
// all is published that can be said to it: that is the client's own inability. What
// can be said depends on what works, and on the formats that the client asks for.
func (c *comparison) ownInability() {
	for i := range c.reports {
		r := &c.reports[i]
		if r.Verdict == Unknown {
			continue
		}
		if c.onlyPOP3(*r) {
			r.Findings = slices.DeleteFunc(r.Findings, follows)
			f := finding(KindNothingFound, "only POP3 is offered, which this client does not speak, or does not look for", "offer IMAP too, if you can")
			f.Weight = Note
			r.Findings = append(r.Findings, f)
			continue
		}
		rejects := slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Kind == KindRejected })
		for j := range r.Findings {
			switch f := &r.Findings[j]; {
			case !follows(*f) || f.Kind == KindRejected || rejects || len(f.follows) > 0:
			case c.complete(*r):
				f.Weight, f.Remedy = Note, "nothing: all is published that "+r.Title+" can be told; its users type the rest"
				f.Detail += c.unsayable(*r)
			case f.Weight == Fault && people(r.Title) == "few":
				f.Weight = Warning // too few to call the domain broken
			}
		}
	}
}

// follows tells a finding that can follow from a client's inability.
func follows(f Finding) bool {
	return f.Kind == KindNothingFound || f.Kind == KindGuess || f.Kind == KindRejected
}

// complete tells whether all is published that a client could read.
func (c *comparison) complete(r ClientReport) bool {
	good := c.worthSaying()
	for _, direction := range directions {
		if !has(good, direction...) {
			return false
		}
	}
	asked := asksFor(r)
	for _, f := range asked.documents {
		if f.saysEnough(good) && !c.served(f, asked.urls, good) {
			return false
		}
	}
	if !asked.srv {
		return true
	}
	for _, o := range good {
		if formatSRV.says(&o) && !has(among(c.srv, good), o.role) {
			return false
		}
	}
	return true
}

// directions are the two that every client needs.
var directions = [][]settings.Role{{settings.RoleSubmission}, {settings.RoleIMAP, settings.RolePOP3}}

// worthSaying returns what clients should be told: what works, and where nothing of a
// direction does, what is published for it. That this is broken is told by itself.
func (c *comparison) worthSaying() []offer {
	good := c.working()
	for _, direction := range directions {
		if has(good, direction...) {
			continue
		}
		for _, o := range c.offers() {
			if slices.Contains(direction, o.role) && o.sound() {
				good = append(good, o)
			}
		}
	}
	return good
}

// among returns the offers that lead where one of some others does.
func among(offers, others []offer) []offer {
	return slices.DeleteFunc(slices.Clone(offers), func(o offer) bool {
		return !slices.ContainsFunc(others, func(g offer) bool { return o.place() == g.place() && o.security == g.security })
	})
}

// saysEnough tells whether a format can say a way in and a way out.
func (f format) saysEnough(working []offer) bool {
	sayable := slices.DeleteFunc(slices.Clone(working), func(o offer) bool { return !f.says(&o) })
	return has(sayable, settings.RoleSubmission) && has(sayable, settings.RoleIMAP, settings.RolePOP3)
}

// unsayable says why a client that reads nothing but Autodiscover can be told nothing.
func (c *comparison) unsayable(r ClientReport) string {
	working := c.working()
	if asked := asksFor(r).documents; len(asked) == 1 && formatAutoconfig.saysEnough(working) && !asked[0].saysEnough(working) {
		return "; " + string(asked[0]) + " cannot say the ports that work"
	}
	return ""
}

// served tells whether one of the URLs that a client asked has a document of the format
// in which everything is good. One that asks over plain http only does not count for the
// domain, which rightly answers over https.
func (c *comparison) served(f format, urls []string, good []offer) bool {
	secure := false
	for _, d := range c.files {
		if d.format != f || scheme(d.url) != "https" || !slices.Contains(urls, bare(d.url)) {
			continue
		}
		secure = true
		if d.page.plain || d.page.Certificate != nil || d.page.took > slowest {
			continue
		}
		if len(d.offers) > 0 && len(among(d.offers, good)) == len(d.offers) {
			return true
		}
	}
	return !secure
}

// asks is what a client asked for.
type asks struct {
	urls      []string
	documents []format
	srv       bool
}

func asksFor(r ClientReport) asks {
	var a asks
	for _, s := range r.Steps {
		switch {
		case s.dns == TypeSRV && !strings.HasPrefix(s.name, "_autodiscover."):
			a.srv = true
		case s.asked != "":
			f := formatOf(s.asked)
			a.urls = append(a.urls, bare(s.asked))
			if !slices.Contains(a.documents, f) {
				a.documents = append(a.documents, f)
			}
		}
	}
	return a
}

// onlyPOP3 tells whether the domain has nothing but POP3 to read mail with, and a client
// sets nothing up for it that others could.
func (c *comparison) onlyPOP3(r ClientReport) bool {
	working := c.working()
	reads := func(s Setting) bool { return s.Role == settings.RolePOP3 && s.Works }
	return has(working, settings.RolePOP3) && !has(working, settings.RoleIMAP) && !slices.ContainsFunc(r.Settings, reads) &&
		len(c.those(func(other ClientReport) bool { return slices.ContainsFunc(other.Settings, reads) })) > 0
}

// working returns what is offered and works, published or not.
func (e *examination) working() []offer {
	all := e.workingOf(e.offers())
	for _, s := range e.candidates() {
		if e.works(s) {
			security := SecuritySTARTTLS
			if s.Security() == settings.ImplicitTLS {
				security = SecurityTLS
			}
			all = append(all, offer{role: s.Role(), host: s.Host, port: s.Port, security: security})
		}
	}
	return all
}

func (e *examination) workingOf(offers []offer) []offer {
	return slices.DeleteFunc(slices.Clone(offers), func(o offer) bool {
		s, ok := o.service()
		return !ok || !e.works(s)
	})
}

func has(offers []offer, roles ...settings.Role) bool {
	return slices.ContainsFunc(offers, func(o offer) bool { return slices.Contains(roles, o.role) })
}

package doctor

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"mailconfd/settings"
)

// finding makes a finding of a kind, with the kind's own remedy unless another is given.
func finding(k Kind, detail, remedy string) Finding {
	t := k.Text()
	return Finding{
		Kind: k, Class: t.Class, Weight: t.Weight, Detail: detail, Sees: t.Sees,
		Remedy: cmp.Or(remedy, t.Remedy), Reference: t.Reference,
	}
}

// aboutLogin is the subject of what is wrong with the user names that are published.
const aboutLogin = "login"

// from says what a finding follows from, if there is a finding about that.
func (f Finding) from(subjects ...string) Finding {
	f.follows = append(f.follows, subjects...)
	return f
}

// of says what a finding is about, so that others with the same kind and subject are
// the same one.
func (f Finding) of(about string) Finding {
	f.about = about
	return f
}

var (
	// ofDomain is what stands for the domain in a remedy of the table.
	ofDomain = regexp.MustCompile(`\bDOMAIN\b`)
	// query is what URLs carry besides the document's place: the address.
	query = regexp.MustCompile(`\?emailaddress=[^\s,;]*`)
)

// maxDetail is how long a detail or a remedy can be, in characters: a few lines.
const maxDetail = 1000

// tidy makes a finding fit for a report, whatever a stranger's text in it.
func (f *Finding) tidy(domain string) {
	f.Detail = printable(query.ReplaceAllString(f.Detail, ""), maxDetail)
	f.Remedy = printable(ofDomain.ReplaceAllString(f.Remedy, domain), maxDetail)
}

// conclude puts the findings of the clients and of the cross-examination together, and
// the verdicts after them.
func (r *Report) conclude(crossed []Finding) {
	domain := r.Address[strings.LastIndexByte(r.Address, '@')+1:]
	for i := range r.Clients {
		c := &r.Clients[i]
		rejected := slices.ContainsFunc(c.Findings, func(f Finding) bool { return f.Kind == KindRejected })
		causes := slices.Concat(crossed, c.Findings)
		for j := range c.Findings {
			f := &c.Findings[j]
			f.Affected, f.People = []string{c.Title}, people(c.Title)
			f.tidy(domain)
			if f.Kind == KindNothingFound && rejected || explained(*f, causes) {
				continue // it follows from another finding, and is the client's own story
			}
			r.Findings = merge(r.Findings, f.general(c.Title))
		}
		if c.Verdict == "" {
			c.Verdict = c.verdict()
		}
		// In JSON an empty list is [], not null.
		c.Settings = append([]Setting{}, c.Settings...)
		c.Steps = append([]Step{}, c.Steps...)
		c.Findings = append([]Finding{}, c.Findings...)
	}
	r.Findings = append([]Finding{}, r.Findings...)
	for _, f := range crossed {
		if explained(f, crossed) {
			continue
		}
		f.People = people(f.Affected...)
		f.tidy(domain)
		r.Findings = merge(r.Findings, f)
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(order(a.Weight), order(b.Weight)), cmp.Compare(-len(a.Affected), -len(b.Affected)))
	})
	r.Verdict = r.verdict()
}

// general is a finding of one client as others of the same subject would have it: who is
// affected stands beside it.
func (f Finding) general(title string) Finding {
	f.Detail = strings.TrimPrefix(f.Detail, title+" ")
	f.Remedy = strings.ReplaceAll(f.Remedy, title, "these clients")
	return f
}

// subject is what a finding is about: others with the same kind and subject are the same
// one.
func (f Finding) subject() string { return cmp.Or(f.about, f.Detail) }

// explained tells whether one of the findings is the cause of another.
func explained(f Finding, causes []Finding) bool {
	return slices.ContainsFunc(causes, func(g Finding) bool {
		if slices.Contains(f.follows, g.subject()) {
			return true
		}
		return g.Weight != Note && slices.ContainsFunc(g.explains, func(about string) bool {
			return f.about == about || slices.Contains(f.follows, about)
		})
	})
}

// merge adds a finding; one that says the same of another client gets the client's name.
// If they weigh differently, the heavier one speaks.
func merge(all []Finding, f Finding) []Finding {
	for i := range all {
		g := &all[i]
		if g.Kind != f.Kind || g.subject() != f.subject() {
			continue
		}
		switch {
		case order(f.Weight) < order(g.Weight):
			f.Affected, *g = g.Affected, f
		case f.Weight == g.Weight && !strings.Contains(g.Remedy, f.Remedy):
			g.Remedy = printable(g.Remedy+"; "+f.Remedy, maxDetail) // one client's remedy need not help another
		}
		for _, client := range f.Affected {
			if !slices.Contains(g.Affected, client) {
				g.Affected = append(slices.Clip(g.Affected), client)
			}
		}
		g.People = people(g.Affected...)
		return all
	}
	return append(all, f)
}

// people says how many are likely to be affected: as many as use the most used of the
// clients. What affects whoever asks affects many.
func people(titles ...string) string {
	most := len(crowds)
	for _, c := range clients {
		if slices.Contains(titles, c.title) {
			most = min(most, max(0, slices.Index(crowds, c.people)))
		}
	}
	if most == len(crowds) {
		return crowds[0]
	}
	return crowds[most]
}

var crowds = []string{"many", "some", "few"}

// Crowds returns the words of Finding.People, from many to few.
func Crowds() []string { return slices.Clone(crowds) }

func order(w Weight) int { return slices.Index([]Weight{Fault, Warning, Note}, w) }

// verdictOf returns what findings come to.
func verdictOf(findings []Finding) Verdict {
	v := Works
	for _, f := range findings {
		switch f.Weight {
		case Fault:
			return Fails
		case Warning:
			v = Warns
		case Note:
		}
	}
	return v
}

// verdict returns what the whole comes to: nothing works unless some client that can be
// looked at works.
func (r *Report) verdict() Verdict {
	v := verdictOf(r.Findings)
	if r.Blind != "" {
		return Unknown
	}
	if v == Fails {
		return Fails
	}
	tested := func(of ...Verdict) bool {
		return slices.ContainsFunc(r.Clients, func(c ClientReport) bool { return c.simulated && slices.Contains(of, c.Verdict) })
	}
	switch {
	case tested(Works, Warns):
		return v
	case tested(Fails) && !tested(Unknown):
		return Fails
	default:
		return Unknown
	}
}

// guess is the source of a setting that nobody has published.
const guess = "guess"

// spoils tells a fault that matters to a client that works in the end. That it rejected
// a document on its way to another does not.
func spoils(f Finding) bool { return f.Weight == Fault && f.Kind != KindRejected }

// verdict returns what a client comes to. One that ends without a service that works in
// each direction fails, although that is no fault of the domain if the client itself is
// unable.
func (c *ClientReport) verdict() Verdict {
	v := verdictOf(c.Findings)
	sends, reads, guesses := false, false, false
	untested := slices.ContainsFunc(c.broken, attempt.untested)
	for _, s := range c.Settings {
		guesses = guesses || s.Source == guess
		if s.Failure != nil && kindOf(s.Failure.Kind).untested() {
			untested = true
			continue
		}
		sends = sends || s.Works && s.Role == settings.RoleSubmission
		reads = reads || s.Works && s.Role != settings.RoleSubmission
	}
	switch {
	case sends && reads && !untested && !guesses && v == Fails && !slices.ContainsFunc(c.Findings, spoils):
		return Warns
	case v == Fails || sends && reads && !untested:
		return v
	case untested:
		return Unknown
	default:
		return Fails
	}
}

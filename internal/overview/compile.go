package overview

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"
	"time"

	"mailconfd/settings"
)

// Known is all that the daemon knows of one provider.
type Known struct {
	Provider settings.Provider
	Result   settings.Result
	Views    map[settings.Service]settings.Views // of each candidate that was looked at
	Domains  Domains
	Missing  []string // why formats are not published
	Drift    *Drift   // how DNS differs; nil: not looked at
}

// Source is the daemon, as far as it is shown. It is safe for concurrent use.
type Source interface {
	// Known yields what is known of every provider, in the order of their names.
	Known() iter.Seq[Known]
	// State tells where what was seen is kept, and whether that works.
	State() State
	// Zones returns the zones that are kept in step; their Level is not read.
	Zones() []Zone
	// Changes returns the newest n observations of a service, from all vantages, whose
	// outcome differs from the one before, the newest first.
	Changes(ctx context.Context, s settings.Service, n int) ([]settings.Observation, error)
}

// Query says what a report is to hold. The zero Query asks for the first page.
type Query struct {
	Provider    string // this one alone; "": all
	Page        int    // from 1; one beyond the last is the last
	Limit       int    // providers a page; 0: DefaultLimit
	Transcripts bool   // with the dialogues
}

// The bounds of a report. A provider has some eight services, and a service a few dozen
// changes, so that a page stays some megabytes at the most.
const (
	DefaultLimit = 25
	MaxLimit     = 100
	MaxChanges   = 40      // of a service
	maxDialogue  = 2 << 20 // bytes of transcripts, in all
)

// historyTime is how long the changes of a page may take to read.
const historyTime = 3 * time.Second

// Maker makes reports.
type Maker struct {
	Source  Source
	Version string
	Vantage string
	Now     func() time.Time
}

// Report says what is known. It reads changes from the store, which can fail: the report
// then says so, and holds all the rest.
func (m Maker) Report(ctx context.Context, q Query) Report {
	now := m.Now()
	ctx, cancel := context.WithTimeout(ctx, historyTime)
	defer cancel()
	r := Report{
		At: now.UTC().Truncate(time.Second), Version: m.Version, Vantage: m.Vantage, State: m.Source.State(),
		Level: Well, Levels: map[Level]int{Well: 0, Waiting: 0, Warning: 0, Fault: 0}, Providers: []Provider{},
	}
	var list []brief
	for k := range m.Source.Known() {
		level := k.Level(now)
		r.Levels[level]++
		r.Level = worse(r.Level, level)
		if q.Provider == "" || q.Provider == k.Provider.Name {
			list = append(list, brief{k.Provider.Name, level})
		}
	}
	if q.Provider == "" {
		r.Zones = zonesOf(m.Source.Zones())
	}
	if len(list) == 0 && q.Provider == "" {
		r.Level = Waiting // nothing has been declared yet
	}
	slices.SortStableFunc(list, func(a, b brief) int {
		return cmp.Or(slices.Index(Levels(), b.level)-slices.Index(Levels(), a.level), strings.Compare(a.name, b.name))
	})
	list = r.cut(list, q)
	wanted := map[string]int{}
	for i, b := range list {
		wanted[b.name] = i
	}
	r.Providers = make([]Provider, len(list))
	t := teller{report: &r, source: m.Source}
	if q.Transcripts {
		t.room = maxDialogue
	}
	for k := range m.Source.Known() {
		if i, ok := wanted[k.Provider.Name]; ok {
			r.Providers[i] = compile(k, now)
			t.tell(ctx, k.Views, &r.Providers[i])
		}
	}
	r.Providers = slices.DeleteFunc(r.Providers, func(p Provider) bool { return p.Provider == "" }) // gone meanwhile
	r.Cut = r.Cut && q.Transcripts
	return r
}

// brief is what decides on which page a provider stands.
type brief struct {
	name  string
	level Level
}

// cut keeps one page.
func (r *Report) cut(list []brief, q Query) []brief {
	limit := min(cmp.Or(max(q.Limit, 0), DefaultLimit), MaxLimit)
	r.Pages = max((len(list)+limit-1)/limit, 1)
	r.Page = min(max(q.Page, 1), r.Pages)
	from := (r.Page - 1) * limit
	return list[from:min(from+limit, len(list))]
}

// Level says how bad it is.
func (k Known) Level(now time.Time) Level { return compile(k, now).Level }

// compile says what is known of a provider, without its history.
func compile(k Known, now time.Time) Provider {
	p := Provider{Provider: k.Provider.Name, Level: Well, Domains: k.Domains, Drift: k.Drift, Services: []Service{}}
	if p.Domains.First == nil {
		p.Domains.First = []string{}
	}
	for _, role := range settings.Roles() {
		for i, published := range k.Result.Verified.Services(role) {
			p.Services = append(p.Services, k.published(published, i == 0, now))
		}
		for _, w := range k.Result.Withheld {
			if w.Service.Role() == role {
				p.Services = append(p.Services, k.withheld(w, now))
			}
		}
	}
	for _, s := range p.Services {
		if s.Level != Absent {
			p.Level = worse(p.Level, s.Level)
		}
	}
	p.Problems = k.problems(p.Services, now)
	for _, problem := range p.Problems {
		p.Level = worse(p.Level, problem.Level)
	}
	if k.Drift != nil {
		p.Level = worse(p.Level, k.Drift.Level())
	}
	return p
}

// problems says what is wrong with the provider as a whole.
func (k Known) problems(services []Service, now time.Time) []Problem {
	all := []Problem{}
	for _, text := range k.lacks() {
		all = append(all, Problem{Fault, text})
	}
	for _, text := range k.Missing {
		all = append(all, Problem{Warning, text})
	}
	expiring := shown{}
	for _, s := range services {
		if c := s.Certificate; c != nil && c.Stage > 0 && now.Before(c.NotAfter) { // else it is a failure of the service already
			expiring.add(c, s.Service)
		}
	}
	for _, c := range expiring.sorted() {
		all = append(all, Problem{Warning, c.String()})
	}
	return all
}

// lacks says what every client needs and is not published: something to send with, and
// something to read with.
func (k Known) lacks() []string {
	none := func(roles ...settings.Role) bool {
		return !slices.ContainsFunc(roles, func(r settings.Role) bool {
			return len(k.Result.Verified.Services(r)) > 0 || k.Result.Verified.Undecided(r)
		})
	}
	var all []string
	if none(settings.RoleSubmission) {
		all = append(all, "nothing to send mail with is known to work: clients are told nothing")
	}
	if none(settings.RoleIMAP, settings.RolePOP3) {
		all = append(all, "nothing to read mail with is known to work: clients are told nothing")
	}
	return all
}

// teller adds to a report what was seen.
type teller struct {
	report *Report
	source Source
	room   int // for transcripts, in bytes
}

// tell adds the newest probes and the changes of a provider.
func (t *teller) tell(ctx context.Context, views map[settings.Service]settings.Views, p *Provider) {
	for i := range p.Services {
		s := &p.Services[i]
		for _, h := range views[s.Service] {
			if !h.Newest.At.IsZero() {
				s.Newest = append(s.Newest, t.shown(h.Newest))
			}
		}
		slices.SortStableFunc(s.Newest, func(a, b settings.Observation) int { return strings.Compare(a.Vantage, b.Vantage) })
		if t.report.History != "" {
			continue
		}
		changes, err := t.source.Changes(ctx, s.Service, MaxChanges)
		if err != nil {
			t.report.History = err.Error()
			continue
		}
		s.Since = since(views[s.Service], changes, s.Seen)
		for _, c := range changes {
			s.Changes = append(s.Changes, t.shown(c))
		}
	}
}

// shown takes the transcripts out of an observation where there is no room for them.
func (t *teller) shown(o settings.Observation) settings.Observation {
	size := 0
	for _, a := range o.Addresses {
		for _, line := range a.Transcript {
			size += len(line)
		}
	}
	if size <= t.room {
		t.room -= size
		return o
	}
	o.Addresses = slices.Clone(o.Addresses)
	for i := range o.Addresses {
		o.Addresses[i].Transcript = nil
	}
	t.report.Cut = true
	return o
}

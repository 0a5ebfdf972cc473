// Package overview says what a running mailconfd knows: what is published for each
// provider and on what ground, what is withheld and why, and what to do about it. It is
// one value with a JSON form; the operator's page, the API of the admin listener and
// "mailconfd status" show the same one. openapi.json beside this file describes it.
//
// It decides nothing about what is published: settings.Verify does. It adds how bad each
// thing is, so that somebody who is called at night sees the worst first.
//
// It holds no address of a user, and nothing that a client has sent.
package overview

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"mailconfd/settings"
)

// Level says how bad something is.
type Level string

// The levels, from good to bad.
const (
	Well    Level = "well"
	Absent  Level = "absent"  // of a service: it has never been there, and nobody is told of it
	Waiting Level = "waiting" // the first probes are not over
	Warning Level = "warning" // it works, and something should be mended
	Fault   Level = "fault"   // it fails, or clients cannot be told what they need
)

// Levels returns every level, from good to bad.
func Levels() []Level { return []Level{Well, Absent, Waiting, Warning, Fault} }

// worse returns the worse of two levels.
func worse(a, b Level) Level {
	if slices.Index(Levels(), a) > slices.Index(Levels(), b) {
		return a
	}
	return b
}

// Report is what is known of the providers, the worst first. It can be one page of many.
type Report struct {
	At      time.Time `json:"at"`
	Version string    `json:"version"`
	Vantage string    `json:"vantage"` // where the process that tells this stands
	Level   Level     `json:"level"`   // the worst of all providers, on whatever page
	State   State     `json:"state"`
	// Levels counts all providers by level; a level that none has is 0.
	Levels map[Level]int `json:"levels"`
	Page   int           `json:"page"`                      // from 1
	Pages  int           `json:"pages"`                     // at least 1
	Cut    bool          `json:"transcripts_cut,omitempty"` // there were too many transcripts: some were left out
	// History tells why the services have no changes and no since; "": they have.
	History   string     `json:"history_missing,omitempty"`
	Providers []Provider `json:"providers"`
	// Zones are those that are kept in step, in a report of all providers; nil: there are none.
	Zones *Zones `json:"zones,omitempty"`
}

// Zones are the DNS zones that are kept in step with what is verified.
type Zones struct {
	Count int    `json:"count"`
	Level Level  `json:"level"` // the worst of all
	First []Zone `json:"first"` // the worst first, MaxZones at the most
}

// MaxZones is how many zones a report tells of.
const MaxZones = 100

// Zone is how it went with one zone since this process began.
type Zone struct {
	Zone    string     `json:"zone"`
	Server  string     `json:"server"` // HOST:PORT of its primary
	Level   Level      `json:"level"`
	Looked  *time.Time `json:"looked,omitempty"`  // the last look, whatever came of it
	Changed *time.Time `json:"changed,omitempty"` // the last change
	Failed  *time.Time `json:"failed,omitempty"`  // the last failure
	Failure string     `json:"failure,omitempty"` // why it failed then
	Failing bool       `json:"failing"`           // and has not come right since
	Remarks []string   `json:"remarks"`           // what is not as wanted although nothing fails
}

// rate says how bad it is. Mail works whatever DNS says of it, so that it is never a fault.
func (z Zone) rate() Level {
	switch {
	case z.Looked == nil:
		return Waiting
	case z.Failing, len(z.Remarks) > 0:
		return Warning
	}
	return Well
}

// zonesOf puts zones together, the worst first.
func zonesOf(all []Zone) *Zones {
	if len(all) == 0 {
		return nil
	}
	zones := &Zones{Count: len(all), Level: Well, First: slices.Clone(all)}
	for i := range zones.First {
		z := &zones.First[i]
		z.Level = z.rate()
		if zones.Level = worse(zones.Level, z.Level); z.Remarks == nil {
			z.Remarks = []string{}
		}
	}
	slices.SortStableFunc(zones.First, func(a, b Zone) int {
		return cmp.Or(slices.Index(Levels(), b.Level)-slices.Index(Levels(), a.Level), strings.Compare(a.Zone, b.Zone))
	})
	zones.First = zones.First[:min(len(all), MaxZones)]
	return zones
}

// State is that of the place where what was seen is kept.
type State struct {
	Kind       string `json:"kind"`       // "memory", "sqlite" or "postgres"
	Generation int64  `json:"generation"` // replicas that share a state agree on it within seconds
	Error      string `json:"error,omitempty"`
}

// Provider is what is known of one declared provider.
type Provider struct {
	Provider string    `json:"provider"` // its name
	Level    Level     `json:"level"`
	Domains  Domains   `json:"domains"`
	Problems []Problem `json:"problems"` // of the provider as a whole
	Drift    *Drift    `json:"drift,omitempty"`
	Services []Service `json:"services"` // in the order of the answer, what is withheld after what is published
}

// Problem is something that concerns a provider as a whole: a role or a format that
// clients are not told, or a certificate that runs out.
type Problem struct {
	Level Level  `json:"level"`
	Text  string `json:"text"`
}

// Drift is how DNS differs from the records that the services call for, of one domain of
// a provider, when that was last looked at.
type Drift struct {
	Domain   string       `json:"domain"`
	At       time.Time    `json:"at"`
	Findings []Difference `json:"findings"` // the gravest first
}

// Level is the worst of its findings.
func (d Drift) Level() Level {
	level := Well
	for _, f := range d.Findings {
		level = worse(level, f.Level())
	}
	return level
}

// Difference is one way in which DNS differs; docs/dns.md has the kinds.
type Difference struct {
	Kind    string   `json:"kind"`
	Weight  string   `json:"weight"`            // "fault", "warning" or "note"
	Owner   string   `json:"owner"`             // the name that it is about
	Type    string   `json:"type,omitempty"`    // of the records that it is about
	Servers []string `json:"servers,omitempty"` // who says so; none: all that were asked
	Detail  string   `json:"detail"`
	Remedy  string   `json:"remedy"`
}

// Level says how bad it is. Mail works whatever DNS says of it, so that it is never a fault.
func (d Difference) Level() Level {
	if d.Weight == "note" {
		return Well
	}
	return Warning
}

// String tells it in one line, without the remedy.
func (d Difference) String() string {
	text := d.Kind + ": " + d.Owner
	if d.Type != "" {
		text += " " + d.Type
	}
	text += ": "
	if len(d.Servers) > 0 {
		text += strings.Join(d.Servers, ", ") + ": "
	}
	return text + d.Detail
}

// Domains are those that a provider serves, as far as the configuration names them.
type Domains struct {
	Count int      `json:"count"` // names, wildcards and MX hosts
	First []string `json:"first"` // a few of them: "example.org", "*.example.org", "MX mx.example.org"
}

// maxDomains is how many domains are named.
const maxDomains = 5

// With returns the domains with one more.
func (d Domains) With(words string) Domains {
	d.Count++
	if len(d.First) < maxDomains {
		d.First = append(slices.Clip(d.First), words)
	}
	return d
}

// Service is what is known of one service of a provider.
type Service struct {
	Service   settings.Service `json:"service"`
	Role      settings.Role    `json:"role"`
	Level     Level            `json:"level"`
	Published bool             `json:"published"`
	Answer    bool             `json:"answer"`             // the first of its role: what clients are told
	Basis     settings.Basis   `json:"basis,omitempty"`    // of one that is published
	Reason    string           `json:"reason,omitempty"`   // of one that is trusted: the operator's
	Withheld  settings.Why     `json:"withheld,omitempty"` // of one that is not published
	Text      string           `json:"text"`               // the same to a person, in one line
	// Since is since when it works, or fails, as it does now; nil: not known.
	Since       *time.Time        `json:"since,omitempty"`
	Seen        *time.Time        `json:"seen,omitempty"`    // its last success
	Failure     *settings.Failure `json:"failure,omitempty"` // what the newest probe met, or the login check
	Remedy      string            `json:"remedy,omitempty"`  // what to do about the failure
	Warnings    []Flaw            `json:"warnings,omitempty"`
	Certificate *Certificate      `json:"certificate,omitempty"`
	Disagree    string            `json:"disagree,omitempty"` // where vantages see it differently
	// Newest is the newest probe of each vantage, and Changes those whose outcome was
	// another than that of the one before, the newest first; as docs/probe.md describes
	// them, with transcripts only where they are asked for.
	Newest  []settings.Observation `json:"newest"`
	Changes []settings.Observation `json:"changes"`
}

// Flaw is a warning with its remedy.
type Flaw struct {
	Kind   settings.WarningKind `json:"kind"`
	Detail string               `json:"detail"`
	Remedy string               `json:"remedy"`
}

// Domain is what clients are told for one domain.
type Domain struct {
	Domain   string   `json:"domain"`            // in A-labels
	Unicode  string   `json:"unicode,omitempty"` // in U-labels, where that differs
	Provider string   `json:"provider"`
	Level    Level    `json:"level"` // of the provider
	Formats  []Format `json:"formats"`
	// Records are what "mailconfd records --format json" prints.
	Records json.RawMessage `json:"records"`
}

// Format is a document for a domain.
type Format struct {
	Format    string `json:"format"` // "autoconfig", …
	Published bool   `json:"published"`
	Reason    string `json:"reason,omitempty"`   // why it is not
	Document  string `json:"document,omitempty"` // as a client gets it that gives no address
}

// OpenAPI returns the description of the API, an OpenAPI 3.1 document in JSON.
func OpenAPI() []byte { return slices.Clone(openAPI) }

//go:embed openapi.json
var openAPI []byte

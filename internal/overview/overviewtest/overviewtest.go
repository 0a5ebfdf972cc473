// Package overviewtest has a daemon's knowledge for tests, with everything in it that is
// awkward to show, and holds answers against the description of the API.
package overviewtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"mailconfd/internal/overview"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// Now is the moment of the reports.
var Now = settingstest.Now

// Rude is a text that must come out as text wherever it is shown.
const Rude = `<script>alert("1")</script>&amp;ü ` + "\u202e" + `'`

// Source is an invented daemon.
type Source struct {
	All    []overview.Known
	Seen   map[settings.Service][]settings.Observation // changes, the newest first
	Broken error                                       // what the store answers
	Kept   []overview.Zone
}

// Zones is overview.Source's.
func (s Source) Zones() []overview.Zone { return s.Kept }

// Known is overview.Source's.
func (s Source) Known() iter.Seq[overview.Known] { return slices.Values(s.All) }

// State is overview.Source's.
func (s Source) State() overview.State {
	state := overview.State{Kind: "sqlite", Generation: 1234}
	if s.Broken != nil {
		state.Error = s.Broken.Error()
	}
	return state
}

// Changes is overview.Source's.
func (s Source) Changes(_ context.Context, of settings.Service, n int) ([]settings.Observation, error) {
	all := s.Seen[of]
	return all[:min(n, len(all))], s.Broken
}

// Maker makes reports of a source, at Now.
func Maker(s Source) overview.Maker {
	return overview.Maker{Source: s, Version: "v1.2.3", Vantage: "here", Now: func() time.Time { return Now }}
}

// Add adds a provider of which these observations were made, in any order.
func (s *Source) Add(p settings.Provider, missing []string, observations ...settings.Observation) {
	if s.Seen == nil {
		s.Seen = map[settings.Service][]settings.Observation{}
	}
	by := map[settings.Service]map[string][]settings.Observation{}
	for _, o := range observations {
		if by[o.Service] == nil {
			by[o.Service] = map[string][]settings.Observation{}
		}
		by[o.Service][o.Vantage] = append(by[o.Service][o.Vantage], o)
	}
	views := map[settings.Service]settings.Views{}
	for service, vantages := range by {
		for _, seen := range vantages {
			views[service] = append(views[service], settings.Fold(seen...))
			s.Seen[service] = append(s.Seen[service], changes(seen)...)
		}
		slices.SortFunc(s.Seen[service], func(a, b settings.Observation) int { return b.At.Compare(a.At) })
	}
	domains := overview.Domains{}.With(p.Name + ".example").With("*.customers." + p.Name + ".example")
	s.All = append(s.All, overview.Known{
		Provider: p, Result: settings.Verify(p, views, Now, settings.DefaultPolicy()), Views: views, Domains: domains, Missing: missing,
	})
}

// changes keeps the observations of one vantage whose outcome is another than that before.
func changes(seen []settings.Observation) []settings.Observation {
	seen = slices.SortedFunc(slices.Values(seen), func(a, b settings.Observation) int { return a.At.Compare(b.At) })
	outcome := func(o settings.Observation) settings.FailureKind {
		if f := o.Verdict().Failure; f != nil {
			return f.Kind
		}
		return ""
	}
	return slices.CompactFunc(seen, func(a, b settings.Observation) bool { return outcome(a) == outcome(b) })
}

// World is a source with something of everything: a provider that is well, one with
// troubles, and one that has not been looked at.
func World() Source {
	var s Source
	p := settingstest.Provider("submission://mail.example.org:587", "imaps://mail.example.org:993", "sieve://mail.example.org:4190")
	p.Trusted = []settings.Trust{{Service: p.Services[2], Reason: Rude}}
	p.Services = p.Services[:2]
	var seen []settings.Observation
	for _, service := range p.Services {
		o := settingstest.Seen(service, Now.Add(-time.Minute))
		o.Addresses[0].TLS = tls(Now.Add(90 * 24 * time.Hour))
		seen = append(seen, o)
	}
	s.Add(p, nil, seen...)
	for i := range seen {
		seen[i].At = Now.Add(-365 * 24 * time.Hour) // well for a year is one change
		s.Seen[seen[i].Service] = seen[i : i+1]
	}
	s.addTroubled()
	at := func(d time.Duration) *time.Time { t := Now.Add(-d); return &t }
	s.Kept = []overview.Zone{
		{Zone: "example.org", Server: "192.0.2.53:53", Looked: at(5 * time.Minute), Changed: at(50 * time.Hour), Failed: at(49 * time.Hour), Failure: "connect: " + Rude},
		{Zone: "early.example", Server: "192.0.2.53:53"},
		{Zone: "troubled.example", Server: "[2001:db8::53]:5353", Looked: at(time.Minute), Failed: at(time.Minute), Failing: true, Failure: "the server says: " + Rude},
		{Zone: "edited.example", Server: "192.0.2.53:53", Looked: at(time.Minute), Changed: at(time.Minute), Remarks: []string{"DNS record left alone: " + Rude}},
	}
	p = settingstest.Provider("submission://smtp.early.example:587", "imaps://imap.early.example:993")
	p.Name = "early"
	s.Add(p, nil)
	return s
}

// addTroubled adds a provider that has every trouble.
func (s *Source) addTroubled() {
	p := settingstest.Provider("submission://smtp.example.net:587", "submission://smtp.example.net:2525", "submissions://smtp.example.net:465",
		"imaps://imap.example.net:993", "imap://imap.example.net:143", "pop3://imap.example.net:110", "sieve://imap.example.net:4190")
	p.Name = "troubled"
	at := func(i int, d time.Duration, kind settings.FailureKind) settings.Observation {
		return ago(p.Services[i], d, kind)
	}
	outside := at(3, time.Minute, settings.FailureNoSTARTTLS)
	outside.Vantage = "outside"
	odd := at(4, 5*time.Minute, "")
	odd.Addresses[0].IP = netip.MustParseAddr("2001:db8::1")
	odd.Addresses[0].Warnings = []settings.Warning{{Kind: settings.WarnNoAuthLogin, Detail: "AUTH " + Rude}, {Kind: settings.WarnCertificateExpires, Detail: "in 5 days"}}
	s.Add(p, []string{"autodiscover is not published: it needs an outgoing service that it can say"},
		at(0, 50*time.Hour, ""), at(0, 30*time.Minute, settings.FailureCertificateExpired), at(0, time.Minute, settings.FailureCertificateExpired),
		at(1, 49*time.Hour, ""), at(1, 26*time.Hour, settings.FailureTimeout), at(1, 25*time.Hour, ""), at(1, time.Minute, ""),
		at(2, 40*time.Hour, settings.FailureRefused),
		at(3, 100*time.Hour, ""), at(3, 2*time.Minute, ""), outside,
		odd,
		at(5, 200*time.Hour, ""), at(5, 90*time.Hour, settings.FailureReset), at(5, time.Minute, settings.FailureReset),
		at(6, time.Hour, settings.FailureNoAuth),
	)
	s.All[len(s.All)-1].Drift = &overview.Drift{Domain: "troubled.example", At: Now.Add(-3 * time.Hour), Findings: []overview.Difference{
		{
			Kind: "extra", Weight: "fault", Owner: "_sieve._tcp.troubled.example", Type: "SRV", Servers: []string{"ns1.troubled.example (192.0.2.53)"},
			Detail: "0 1 4190 " + Rude + " should not be there", Remedy: "delete the record",
		},
		{Kind: "unsigned", Weight: "note", Owner: "troubled.example", Type: "DS", Detail: "the parent zone has no DS record", Remedy: "sign the zone with DNSSEC"},
	}}
}

// ago is an observation with a certificate and a dialogue.
func ago(s settings.Service, d time.Duration, kind settings.FailureKind) settings.Observation {
	o := settingstest.Seen(s, Now.Add(-d))
	a := &o.Addresses[0]
	a.Took, a.TLS = 41*time.Millisecond, tls(Now.Add(5*24*time.Hour))
	a.Transcript = []string{"*  connected to 192.0.2.1:587", "S: 220 " + Rude, "C: EHLO probe.example.org"}
	if kind != "" {
		a.Failure = &settings.Failure{Kind: kind, Detail: "seen: " + Rude}
	}
	return o
}

func tls(until time.Time) *settings.TLS {
	return &settings.TLS{
		Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", SubjectNames: []string{"mail.example.org"}, Issuer: "CN=Example CA",
		NotBefore: until.Add(-90 * 24 * time.Hour), NotAfter: until, SPKISHA256: "00ff",
	}
}

// Validate holds a JSON text against a schema of the API: "Report", "Domain" or "Error".
// A member that the description lacks is an error.
func Validate(schema string, body []byte) error {
	var api any
	if err := json.Unmarshal(overview.OpenAPI(), &api); err != nil {
		return err
	}
	closeObjects(api)
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("openapi.json", api); err != nil {
		return err
	}
	compiled, err := c.Compile("openapi.json#/components/schemas/" + schema)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("%w in %q", err, body)
	}
	return compiled.Validate(value)
}

// closeObjects lets no object have more members than it describes.
func closeObjects(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		if s["type"] == "object" && s["properties"] != nil {
			s["additionalProperties"] = false
		}
		for _, part := range s {
			closeObjects(part)
		}
	case []any:
		for _, part := range s {
			closeObjects(part)
		}
	}
}

// ErrStore is what a store answers that does not work.
var ErrStore = errors.New("the disk is full")

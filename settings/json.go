package settings

import (
	"encoding/json"
	"net/netip"
	"time"
)

// observationJSON is an Observation as users see it: with the verdict that it comes to.
type observationJSON struct {
	Service   Service       `json:"service"`
	Vantage   string        `json:"vantage,omitempty"`
	At        *time.Time    `json:"at,omitempty"`
	Verified  bool          `json:"verified"`
	Basis     Basis         `json:"basis,omitempty"`
	Failure   *Failure      `json:"failure,omitempty"`
	TLS       *TLS          `json:"tls,omitempty"`
	Auth      Mechanisms    `json:"auth,omitempty"`
	Path      string        `json:"path,omitempty"`
	Warnings  []Warning     `json:"warnings,omitempty"`
	Addresses []addressJSON `json:"addresses"`
}

type addressJSON struct {
	IP         netip.Addr `json:"ip"`
	Verified   bool       `json:"verified"`
	MS         int64      `json:"ms"`
	Local      bool       `json:"local,omitempty"`
	Failure    *Failure   `json:"failure,omitempty"`
	TLS        *TLS       `json:"tls,omitempty"`
	Auth       Mechanisms `json:"auth,omitempty"`
	Warnings   []Warning  `json:"warnings,omitempty"`
	Transcript []string   `json:"transcript,omitempty"`
}

// MarshalJSON writes the observation and its verdict, as docs/probe.md describes it.
// What the verdict says is not repeated for an address that passed.
func (o Observation) MarshalJSON() ([]byte, error) {
	v := o.Verdict()
	j := observationJSON{
		Service: o.Service, Vantage: o.Vantage, Verified: v.Verified, Failure: v.Failure,
		TLS: v.TLS, Auth: v.Auth, Path: v.Path, Warnings: v.Warnings, Addresses: []addressJSON{},
	}
	if !o.At.IsZero() {
		at := o.At.UTC().Truncate(time.Millisecond)
		j.At = &at
	}
	if v.Verified {
		j.Basis = v.basis()
	}
	for _, a := range o.Addresses {
		out := addressJSON{
			IP: a.IP, Verified: a.Failure == nil, MS: a.Took.Milliseconds(), Local: a.Local, Failure: a.Failure, Transcript: a.Transcript,
		}
		if a.Failure != nil {
			out.TLS, out.Auth, out.Warnings = a.TLS, a.Auth, a.Warnings
		}
		j.Addresses = append(j.Addresses, out)
	}
	return json.Marshal(j)
}

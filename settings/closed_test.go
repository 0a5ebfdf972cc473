package settings_test

import (
	"net/netip"
	"testing"
	"time"

	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// TestClosed: only refusals that were seen from outside prove a port closed.
func TestClosed(t *testing.T) {
	t.Parallel()
	at := func(ip string, kind settings.FailureKind) settings.AddressResult {
		a := settings.AddressResult{IP: netip.MustParseAddr(ip), Auth: settings.Mechanisms{"PLAIN"}}
		if kind != "" {
			a.Failure = &settings.Failure{Kind: kind, Detail: "invented"}
		}
		return a
	}
	own := at("127.0.0.1", settings.FailureRefused)
	own.Local = true
	refused := at("192.0.2.1", settings.FailureRefused)
	cases := map[string]struct {
		observation settings.Observation
		want        bool
	}{
		"nothing was tried":             {settings.Observation{}, false},
		"the name has no address":       {settings.Observation{Failure: &settings.Failure{Kind: settings.FailureDNS}}, false},
		"refused":                       {settings.Observation{Addresses: []settings.AddressResult{refused}}, true},
		"refused at both addresses":     {settings.Observation{Addresses: []settings.AddressResult{refused, at("2001:db8::1", settings.FailureRefused)}}, true},
		"no route to the other":         {settings.Observation{Addresses: []settings.AddressResult{refused, at("2001:db8::1", settings.FailureLocal)}}, true},
		"no route to any":               {settings.Observation{Addresses: []settings.AddressResult{at("2001:db8::1", settings.FailureLocal)}}, false},
		"no answer from the other":      {settings.Observation{Addresses: []settings.AddressResult{refused, at("2001:db8::1", settings.FailureTimeout)}}, false},
		"the network could not reach":   {settings.Observation{Addresses: []settings.AddressResult{refused, at("2001:db8::1", settings.FailureUnreachable)}}, false},
		"the other works":               {settings.Observation{Addresses: []settings.AddressResult{refused, at("2001:db8::1", "")}}, false},
		"refused by our own address":    {settings.Observation{Addresses: []settings.AddressResult{own}}, false},
		"refused by an own address too": {settings.Observation{Addresses: []settings.AddressResult{refused, own}}, false},
		"refused through a proxy":       {settings.Observation{Proxied: true, Addresses: []settings.AddressResult{refused}}, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.observation.Closed(); got != c.want {
				t.Errorf("Closed() = %v, want %v", got, c.want)
			}
		})
	}
}

// TestWithheldClosed: Verify hands the proof on, of the newest observation only.
func TestWithheldClosed(t *testing.T) {
	t.Parallel()
	s := settingstest.Service("pop3://mail.example.org")
	earlier := settingstest.Now.Add(-time.Minute)
	cases := map[string]struct {
		history settings.History
		want    bool
	}{
		"not probed":              {settings.History{}, false},
		"refused":                 {settings.Fold(settingstest.Failed(s, settingstest.Now, settings.FailureRefused)), true},
		"timeout after a refusal": {settings.Fold(settingstest.Failed(s, earlier, settings.FailureRefused), settingstest.Failed(s, settingstest.Now, settings.FailureTimeout)), false},
		"refusal after a timeout": {settings.Fold(settingstest.Failed(s, earlier, settings.FailureTimeout), settingstest.Failed(s, settingstest.Now, settings.FailureRefused)), true},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			result := settings.Verify(settingstest.Provider(s.String()), map[settings.Service]settings.Views{s: {c.history}}, settingstest.Now, settings.DefaultPolicy())
			if len(result.Withheld) != 1 || result.Withheld[0].Closed != c.want {
				t.Errorf("withheld %+v, want Closed %v", result.Withheld, c.want)
			}
		})
	}
}

// Package settingstest makes Verified values for tests in the only way there is: by
// handing Verify invented histories.
package settingstest

import (
	"net/netip"
	"time"

	"mailconfd/settings"
)

// Now is the moment at which everything here was seen.
var Now = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

// Service reads a service URL and panics where it is none.
func Service(url string) settings.Service {
	s, err := settings.ParseService(url)
	if err != nil {
		panic(err)
	}
	return s
}

// Services reads several URLs.
func Services(urls ...string) []settings.Service {
	var all []settings.Service
	for _, u := range urls {
		all = append(all, Service(u))
	}
	return all
}

// Provider declares the services, with the name and short name "Example".
func Provider(urls ...string) settings.Provider {
	return settings.Provider{
		Name: "main", DisplayName: "Example", ShortName: "Example",
		Services: Services(urls...), Username: settings.UsernameAddress,
	}
}

// Seen is an observation in which the service passed at a public address, with the
// mechanisms given, else with PLAIN and LOGIN.
func Seen(s settings.Service, at time.Time, mechanisms ...string) settings.Observation {
	if len(mechanisms) == 0 {
		mechanisms = []string{"PLAIN", "LOGIN"}
	}
	return settings.Observation{Service: s, Vantage: "here", At: at, Addresses: []settings.AddressResult{{
		IP: netip.MustParseAddr("192.0.2.1"), Auth: mechanisms,
	}}}
}

// Failed is an observation in which the service failed at a public address.
func Failed(s settings.Service, at time.Time, kind settings.FailureKind) settings.Observation {
	return settings.Observation{Service: s, Vantage: "here", At: at, Addresses: []settings.AddressResult{{
		IP: netip.MustParseAddr("192.0.2.1"), Failure: &settings.Failure{Kind: kind, Detail: "invented"},
	}}}
}

// Verify verifies all services of a provider, seen Now with the default policy.
func Verify(p settings.Provider) settings.Verified {
	return VerifyOnly(p, p.Candidates()...)
}

// VerifyOnly verifies the services given; the provider's others were refused.
func VerifyOnly(p settings.Provider, seen ...settings.Service) settings.Verified {
	histories := map[settings.Service]settings.Views{}
	for _, s := range p.Candidates() {
		histories[s] = settings.Views{settings.Fold(Failed(s, Now, settings.FailureRefused))}
	}
	for _, s := range seen {
		histories[s] = settings.Views{settings.Fold(Seen(s, Now))}
	}
	return settings.Verify(p, histories, Now, settings.DefaultPolicy()).Verified
}

// Verified verifies a provider of the services given.
func Verified(urls ...string) settings.Verified { return Verify(Provider(urls...)) }

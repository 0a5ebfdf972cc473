package settings_test

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// The documents of the promise to users, docs/probe.md.
func TestObservationJSON(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)
	good := settingstest.Seen(settingstest.Service(s587), at)
	good.Addresses[0].Took = 41 * time.Millisecond
	good.Addresses[0].TLS = &settings.TLS{Version: "TLS 1.3", Cipher: "TLS_AES_128_GCM_SHA256", SubjectNames: []string{"smtp.example.org"}, Issuer: "Example CA", NotBefore: at, NotAfter: at.AddDate(0, 0, 10), SPKISHA256: "00ff"}
	good.Addresses[0].Warnings = []settings.Warning{{Kind: settings.WarnCertificateExpires, Detail: "in 10 days"}}
	down := settings.Observation{Service: settingstest.Service(s110), Addresses: []settings.AddressResult{{
		IP: netip.MustParseAddr("192.0.2.1"), Failure: &settings.Failure{Kind: settings.FailureRefused, Detail: "connect 192.0.2.1:110: connection refused"},
	}}}
	nowhere := settings.Observation{Service: settingstest.Service(s993), Failure: &settings.Failure{Kind: settings.FailureDNS, Detail: "no such name"}}
	for _, tt := range []struct {
		o    settings.Observation
		want string
	}{
		{good, `{"service":"submission://smtp.example.org:587","vantage":"here","at":"2026-11-24T09:00:00Z","verified":true,"basis":"probed",` +
			`"tls":{"version":"TLS 1.3","cipher":"TLS_AES_128_GCM_SHA256","subject_names":["smtp.example.org"],"issuer":"Example CA","not_before":"2026-11-24T09:00:00Z","not_after":"2026-12-04T09:00:00Z","spki_sha256":"00ff"},` +
			`"auth":["PLAIN","LOGIN"],"warnings":[{"kind":"certificate_expires_soon","detail":"in 10 days"}],"addresses":[{"ip":"192.0.2.1","verified":true,"ms":41}]}`},
		{down, `{"service":"pop3://pop.example.org:110","verified":false,"failure":{"kind":"refused","detail":"connect 192.0.2.1:110: connection refused"},` +
			`"addresses":[{"ip":"192.0.2.1","verified":false,"ms":0,"failure":{"kind":"refused","detail":"connect 192.0.2.1:110: connection refused"}}]}`},
		{nowhere, `{"service":"imaps://imap.example.org:993","verified":false,"failure":{"kind":"dns","detail":"no such name"},"addresses":[]}`},
	} {
		got, err := json.Marshal(tt.o)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tt.want, string(got)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	}
}

package settings_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailconfd/settings"
)

// result is an address result by its outcome: "ok", "ok-local" or a failure kind.
func result(ip, outcome string, mechanisms ...string) settings.AddressResult {
	if len(mechanisms) == 0 {
		mechanisms = []string{"PLAIN", "LOGIN"}
	}
	a := settings.AddressResult{IP: netip.MustParseAddr(ip), Local: outcome == "ok-local", TLS: &settings.TLS{Issuer: ip}}
	if outcome == "ok" || outcome == "ok-local" {
		a.Auth = mechanisms
		return a
	}
	a.Failure = &settings.Failure{Kind: settings.FailureKind(outcome), Detail: ip}
	return a
}

func TestVerdict(t *testing.T) {
	t.Parallel()
	const v4, v6, other = "192.0.2.1", "2001:db8::1", "192.0.2.2"
	tests := []struct {
		name      string
		addresses []settings.AddressResult
		verified  bool
		local     bool
		kind      settings.FailureKind
		warnings  []settings.WarningKind
		auth      settings.Mechanisms
	}{
		{name: "nothing tried", kind: "local"},
		{name: "one passes", addresses: []settings.AddressResult{result(v4, "ok")}, verified: true, auth: settings.Mechanisms{"PLAIN", "LOGIN"}},
		{name: "another is down", addresses: []settings.AddressResult{result(v4, "ok"), result(v6, "timeout")}, verified: true, warnings: []settings.WarningKind{"address_failed"}, auth: settings.Mechanisms{"PLAIN", "LOGIN"}},
		{name: "no route to another", addresses: []settings.AddressResult{result(v4, "ok"), result(v6, "local")}, verified: true, auth: settings.Mechanisms{"PLAIN", "LOGIN"}},
		{name: "another is unsafe", addresses: []settings.AddressResult{result(v4, "ok"), result(v6, "certificate_name")}, kind: "certificate_name"},
		{name: "unsafe beats what got further", addresses: []settings.AddressResult{result(v4, "no_auth"), result(v6, "no_starttls")}, kind: "no_starttls"},
		{name: "further beats earlier", addresses: []settings.AddressResult{result(v4, "refused"), result(v6, "local"), result(other, "temporary")}, kind: "temporary"},
		{name: "only no route", addresses: []settings.AddressResult{result(v6, "local")}, kind: "local"},
		{name: "local and public", addresses: []settings.AddressResult{result(v4, "ok-local"), result(v6, "ok")}, verified: true, auth: settings.Mechanisms{"PLAIN", "LOGIN"}},
		{name: "local only", addresses: []settings.AddressResult{result(v4, "ok-local"), result(v6, "ok-local")}, verified: true, local: true, auth: settings.Mechanisms{"PLAIN", "LOGIN"}},
		{name: "what both offer", addresses: []settings.AddressResult{result(v4, "ok", "PLAIN", "CRAM-MD5"), result(v6, "ok", "PLAIN")}, verified: true, auth: settings.Mechanisms{"PLAIN"}},
		{name: "nothing that both offer", addresses: []settings.AddressResult{result(v4, "ok", "PLAIN"), result(v6, "ok", "LOGIN")}, verified: true, warnings: []settings.WarningKind{"addresses_differ", "addresses_differ"}, auth: settings.Mechanisms{"PLAIN"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			o := settings.Observation{Addresses: tt.addresses}
			v := o.Verdict()
			if v.Verified != tt.verified || v.Local != tt.local {
				t.Errorf("verified %v, local %v, want %v, %v", v.Verified, v.Local, tt.verified, tt.local)
			}
			var kind settings.FailureKind
			if v.Failure != nil {
				kind = v.Failure.Kind
			}
			var warnings []settings.WarningKind
			for _, w := range v.Warnings {
				warnings = append(warnings, w.Kind)
			}
			if kind != tt.kind || !slices.Equal(warnings, tt.warnings) || !slices.Equal(v.Auth, tt.auth) {
				t.Errorf("got %q %q %q, want %q %q %q", kind, warnings, v.Auth, tt.kind, tt.warnings, tt.auth)
			}
			slices.Reverse(o.Addresses)
			if diff := cmp.Diff(v, o.Verdict()); diff != "" {
				t.Errorf("the order of addresses matters\n%s", diff)
			}
		})
	}
}

func TestFailuresAreClosedAndDistinct(t *testing.T) {
	t.Parallel()
	seen := map[settings.FailureKind]bool{}
	for _, f := range settings.Failures() {
		if seen[f.Kind] || f.Meaning == "" || f.Remedy == "" {
			t.Errorf("%q: twice, or without a meaning or remedy", f.Kind)
		}
		seen[f.Kind] = true
	}
	// The set that users were promised.
	for _, k := range []settings.FailureKind{
		"dns", "refused", "timeout", "unreachable", "reset", "greeting", "protocol", "too_long", "no_starttls", "starttls_injection",
		"plaintext_on_tls_port", "tls_on_plaintext_port", "tls", "client_certificate", "certificate_name", "certificate_expired",
		"certificate_not_yet_valid", "certificate_chain_incomplete", "certificate_untrusted", "no_auth", "oauth_only", "temporary", "local",
		"login_rejected", "login_refused", "insecure_redirect", "well_known",
	} {
		if !seen[k] {
			t.Errorf("%s is missing", k)
		}
		delete(seen, k)
	}
	if len(seen) > 0 {
		t.Errorf("unpromised: %v", seen)
	}
}

// The context path counts where all addresses that passed agree on it.
func TestVerdictPath(t *testing.T) {
	t.Parallel()
	refused := &settings.Failure{Kind: settings.FailureRefused}
	at := func(last byte, path string, f *settings.Failure) settings.AddressResult {
		return settings.AddressResult{IP: netip.AddrFrom4([4]byte{192, 0, 2, last}), Auth: settings.Mechanisms{"BASIC"}, Path: path, Failure: f}
	}
	for name, tt := range map[string]struct {
		want      string
		addresses []settings.AddressResult
	}{
		"one":          {"/dav/", []settings.AddressResult{at(1, "/dav/", nil)}},
		"agreed":       {"/dav/", []settings.AddressResult{at(1, "/dav/", nil), at(2, "/dav/", nil)}},
		"not agreed":   {"", []settings.AddressResult{at(1, "/dav/", nil), at(2, "/", nil), at(3, "/dav/", nil)}},
		"one has none": {"", []settings.AddressResult{at(1, "", nil), at(2, "/dav/", nil)}},
		"one fails":    {"/dav/", []settings.AddressResult{at(1, "", refused), at(2, "/dav/", nil)}},
	} {
		if got := (settings.Observation{Addresses: tt.addresses}).Verdict(); !got.Verified || got.Path != tt.want || got.Auth.Password() != settings.PasswordCleartext {
			t.Errorf("%s: got %+v, want %q", name, got, tt.want)
		}
	}
}

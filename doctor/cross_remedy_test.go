package doctor_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailconfd/doctor"
)

// TestRemedies reads what the corpus leaves out: the line to change, whom it affects and
// how many people that is.
func TestRemedies(t *testing.T) {
	t.Parallel()
	all := []string{
		"Thunderbird", "Outlook (classic)", "Thunderbird for Android", "Delta Chat", "Evolution", "KMail", "FairEmail",
		"GNOME Online Accounts", "Geary", "Nextcloud Mail", "Mailspring", "SnappyMail", "Horde", "aerc", "Himalaya",
	}
	for _, tt := range []struct {
		file     string
		kind     doctor.Kind
		remedy   string   // a part of it
		affected []string // nil: not looked at
		people   string
	}{
		{"a1.1-autoconfig-over-http", doctor.KindHTTPAutoconfig, "answer 302 with Location: https://autoconfig.example.test/mail/config-v1.1.xml", []string{"SnappyMail"}, "few"},
		{"a1.1-http-only", doctor.KindHTTPAutoconfig, "get a certificate for autoconfig.example.test, and redirect", nil, "many"},
		{"a3.1-plaintext", doctor.KindPlaintextOffered, "write <socketType>STARTTLS</socketType> for mail.example.test port 143", nil, "many"},
		{"a3.2-no-submissions", doctor.KindNoImplicitTLS, "_submissions._tcp.example.test. SRV 0 1 465 mail.example.test.", []string{"FairEmail", "Horde", "aerc", "Himalaya"}, "some"},
		{"a3.2-submission-465", doctor.KindSubmission465, "_submissions._tcp.example.test. SRV 0 1 465 mail.example.test.", []string{"aerc"}, "few"},
		{"a4.1-sockettype-tls", doctor.KindMeaningless, "write <socketType>SSL</socketType> for mail.example.test port 993", nil, "many"},
		{"a4.1-encryption-starttls", doctor.KindMeaningless, "write <SSL>on</SSL><Encryption>TLS</Encryption> for mail.example.test port 587", nil, "many"},
		{"a10.1-contradiction", doctor.KindContradiction, "in https://autodiscover.example.test/autodiscover/autodiscover.xml, write <SSL>on</SSL><Encryption>SSL</Encryption>", []string{"Outlook (classic)"}, "many"},
		{"pair-ssl-off", doctor.KindPairOff, "write <SSL>on</SSL><Encryption>TLS</Encryption>", []string{"Thunderbird", "Delta Chat", "SnappyMail"}, "many"},
		{"pair-encryption-without-ssl", doctor.KindPair, "write <SSL>on</SSL><Encryption>SSL</Encryption>", []string{"SnappyMail"}, "few"},
		{"port-closed", doctor.KindNotReached, "", slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == "Horde" }), "many"},
		{"other-tls", doctor.KindOtherTLS, "in https://autoconfig.example.test/mail/config-v1.1.xml, write <socketType>STARTTLS</socketType> for mail.example.test port 587", nil, "many"},
		{"shape-mox", doctor.KindOtherTLS, "write <SSL>on</SSL><Encryption>TLS</Encryption> for mail.example.test port 587", []string{"Outlook (classic)"}, "many"},
		{"pacc-digest", doctor.KindPACC, `_ua-auto-config.example.test. TXT "v=UAAC1; a=sha256; d=`, []string{"Himalaya"}, "few"},
		{"srv-target-alias", doctor.KindTargetAlias, "let them lead to box7.example.test", nil, "some"},
		{"autodiscover-srv", doctor.KindAutodiscoverSRV, "_autodiscover._tcp.example.test. SRV 0 1 443 config.example.test.", nil, "many"},
		{"alias-leads-nowhere", doctor.KindDangling, "remove autodiscover.example.test. CNAME autodiscover.gone.test.", nil, "many"},
		{"web-certificate", doctor.KindWebCertificate, "get a certificate for autodiscover.example.test", nil, "many"},
		{"outlook-login", doctor.KindOutlookLogin, "add <SPA>off</SPA>", []string{"Outlook (classic)"}, "many"},
		{"username-composite", doctor.KindUsername, "write <username>%EMAILADDRESS%</username>", nil, "some"},
		{"username-literal", doctor.KindUsername, "write <username>%EMAILADDRESS%</username>, which means the same", nil, "some"},
		{"no-such-domain", doctor.KindNoSuchDomain, "check how it is spelled", nil, "many"},
		{"healthy-localpart", doctor.KindUsername, "tell users of these clients what to type", []string{"Geary", "aerc", "Himalaya"}, "some"},
		{"nothing", doctor.KindNothingFound, "https://autoconfig.example.test/mail/config-v1.1.xml", all, "many"},
	} {
		t.Run(tt.file, func(t *testing.T) {
			t.Parallel()
			r := examine(t, loadWorld(t, "testdata/"+tt.file+".txtar"), "jane@example.test")
			i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.Kind == tt.kind })
			if i < 0 {
				t.Fatalf("no %s in\n%s", tt.kind, findingLines(r))
			}
			f := r.Findings[i]
			if !strings.Contains(f.Remedy, tt.remedy) || f.People != tt.people {
				t.Errorf("remedy %q, people %q; want %q, %q (affected %q)", f.Remedy, f.People, tt.remedy, tt.people, f.Affected)
			}
			if tt.affected != nil {
				if diff := cmp.Diff(tt.affected, f.Affected); diff != "" {
					t.Errorf("affected (-want +got)\n%s", diff)
				}
			}
		})
	}
}

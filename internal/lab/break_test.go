package lab_test

import (
	"strings"
	"testing"

	"mailconfd/internal/lab"
	"mailconfd/settings"
)

func TestParseBreak(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words, service string
		fault          lab.Fault
	}{
		{"submission=refused", "submission://mail.example.test:587", lab.Fault{Kind: settings.FailureRefused}},
		{"submission:2525=refused", "submission://mail.example.test:2525", lab.Fault{Kind: settings.FailureRefused}},
		{"submission:587=refused", "submission://mail.example.test:587", lab.Fault{Kind: settings.FailureRefused}},
		{" IMAPS = certificate_expired ", "imaps://mail.example.test:993", lab.Fault{Kind: settings.FailureCertificateExpired}},
		{"imaps://mail.example.test:993=reset", "imaps://mail.example.test:993", lab.Fault{Kind: settings.FailureReset}},
		{"sieve=temporary/starttls", "sieve://mail.example.test:4190", lab.Fault{Kind: settings.FailureTemporary, Variant: lab.VariantSTARTTLS}},
	} {
		s, fault, err := lab.ParseBreak(c.words)
		if err != nil || s.String() != c.service || fault != c.fault {
			t.Errorf("%q: got %s, %v and %v", c.words, s, fault, err)
		}
	}
}

func TestParseBreakSaysWhatWasExpected(t *testing.T) {
	t.Parallel()
	const services = "; there are submission, submission:2525, submissions, imaps, imap, pop3s, pop3, sieve"
	for words, want := range map[string]string{
		"":                           `break "": want SERVICE=FAULT, such as submission:2525=refused`,
		"submission":                 `break "submission": want SERVICE=FAULT, such as submission:2525=refused`,
		"submision=refused":          `break "submision=refused": no service "submision"` + services,
		"smtp=refused":               `break "smtp=refused": no service "smtp"` + services,
		"imap:144=refused":           `break "imap:144=refused": no service "imap:144"` + services,
		"=":                          `break "=": no service ""` + services,
		"imaps=refusd":               `break "imaps=refusd": no fault "refusd"; possible are unreachable, `,
		"imaps=":                     `break "imaps=": no fault ""; possible are `,
		"imaps=certificate_expire":   `break "imaps=certificate_expire": no fault "certificate_expire"; `,
		"imaps=timeout/conect":       `break "imaps=timeout/conect": no fault "timeout/conect"; `,
		"imaps=no_starttls":          `break "imaps=no_starttls": no_starttls makes no sense there; possible are unreachable, `,
		"imap=plaintext_on_tls_port": `break "imap=plaintext_on_tls_port": plaintext_on_tls_port makes no sense there; possible are `,
		"imap=dns":                   `break "imap=dns": no server can show dns; possible are `,
		"imap=local":                 `break "imap=local": no server can show local; possible are `,
	} {
		if _, _, err := lab.ParseBreak(words); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}

func FuzzParseBreak(f *testing.F) {
	f.Add("submission:2525=refused")
	f.Add("imaps=timeout/silent")
	f.Add("=/=")
	f.Fuzz(func(t *testing.T, words string) {
		s, fault, err := lab.ParseBreak(words)
		if err != nil {
			return
		}
		again, sameFault, err := lab.ParseBreak(s.String() + "=" + fault.String())
		if err != nil || again != s || sameFault != fault || fault.Does() == "" {
			t.Errorf("%q reads as %s and %s, those as %s, %s and %v", words, s, fault, again, sameFault, err)
		}
	})
}

package autodiscover_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailconfd/autodiscover"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	imaps = "imaps://imap.example.com"
	imap  = "imap://imap.example.com"
	pop3s = "pop3s://pop.example.com"
	pop3  = "pop3://pop.example.com"
	smtp  = "submission://smtp.example.com"
	smtps = "submissions://smtp.example.com"
	alt   = "submission://smtp.example.com:2525"
)

var (
	jane  = settings.Address{Local: "jane", Domain: "example.com"}
	usual = settingstest.Verified(imaps, imap, smtp, alt, smtps)
)

func localPart() settings.Verified {
	p := settingstest.Provider(imaps, smtp)
	p.Username = settings.UsernameLocalPart
	return settingstest.Verify(p)
}

// cases have one golden file each. The files were written by hand from the format.
var cases = []struct {
	name     string
	verified settings.Verified
	address  settings.Address
}{
	{"usual", usual, jane},
	{"only-465", settingstest.Verified(imaps, smtps), jane},
	{"imap-143", settingstest.Verified(imap, smtp), jane},
	{"pop3-only", settingstest.Verified(pop3s, pop3, smtp), jane},
	{"imap-and-pop3", settingstest.Verified(pop3, imaps, smtp), jane},
	{"odd-ports", settingstest.Verified(imaps, pop3s+":10995", smtps+":10465"), jane},
	{"next-sayable", settingstest.VerifyOnly(settingstest.Provider(alt, smtp, smtps, imaps), settingstest.Services(alt, smtps, imaps)...), jane},
	{"localpart", localPart(), jane},
	{"localpart-like-a-number", localPart(), settings.Address{Local: "00123", Domain: "example.com"}},
	{"domain-only", usual, settings.Address{Domain: "example.com"}},
	{"address-to-escape", usual, settings.Address{Local: "o'neil&söhne", Domain: "example.com"}},
	{"address-quoted", usual, settings.Address{Local: `"a <b>"`, Domain: "example.com"}},
	{
		"punycode", settingstest.Verified("imaps://imap.bücher.example", "submission://smtp.bücher.example"),
		settings.Address{Local: "jane", Domain: "xn--bcher-kva.example"},
	},
	{"trusted", settingstest.VerifyOnly(settings.Provider{
		Name: "main", Username: settings.UsernameAddress,
		Trusted: []settings.Trust{
			{Service: settingstest.Service(imaps), Reason: "behind a firewall"},
			{Service: settingstest.Service(smtp), Reason: "behind a firewall"},
		},
	}), jane},
}

func compile(t testing.TB, v settings.Verified) autodiscover.Document {
	t.Helper()
	d, err := autodiscover.Compile(v)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func checkGolden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name+".golden")
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			checkGolden(t, c.name, compile(t, c.verified).Append(nil, c.address))
		})
	}
}

func TestErrorGolden(t *testing.T) {
	t.Parallel()
	checkGolden(t, "error-600", autodiscover.AppendError(nil, autodiscover.InvalidRequest))
	checkGolden(t, "error-601", autodiscover.AppendError(nil, autodiscover.NoProvider))
}

func TestAppendExtends(t *testing.T) {
	t.Parallel()
	before := []byte("before")
	d := compile(t, usual)
	if got, want := d.Append(before, jane), append(bytes.Clone(before), d.Append(nil, jane)...); !bytes.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := autodiscover.AppendError(before, autodiscover.NoProvider); !bytes.HasPrefix(got, []byte("before<?xml")) {
		t.Errorf("got %q", got)
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	d := compile(t, settingstest.VerifyOnly(
		settingstest.Provider(smtps, alt, smtp, pop3s, imap, imaps, "sieve://imap.example.com"),
		settingstest.Services(alt, smtps, pop3s, imap)...))
	want := settingstest.Services(imap, pop3s, smtps)
	if diff := cmp.Diff(want, d.Services()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	d.Services()[0] = settings.Service{}
	if diff := cmp.Diff(want, d.Services()); diff != "" {
		t.Errorf("a caller changed the document: -want +got:\n%s", diff)
	}
}

func TestUnsayable(t *testing.T) {
	t.Parallel()
	const guess = " only: on others Thunderbird, FairEmail or SnappyMail guess implicit TLS"
	for name, c := range map[string]struct {
		verified settings.Verified
		needs    string
		why      []string
	}{
		"nothing":       {settings.Verified{}, "an incoming service", nil},
		"no submission": {settingstest.Verified(imaps), "an outgoing service", nil},
		"only 2525": {
			settingstest.Verified(imaps, alt), "an outgoing service",
			[]string{alt + ": STARTTLS can be said on port 587" + guess},
		},
		"STARTTLS on odd ports": {
			settingstest.Verified(imap+":1143", pop3+":1110", smtp), "an incoming service",
			[]string{imap + ":1143: STARTTLS can be said on port 143" + guess, pop3 + ":1110: STARTTLS can be said on port 110" + guess},
		},
		"relay": {
			settingstest.Verified(imaps, smtp+":25"), "an outgoing service",
			[]string{smtp + ":25: STARTTLS can be said on port 587" + guess},
		},
		"implicit TLS on ports of STARTTLS": {
			settingstest.Verified(imaps, smtps+":587", smtps+":25"), "an outgoing service",
			[]string{smtps + ":587: Thunderbird takes port 587 for STARTTLS", smtps + ":25: Thunderbird takes port 25 for STARTTLS"},
		},
		"implicit TLS on odd IMAP port": {
			settingstest.Verified(imaps+":10993", smtp), "an incoming service",
			[]string{imaps + ":10993: SnappyMail takes every IMAP port but 993 for STARTTLS"},
		},
		"challenge and response": {
			offering("CRAM-MD5", "SCRAM-SHA-256"), "an incoming service",
			[]string{imaps + ":993: Autodiscover has no word for a login by challenge and response: its SPA means NTLM"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := autodiscover.Compile(c.verified)
			var u *settings.Unsayable
			if !errors.As(err, &u) {
				t.Fatalf("got error %v, want a *settings.Unsayable", err)
			}
			want := settings.Unsayable{Format: "autodiscover", Needs: c.needs, Why: c.why}
			if diff := cmp.Diff(want, *u); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func offering(mechanisms ...string) settings.Verified {
	p := settingstest.Provider(imaps, smtp)
	histories := map[settings.Service]settings.Views{}
	for _, s := range p.Services {
		histories[s] = settings.Views{settings.Fold(settingstest.Seen(s, settingstest.Now, mechanisms...))}
	}
	return settings.Verify(p, histories, settingstest.Now, settings.DefaultPolicy()).Verified
}

func TestAppendAllocatesNothing(t *testing.T) {
	whole, local := compile(t, usual), compile(t, localPart())
	long := settings.Address{Local: strings.Repeat("&", 64), Domain: "example.com"}
	dst := make([]byte, 0, 8192)
	for name, call := range map[string]func(){
		"address":     func() { whole.Append(dst, jane) },
		"long":        func() { whole.Append(dst, long) },
		"domain":      func() { whole.Append(dst, settings.Address{Domain: "example.com"}) },
		"local part":  func() { local.Append(dst, jane) },
		"error":       func() { autodiscover.AppendError(dst, autodiscover.InvalidRequest) },
		"error (601)": func() { autodiscover.AppendError(dst, autodiscover.NoProvider) },
	} {
		if n := testing.AllocsPerRun(100, call); n != 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	d := compile(b, usual)
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = d.Append(dst[:0], jane)
	}
}

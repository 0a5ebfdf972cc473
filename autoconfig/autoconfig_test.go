package autoconfig_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailconfd/autoconfig"
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

// with changes a usual provider.
func with(change func(*settings.Provider)) settings.Verified {
	p := settingstest.Provider(smtp, imaps)
	change(&p)
	return settingstest.Verify(p)
}

// offering verifies a usual provider whose servers offer these mechanisms.
func offering(mechanisms ...string) settings.Verified {
	p := settingstest.Provider(smtp, imaps)
	histories := map[settings.Service]settings.Views{}
	for _, s := range p.Services {
		histories[s] = settings.Views{settings.Fold(settingstest.Seen(s, settingstest.Now, mechanisms...))}
	}
	return settings.Verify(p, histories, settingstest.Now, settings.DefaultPolicy()).Verified
}

// cases have one golden file each. The files were written by hand from the format.
var cases = []struct {
	name     string
	verified settings.Verified
	address  settings.Address
}{
	{"usual", settingstest.Verified(imaps, imap, smtp, alt, smtps), jane},
	{"only-465", settingstest.Verified(imaps, smtps), jane},
	{"only-2525", settingstest.Verified(imaps, alt), jane},
	{"imap-143", settingstest.Verified(imap, smtp), jane},
	{"pop3-only", settingstest.Verified(pop3s, pop3, smtp), jane},
	{"imap-and-pop3", settingstest.Verified(pop3, imaps, smtp), jane},
	{"odd-ports", settingstest.Verified(imaps+":10993", pop3+":10110", smtps+":10465"), jane},
	{"localpart", with(func(p *settings.Provider) { p.Username = settings.UsernameLocalPart }), jane},
	{"domain-only", settingstest.Verified(imaps, smtp), settings.Address{Domain: "example.com"}},
	{"names", with(func(p *settings.Provider) {
		p.DisplayName, p.ShortName = `Müller & <Söhne> "Mail" 'n Co`, `M&S "ü"`
	}), jane},
	{"name-like-a-gap", with(func(p *settings.Provider) {
		p.DisplayName, p.ShortName = `Mail {domain} $1 %[1]s %!s(MISSING) {{.Domain}}`, `example.org %s`
	}), jane},
	{
		"punycode", settingstest.Verify(settings.Provider{
			Name: "main", Username: settings.UsernameAddress,
			Services: settingstest.Services("imaps://imap.bücher.example", "submission://smtp.bücher.example"),
		}),
		settings.Address{Local: "jane", Domain: "xn--bcher-kva.example"},
	},
	{"trusted", settingstest.VerifyOnly(settings.Provider{
		Name: "main", DisplayName: "Example", ShortName: "Example", Username: settings.UsernameAddress,
		Trusted: []settings.Trust{
			{Service: settingstest.Service(imaps), Reason: "behind a firewall"},
			{Service: settingstest.Service(smtp), Reason: "behind a firewall"},
		},
	}), jane},
	{"encrypted-only", offering("CRAM-MD5"), jane},
}

var jane = settings.Address{Local: "jane", Domain: "example.com"}

func compile(t testing.TB, v settings.Verified) autoconfig.Document {
	t.Helper()
	d, err := autoconfig.Compile(v)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := compile(t, c.verified).Append(nil, c.address)
			path := filepath.Join("testdata", c.name+".golden")
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
		})
	}
}

func TestAppendExtends(t *testing.T) {
	t.Parallel()
	d := compile(t, settingstest.Verified(imaps, smtp))
	want := append([]byte("before"), d.Append(nil, jane)...)
	if got := d.Append([]byte("before"), jane); !bytes.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// The address never shows, whatever it is: the placeholders stay.
func TestAppendKeepsTheAddressOut(t *testing.T) {
	t.Parallel()
	d := compile(t, settingstest.Verified(imaps, smtp))
	want := d.Append(nil, settings.Address{Domain: "example.com"})
	for _, local := range []string{"EVOLUTIONUSER", "jane", `"<&>"`, "%EMAILADDRESS%"} {
		got := d.Append(nil, settings.Address{Local: local, Domain: "example.com"})
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", local, diff)
		}
	}
}

func TestServices(t *testing.T) {
	t.Parallel()
	d := compile(t, settingstest.Verified(smtps, alt, smtp, pop3s, imap, imaps, "sieve://imap.example.com"))
	want := settingstest.Services(imaps, pop3s, smtp)
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
	for name, c := range map[string]struct {
		verified settings.Verified
		needs    string
	}{
		"nothing":       {settings.Verified{}, "an incoming service"},
		"no incoming":   {settingstest.Verified(smtp, "sieve://imap.example.com"), "an incoming service"},
		"no submission": {settingstest.Verified(imaps, pop3s), "an outgoing service"},
		"none seen":     {settingstest.VerifyOnly(settingstest.Provider(imaps, smtp)), "an incoming service"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := autoconfig.Compile(c.verified)
			var u *settings.Unsayable
			if !errors.As(err, &u) {
				t.Fatalf("got error %v, want a *settings.Unsayable", err)
			}
			want := settings.Unsayable{Format: "autoconfig", Needs: c.needs}
			if diff := cmp.Diff(want, *u); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestAppendAllocatesNothing(t *testing.T) {
	declared := compile(t, settingstest.Verified(imaps, pop3s, smtp))
	undeclared := compile(t, with(func(p *settings.Provider) { p.DisplayName, p.ShortName = "", "" }))
	long := settings.Address{Local: "jane", Domain: "a-name-far-longer-than-the-short-name-may-be.and-than-the-display-name.example.com"}
	dst := make([]byte, 0, 4096)
	for name, d := range map[string]autoconfig.Document{"declared": declared, "undeclared": undeclared} {
		if n := testing.AllocsPerRun(100, func() { d.Append(dst, long) }); n != 0 {
			t.Errorf("%s names: %v allocations, want none", name, n)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	d := compile(b, settingstest.Verified(imaps, smtp))
	dst := make([]byte, 0, 4096)
	b.ReportAllocs()
	for b.Loop() {
		dst = d.Append(dst[:0], jane)
	}
}

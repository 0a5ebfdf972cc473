package settings_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

func TestParseService(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"submission://smtp.example.org":        "submission://smtp.example.org:587",
		"submission://smtp.example.org:2525":   "submission://smtp.example.org:2525",
		"submissions://smtp.example.org":       "submissions://smtp.example.org:465",
		"IMAPS://Imap.Example.ORG.":            "imaps://imap.example.org:993",
		"imap://imap.example.org/":             "imap://imap.example.org:143",
		"pop3://pop.example.org":               "pop3://pop.example.org:110",
		"pop3s://pop.example.org":              "pop3s://pop.example.org:995",
		" sieve://imap.example.org ":           "sieve://imap.example.org:4190",
		"imaps://bücher.example":               "imaps://xn--bcher-kva.example:993",
		"imaps://192.0.2.1":                    "imaps://192.0.2.1:993",
		"imaps://[2001:DB8::1]:1993":           "imaps://[2001:db8::1]:1993",
		"submission://smtp.example.org:25":     "submission://smtp.example.org:25",
		"jmap://mail.example.org":              "jmap://mail.example.org:443",
		"CalDAVs://dav.example.org:8443/":      "caldavs://dav.example.org:8443",
		"carddavs://dav.example.org":           "carddavs://dav.example.org:443",
		"imaps://imap_internal.example.org":    "",
		"imaps://imap.example.org:0":           "",
		"imaps://imap.example.org:65536":       "",
		"imaps://imap.example.org:":            "",
		"imaps://imap.example.org:http":        "",
		"imaps://":                             "",
		"imaps:imap.example.org":               "",
		"imap.example.org":                     "",
		"imap.example.org:993":                 "",
		"imaps://jane@imap.example.org":        "",
		"imaps://imap.example.org/INBOX":       "",
		"imaps://imap.example.org?x=y":         "",
		"imaps://a..b":                         "",
		"imaps://.example.org":                 "",
		"imaps://fe80::1%25eth0":               "",
		"":                                     "",
		"imaps://" + strings.Repeat("a", 64):   "",
		"imaps://ex ample.org":                 "",
		"imaps://ex\x00ample.org":              "",
		"imaps://%zz":                          "",
		"imaps://xn--zzzzzz-.example":          "",
		"imaps://-imap.example.org":            "",
		"imaps://imap.example.org:993#mailbox": "",
	} {
		got, err := settings.ParseService(text)
		switch {
		case want == "" && err == nil:
			t.Errorf("%q: got %s, want an error", text, got)
		case want != "" && (err != nil || got.String() != want):
			t.Errorf("%q: got %s, %v, want %s", text, got, err, want)
		}
	}
}

func TestParseServiceSaysWhatWasMeant(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"smtp://smtp.example.org":        `service "smtp://smtp.example.org": unknown scheme "smtp": submission (STARTTLS, 587) or submissions (implicit TLS, 465) was expected`,
		"smtps://smtp.example.org":       `service "smtps://smtp.example.org": unknown scheme "smtps": submissions (implicit TLS, 465) was expected`,
		"managesieve://imap.example.org": `service "managesieve://imap.example.org": unknown scheme "managesieve": sieve (STARTTLS, 4190) was expected`,
		"http://imap.example.org":        `service "http://imap.example.org": unknown scheme "http": one of submission, submissions, imaps, imap, pop3s, pop3, sieve, jmap, caldavs, carddavs was expected`,
		"https://dav.example.org":        `service "https://dav.example.org": unknown scheme "https": jmap, caldavs or carddavs (over HTTPS, 443) was expected`,
		"caldav://dav.example.org":       `service "caldav://dav.example.org": unknown scheme "caldav": caldavs (over HTTPS, 443) was expected`,
		"caldavs://dav.example.org/dav/": `service "caldavs://dav.example.org/dav/": want no path: where the service is, is asked at https://dav.example.org/.well-known/caldav, which has to lead there`,
		"imap.example.org":               `service "imap.example.org": want SCHEME://HOST[:PORT], such as imaps://imap.example.org`,
	} {
		_, err := settings.ParseService(text)
		if diff := cmp.Diff(want, err.Error()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", text, diff)
		}
	}
}

func FuzzParseService(f *testing.F) {
	for _, s := range []string{"imaps://imap.example.org:993", "submission://[::1]:587", "pop3://bücher.example", "sieve:", "://", "imap://a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := settings.ParseService(text)
		if err != nil {
			return
		}
		again, err := settings.ParseService(s.String())
		if err != nil || again != s {
			t.Errorf("%q became %s, which became %s, %v", text, s, again, err)
		}
	})
}

func TestCandidates(t *testing.T) {
	t.Parallel()
	var got []string
	for _, s := range settings.Candidates("mail.example.org") {
		got = append(got, s.String()+" "+string(s.Role())+" "+string(s.Security()))
	}
	want := []string{
		"submission://mail.example.org:587 submission STARTTLS",
		"submission://mail.example.org:2525 submission STARTTLS",
		"submissions://mail.example.org:465 submission implicit TLS",
		"imaps://mail.example.org:993 imap implicit TLS",
		"imap://mail.example.org:143 imap STARTTLS",
		"pop3s://mail.example.org:995 pop3 implicit TLS",
		"pop3://mail.example.org:110 pop3 STARTTLS",
		"sieve://mail.example.org:4190 sieve STARTTLS",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("candidates (-want +got)\n%s", diff)
	}
}

func TestProviderCheck(t *testing.T) {
	t.Parallel()
	good := settingstest.Provider(s587, s993)
	for _, tt := range []struct {
		name   string
		change func(*settings.Provider)
		want   string // KEY: part of the text
	}{
		{"good", func(*settings.Provider) {}, ""},
		{"port 25 written out", func(p *settings.Provider) {
			p.Services = settingstest.Services("submission://smtp.example.org:25", s993)
		}, ""},
		{"umlauts and markup", func(p *settings.Provider) { p.DisplayName, p.ShortName = `Müller & "Söhne" <AG>`, "Müller" }, ""},
		{"no name", func(p *settings.Provider) { p.Name = "" }, "name: a provider needs a name"},
		{"long name", func(p *settings.Provider) { p.DisplayName = strings.Repeat("ü", 61) }, "display_name: \"üü"},
		{"long short name", func(p *settings.Provider) { p.ShortName = "twenty-one characters" }, "short_name: \"twenty-one characters\" has 21 characters; 20 fit"},
		{"control character", func(p *settings.Provider) { p.DisplayName = "a\x07b" }, "display_name"},
		{"line separator", func(p *settings.Provider) { p.DisplayName = "a\u2028b" }, "display_name"},
		{"not a character", func(p *settings.Provider) { p.DisplayName = "a\ufffe" }, "display_name"},
		{"not UTF-8", func(p *settings.Provider) { p.DisplayName = "a\xff" }, "display_name"},
		{"space at the end", func(p *settings.Provider) { p.DisplayName = "a " }, "display_name"},
		{"placeholder", func(p *settings.Provider) { p.DisplayName = "Mail of %EMAILDOMAIN%" }, "display_name"},
		{"no services", func(p *settings.Provider) { p.Services = nil }, "hosts: a provider needs hosts"},
		{"an address as host", func(p *settings.Provider) { p.Services = settingstest.Services("imaps://192.0.2.1") }, "services: imaps://192.0.2.1:993: clients check the certificate"},
		{"one label", func(p *settings.Provider) { p.Services = settingstest.Services("imaps://mailhost") }, "services"},
		{"username", func(p *settings.Provider) { p.Username = "00123" }, "username: \"00123\": want address"},
		{"trusted without a reason", func(p *settings.Provider) {
			p.Trusted = []settings.Trust{{Service: settingstest.Service(s465)}}
		}, "trusted: " + s465},
		{"not offered", func(p *settings.Provider) { p.NotOffered = []settings.Role{"smtp"} }, "not_offered: \"smtp\": want pop3 or imap"},
		{"not offered and trusted", func(p *settings.Provider) {
			p.NotOffered = []settings.Role{settings.RoleIMAP}
			p.Trusted = []settings.Trust{{Service: settingstest.Service(s993), Reason: "because"}}
		}, "not_offered: imap"},
	} {
		p := good
		tt.change(&p)
		problems := p.Check()
		switch {
		case tt.want == "" && len(problems) > 0:
			t.Errorf("%s: %v", tt.name, problems)
		case tt.want != "" && len(problems) != 1:
			t.Errorf("%s: %d problems, want one: %v", tt.name, len(problems), problems)
		case tt.want != "" && !strings.HasPrefix(problems[0].Key+": "+problems[0].Text, tt.want):
			t.Errorf("%s: %s: %s, want %s", tt.name, problems[0].Key, problems[0].Text, tt.want)
		}
	}
}

func TestProviderNames(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ display, short, domain, wantDisplay, wantShort string }{
		{"", "", "example.org", "example.org", "example.org"},
		{"Example Mail", "", "example.org", "Example Mail", "Example Mail"},
		{"Example Mail", "Example", "example.org", "Example Mail", "Example"},
		{"The Example Mail Society", "", "example.org", "The Example Mail Society", "The Example Mail Soc"},
		{"Mailbox Services for All", "", "example.org", "Mailbox Services for All", "Mailbox Services for"},
		{"", "", strings.Repeat("a", 60) + ".example", strings.Repeat("a", 60), strings.Repeat("a", 20)},
		{"", "Example", "example.org", "example.org", "Example"},
	} {
		display, short := settings.Provider{DisplayName: tt.display, ShortName: tt.short}.Names(tt.domain)
		if display != tt.wantDisplay || short != tt.wantShort {
			t.Errorf("%q %q: got %q %q, want %q %q", tt.display, tt.short, display, short, tt.wantDisplay, tt.wantShort)
		}
	}
}

func TestPolicyCheck(t *testing.T) {
	t.Parallel()
	if problems := settings.DefaultPolicy().Check(); problems != nil {
		t.Errorf("the default policy: %v", problems)
	}
	for key, change := range map[string]func(*settings.Policy){
		"submission_order":    func(p *settings.Policy) { p.SubmissionOrder = []uint16{587, 25} },
		"max_age":             func(p *settings.Policy) { p.MaxAge = 0 },
		"withdraw_after":      func(p *settings.Policy) { p.WithdrawAfter = 0 },
		"withdraw_after_time": func(p *settings.Policy) { p.WithdrawAfterTime = -1 },
		"grace":               func(p *settings.Policy) { p.Grace = p.MaxAge - 1 },
	} {
		p := settings.DefaultPolicy()
		change(&p)
		if problems := p.Check(); len(problems) != 1 || problems[0].Key != key {
			t.Errorf("%s: %v", key, problems)
		}
	}
}

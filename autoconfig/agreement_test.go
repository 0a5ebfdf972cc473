package autoconfig_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"mailconfd/autoconfig"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// checkClients holds that every client sets up what is published first, and nothing else.
func checkClients(t interface {
	Errorf(string, ...any)
	Helper()
}, v settings.Verified, a settings.Address, doc []byte,
) {
	t.Helper()
	want := expected(v, a)
	for _, c := range clients {
		got, err := c.read(doc, a)
		if _, ok := want["imap"]; !ok && !c.pop3 {
			// Such a client finds no way in, and must not find a wrong one.
			if slices.ContainsFunc(got, func(s server) bool { return s.kind == "imap" || s.kind == "pop3" }) {
				t.Errorf("%s: got %v from a document without IMAP", c.name, got)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v\n%s", c.name, err, doc)
			continue
		}
		kinds := map[string]bool{}
		for _, s := range got {
			kinds[s.kind] = true
			w := want[s.kind]
			if s.user == "" { // not read
				w.user = ""
			}
			if s != w {
				t.Errorf("%s: got %v, want %v\n%s", c.name, s, w, doc)
			}
		}
		if !kinds["smtp"] || !kinds["imap"] && !kinds["pop3"] || want["imap"] != (server{}) && !kinds["imap"] {
			t.Errorf("%s: found only %v\n%s", c.name, got, doc)
		}
	}
}

// expected says what is published first for each kind, in the words of the format.
func expected(v settings.Verified, a settings.Address) map[string]server {
	want := map[string]server{}
	for role, kind := range map[settings.Role]string{settings.RoleIMAP: "imap", settings.RolePOP3: "pop3", settings.RoleSubmission: "smtp"} {
		for _, p := range v.Services(role)[:min(1, len(v.Services(role)))] {
			socket := map[settings.Security]string{settings.STARTTLS: "STARTTLS", settings.ImplicitTLS: "SSL"}[p.Service.Security()]
			user := a.String()
			if v.Provider().Username == settings.UsernameLocalPart {
				user = a.Local
			}
			want[kind] = server{kind, p.Service.Host, strconv.Itoa(int(p.Service.Port)), socket, user}
		}
	}
	return want
}

func TestClientsAgree(t *testing.T) {
	t.Parallel()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.address.Local == "" {
				c.address.Local = "jane" // who the client's user is
			}
			checkClients(t, c.verified, c.address, compile(t, c.verified).Append(nil, c.address))
		})
	}
}

// drawVerified draws any provider that passes its check, and which of its services work.
func drawVerified(t *rapid.T) settings.Verified {
	schemes := rapid.SampledFrom(settings.Schemes())
	host := rapid.SampledFrom([]string{"mail.example.com", "imap.example.org", "xn--bcher-kva.example", "a.b.c.d.example.net", "0.1-2.example"})
	port := rapid.OneOf(rapid.SampledFrom([]uint16{0, 25, 110, 143, 465, 587, 993, 995, 2525}), rapid.Uint16Range(1, 65534))
	name := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.StringOf(rapid.SampledFrom([]rune(`<>&"'ü %s{}$日`))))
	p := settings.Provider{
		Name:        "main",
		DisplayName: name.Draw(t, "display name"),
		ShortName:   name.Draw(t, "short name"),
		Username:    rapid.SampledFrom([]settings.Username{settings.UsernameAddress, settings.UsernameLocalPart}).Draw(t, "username"),
	}
	histories := map[settings.Service]settings.Views{}
	for range rapid.IntRange(1, 10).Draw(t, "services") {
		s := settings.Service{Scheme: schemes.Draw(t, "scheme"), Host: host.Draw(t, "host"), Port: port.Draw(t, "port")}
		if s.Port == 0 {
			s.Port = s.Scheme.DefaultPort()
		}
		p.Services = append(p.Services, s)
		histories[s] = settings.Views{settings.Fold(settingstest.Failed(s, settingstest.Now, settings.FailureRefused))}
		if rapid.IntRange(0, 3).Draw(t, "works") > 0 {
			mechanism := rapid.SampledFrom([]string{"PLAIN", "LOGIN", "CRAM-MD5"}).Draw(t, "mechanism")
			histories[s] = settings.Views{settings.Fold(settingstest.Seen(s, settingstest.Now, mechanism))}
		}
	}
	if problems := p.Check(); problems != nil {
		p.DisplayName, p.ShortName = "", ""
		if problems := p.Check(); problems != nil {
			t.Fatalf("the test draws providers that cannot be: %v", problems)
		}
	}
	return settings.Verify(p, histories, settingstest.Now, settings.DefaultPolicy()).Verified
}

// drawAddress draws any address that settings.ParseAddress takes.
func drawAddress(t *rapid.T) settings.Address {
	local := rapid.OneOf(
		rapid.SampledFrom([]string{"jane", "00123", "true", `"a <b>"`, "o'neil&co", "jäne+tag", "%EMAILDOMAIN%"}),
		rapid.StringOfN(rapid.RuneFrom([]rune(`abc&<>"'%+.ü日`)), 1, 20, -1))
	domain := rapid.SampledFrom([]string{"example.com", "bücher.example", "a-rather-long-name-of-a-domain.with-labels.example.org"})
	a, err := settings.ParseAddress(local.Draw(t, "local part") + "@" + domain.Draw(t, "domain"))
	if err != nil {
		a, err = settings.ParseAddress("jane@example.com")
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// Whatever is verified and whoever asks: all clients set up the same servers, which are
// those published first, and none in clear.
func TestClientsAgreeOnAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v, a := drawVerified(t), drawAddress(t)
		d, err := autoconfig.Compile(v)
		complete := len(v.Services(settings.RoleIMAP))+len(v.Services(settings.RolePOP3)) > 0 && len(v.Services(settings.RoleSubmission)) > 0
		if complete != (err == nil) {
			t.Fatalf("complete: %v, error: %v", complete, err)
		}
		if err != nil {
			return
		}
		doc := d.Append(nil, a)
		if strings.Contains(string(doc), ">plain<") {
			t.Errorf("a service in clear:\n%s", doc)
		}
		checkClients(t, v, a, doc)
		if again, err := autoconfig.Compile(v); err != nil || string(again.Append(nil, a)) != string(doc) {
			t.Errorf("compiled again it is another document: %v", err)
		}
	})
}

// The document is well-formed for any address that is taken, and nothing of what stands
// before the @ gets into it.
func FuzzAppend(f *testing.F) {
	for _, seed := range []string{"jane@example.com", `"<b>&"@example.com`, "jäne@bücher.example", "00123@example.com"} {
		f.Add(seed)
	}
	d := compile(f, with(func(p *settings.Provider) { p.DisplayName, p.ShortName = "", "" }))
	f.Fuzz(func(t *testing.T, text string) {
		a, err := settings.ParseAddress(text)
		if err != nil {
			return
		}
		if _, err := schema(d.Append(nil, a), a); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	})
}

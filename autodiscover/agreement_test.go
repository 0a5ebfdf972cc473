package autodiscover_test

import (
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"mailconfd/autodiscover"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

type failer interface {
	Errorf(string, ...any)
	Fatalf(string, ...any)
	Helper()
}

// checkReaders holds that every client sets up the services that the document names, as
// they are.
func checkReaders(t failer, d autodiscover.Document, username settings.Username, who settings.Address, doc []byte) {
	t.Helper()
	parsed, err := parse(doc)
	if err != nil {
		t.Fatalf("%v\n%s", err, doc)
	}
	want := map[string]server{}
	for _, s := range d.Services() {
		kind := map[settings.Role]string{settings.RoleIMAP: "IMAP", settings.RolePOP3: "POP3", settings.RoleSubmission: "SMTP"}[s.Role()]
		want[kind] = server{kind, s.Host, strconv.Itoa(int(s.Port)), s.Security(), username.Login(who)}
	}
	_, imap := want["IMAP"]
	for _, r := range readers {
		kinds := map[string]bool{}
		for _, got := range r.read(parsed, who) {
			kinds[got.kind] = true
			w := want[got.kind]
			if got.user == "" || w.user == "" { // not read; not told
				got.user, w.user = "", ""
			}
			if got.security == "any" {
				got.security = w.security
			}
			if got != w {
				t.Errorf("%s: got %v, want %v\n%s", r.name, got, w, doc)
			}
		}
		if !kinds["SMTP"] || imap && !kinds["IMAP"] || !imap && r.pop3 && !kinds["POP3"] {
			t.Errorf("%s: found only %v\n%s", r.name, kinds, doc)
		}
	}
	checkAddress(t, parsed, username, who)
}

// checkAddress holds that the address is told back unchanged, and only where it is known.
func checkAddress(t failer, parsed account, username settings.Username, who settings.Address) {
	t.Helper()
	display := who.String()
	if who.Local == "" {
		display = ""
	}
	if parsed.displayName != display {
		t.Errorf("display name %q, want %q", parsed.displayName, display)
	}
	for _, p := range parsed.protocols {
		if got, want := p["LoginName"], username.Login(who); got != want {
			t.Errorf("login name %q, want %q", got, want)
		}
	}
}

func TestReadersAgree(t *testing.T) {
	t.Parallel()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := compile(t, c.verified)
			checkReaders(t, d, c.verified.Provider().Username, c.address, d.Append(nil, c.address))
		})
	}
}

// Each way in and each way out on each port that means something to some client: either
// all clients take it rightly, or it is refused.
func TestReadersAgreeOnEveryPort(t *testing.T) {
	t.Parallel()
	var in, out []settings.Service
	for _, scheme := range settings.Schemes() {
		for _, port := range []uint16{25, 80, 110, 143, 443, 465, 587, 993, 995, 2525, 10000} {
			s := settings.Service{Scheme: scheme, Host: "mail.example.com", Port: port}
			switch scheme.Role() {
			case settings.RoleSubmission:
				out = append(out, s)
			case settings.RoleIMAP, settings.RolePOP3:
				in = append(in, s)
			case settings.RoleSieve:
			}
		}
	}
	said := 0
	for _, i := range in {
		for _, o := range out {
			d, err := autodiscover.Compile(settingstest.Verified(i.String(), o.String()))
			if err == nil {
				checkReaders(t, d, settings.UsernameAddress, jane, d.Append(nil, jane))
				said++
			}
		}
	}
	// IMAP on 143 and 993; POP3 on 110, submission on 587, and both with implicit TLS on
	// the seven ports that are not 25, 110, 143 or 587.
	if want := (2 + 1 + 7) * (1 + 7); said != want {
		t.Errorf("%d pairs can be said, want %d", said, want)
	}
}

// drawVerified draws any provider, and which of its services work.
func drawVerified(t *rapid.T) settings.Verified {
	scheme := rapid.SampledFrom(settings.Schemes())
	host := rapid.SampledFrom([]string{"mail.example.com", "imap.example.org", "xn--bcher-kva.example"})
	port := rapid.OneOf(rapid.SampledFrom([]uint16{0, 25, 110, 143, 465, 587, 993, 995, 2525}), rapid.Uint16Range(1, 65535))
	mechanism := rapid.SampledFrom([]string{"PLAIN", "LOGIN", "CRAM-MD5"})
	p := settings.Provider{Name: "main", Username: rapid.SampledFrom([]settings.Username{settings.UsernameAddress, settings.UsernameLocalPart}).Draw(t, "username")}
	histories := map[settings.Service]settings.Views{}
	for range rapid.IntRange(1, 10).Draw(t, "services") {
		s := settings.Service{Scheme: scheme.Draw(t, "scheme"), Host: host.Draw(t, "host"), Port: port.Draw(t, "port")}
		if s.Port == 0 {
			s.Port = s.Scheme.DefaultPort()
		}
		p.Services = append(p.Services, s)
		histories[s] = settings.Views{settings.Fold(settingstest.Seen(s, settingstest.Now, mechanism.Draw(t, "mechanism")))}
		if rapid.IntRange(0, 3).Draw(t, "works") == 0 {
			histories[s] = settings.Views{settings.Fold(settingstest.Failed(s, settingstest.Now, settings.FailureRefused))}
		}
	}
	return settings.Verify(p, histories, settingstest.Now, settings.DefaultPolicy()).Verified
}

// drawAddress draws an address, or a domain alone.
func drawAddress(t *rapid.T) settings.Address {
	local := rapid.OneOf(
		rapid.SampledFrom([]string{"", "jane", "00123", "true", `"a <b>"`, "o'neil&co", "jäne+tag"}),
		rapid.StringOfN(rapid.RuneFrom([]rune(`abc&<>"'%+.0ü日`)), 1, 20, -1)).Draw(t, "local part")
	domain := rapid.SampledFrom([]string{"example.com", "xn--bcher-kva.example"}).Draw(t, "domain")
	a, err := settings.ParseAddress(local + "@" + domain)
	if err != nil {
		return settings.Address{Domain: domain}
	}
	return a
}

// Whatever is verified and whoever asks: all clients set up the same servers, none in
// clear, and what was verified and sayable is said.
func TestReadersAgreeOnAnything(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v, who := drawVerified(t), drawAddress(t)
		d, err := autodiscover.Compile(v)
		if err != nil {
			return
		}
		doc := d.Append(nil, who)
		checkReaders(t, d, v.Provider().Username, who, doc)
		for _, s := range d.Services() {
			published := false
			for _, p := range v.Services(s.Role()) {
				published = published || p.Service == s && p.Password == settings.PasswordCleartext
			}
			if !published {
				t.Errorf("%s is not published", s)
			}
		}
		if again, err := autodiscover.Compile(v); err != nil || string(again.Append(nil, who)) != string(doc) {
			t.Errorf("compiled again it is another document: %v", err)
		}
	})
}

// Every usual service can be said: on its default port, with a password.
func TestDefaultPortsAreSayable(t *testing.T) {
	t.Parallel()
	for _, in := range []string{imaps, imap, pop3s, pop3} {
		for _, out := range []string{smtp, smtps} {
			if got := len(compile(t, settingstest.Verified(in, out)).Services()); got != 2 {
				t.Errorf("%s and %s: %d services", in, out, got)
			}
		}
	}
}

// The document is well-formed for any address that is taken, and gives it back unchanged.
func FuzzAppend(f *testing.F) {
	for _, seed := range []string{"jane@example.com", `"<b>&"@example.com`, "jäne@bücher.example", "00123@example.com", "a&b'c@example.com"} {
		f.Add(seed)
	}
	whole, local := compile(f, usual), compile(f, localPart())
	f.Fuzz(func(t *testing.T, text string) {
		a, err := settings.ParseAddress(text)
		if err != nil {
			return
		}
		checkReaders(t, whole, settings.UsernameAddress, a, whole.Append(nil, a))
		checkReaders(t, local, settings.UsernameLocalPart, a, local.Append(nil, a))
	})
}

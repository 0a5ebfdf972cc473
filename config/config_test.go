package config_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mailconfd/config"
	"mailconfd/settings"
)

// comparable lets cmp look at a Config; its domains are compared apart.
var comparable = cmp.Options{
	cmpopts.IgnoreUnexported(config.Config{}), cmpopts.EquateComparable(netip.Prefix{}), cmpopts.EquateEmpty(),
}

// parse loads a text without environment, flags or any other file.
func parse(text string) (config.Config, []config.Problem, error) {
	return config.Parse("mailconfd.yaml", []byte(text), config.Options{})
}

// defaults is what the configuration is made of where nothing is given.
func defaults() config.Config {
	return config.Config{
		Listen:      []string{"127.0.0.1:8080"},
		AdminListen: "127.0.0.1:9090",
		SelfCheck:   true,
		TLS:         config.TLS{Mode: config.TLSOff, Listen: []string{"0.0.0.0:443"}, HTTPListen: []string{"0.0.0.0:80"}},
		Probe:       config.Probe{Interval: 15 * time.Minute, Vantage: "here"},
		Policy:      settings.DefaultPolicy(),
	}
}

func TestNothingGivenIsTheDefaults(t *testing.T) {
	t.Parallel()
	c, warnings, err := config.Load(config.Options{Search: []string{filepath.Join(t.TempDir(), "none.yaml")}})
	if err != nil || warnings != nil {
		t.Fatal(warnings, err)
	}
	if diff := cmp.Diff(defaults(), c, comparable); diff != "" {
		t.Error("want the defaults, got", diff)
	}
}

// Keys without a value are as if they were not there.
func TestFilesThatSetNothingAreTheDefaults(t *testing.T) {
	t.Parallel()
	want := defaults()
	want.File = "mailconfd.yaml"
	for _, text := range []string{
		"# nothing\n", "---\n", "---\n...\n", "~\n", "{}\n",
		"tls:\nprobe:\n  interval:\npolicy: ~\nlisten:\nproviders:\n", "tls:\r\n  mode:\r\n",
	} {
		c, warnings, err := parse(text)
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if diff := cmp.Diff(want, c, comparable); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
		wantWarnings := []config.Problem{{File: "mailconfd.yaml", Text: "no providers and no domains: nothing will be published"}}
		if diff := cmp.Diff(wantWarnings, warnings); diff != "" {
			t.Errorf("%q: %s", text, diff)
		}
	}
}

func TestFullFile(t *testing.T) {
	t.Parallel()
	c, warnings, err := config.Load(config.Options{File: "testdata/good/full.yaml"})
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0].String(), "hoster.example is not listed by name under domains") {
		t.Fatal(warnings, err)
	}
	service := func(text string) settings.Service {
		s, err := settings.ParseService(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	want := config.Config{
		File:           "testdata/good/full.yaml",
		Listen:         []string{"127.0.0.1:8081", ":8082"},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")},
		AdminListen:    "[::1]:9091",
		CanonicalHost:  "mail.example.org",
		Resolver:       "192.0.2.53:53",
		TLS: config.TLS{
			Mode: config.TLSFiles, Listen: []string{"0.0.0.0:8443"},
			Certificates: []config.Certificate{{CertFile: "testdata/good/tls/fullchain.pem", KeyFile: "/etc/tls/key.pem"}},
		},
		Probe: config.Probe{
			Interval: 90 * time.Minute, CAFile: "testdata/good/roots.pem", Via: "socks5://127.0.0.1:1080",
			HELO: "[IPv6:2001:db8::1]", Vantage: "office-2",
		},
		Policy: settings.Policy{
			SubmissionOrder: []uint16{465, 587}, MaxAge: 2 * time.Hour, WithdrawAfter: 5, Grace: 24 * time.Hour, Vantage: settings.VantageAny,
		},
		Providers: []settings.Provider{
			{
				Name: "main", DisplayName: "Räucherstübchen & Söhne <Mail>", ShortName: "007",
				Services:   slices.Concat(settings.Candidates("mail.example.org"), settings.Candidates("xn--bcher-kva.example")),
				NotOffered: []settings.Role{settings.RoleIMAP},
				Username:   settings.UsernameLocalPart,
			},
			{
				Name:     "other",
				Services: []settings.Service{service("submission://smtp.example.net:25"), service("imaps://imap.example.net:993")},
				Trusted:  []settings.Trust{{Service: service("pop3s://pop.example.net:995"), Reason: "behind a firewall"}},
				Username: settings.UsernameAddress, AcceptsAddress: true,
			},
		},
		ProbeAccounts: []config.ProbeAccount{{
			Provider: "main", Address: settings.Address{Local: "Probe", Domain: "xn--bcher-kva.example"}, PasswordFile: "testdata/good/secrets/probe",
		}},
		Publish: []config.Zone{
			{
				Name: "example.org", Server: "192.0.2.53:53", TSIGName: "mailconfd.", TSIGAlgorithm: "hmac-sha512",
				TSIGSecretFile: "testdata/good/tsig", TTL: 5 * time.Minute, Interval: time.Minute, AllowEmpty: true,
				DelegateTo: "hoster.example", ConfigHost: "config.xn--bcher-kva.example", Addresses: true, Mailconf: true,
			},
			{
				Name: "xn--bcher-kva.example", Server: "[2001:db8::53]:5353", TSIGName: "k", TSIGAlgorithm: "hmac-sha256",
				TSIGSecretFile: "/etc/k", TTL: time.Hour, Interval: 10 * time.Minute,
			},
		},
	}
	if diff := cmp.Diff(want, c, comparable); diff != "" {
		t.Error(diff)
	}
	wantDomains := []config.Domain{
		{Name: "example.org", Provider: "main"},
		{Name: "xn--bcher-kva.example", Provider: "other"},
		{Wildcard: "customers.example", Provider: "main"},
		{Name: "customers.example", Provider: "main"},
		{MX: []string{"mx.example.org", "mx2.example.org"}, Except: []string{"xn--bcher-kva.example", "a.example"}, Provider: "main"},
	}
	if diff := cmp.Diff(wantDomains, slices.Collect(c.Domains())); diff != "" {
		t.Error(diff)
	}
}

// Each file of testdata/bad is one mistake. The comment above it is the exact message.
func TestBadFiles(t *testing.T) {
	t.Parallel()
	for _, name := range badFiles(t, "*") {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for line := range strings.Lines(string(data)) {
			text, isComment := strings.CutPrefix(line, "# ")
			if !isComment {
				break
			}
			want = append(want, strings.TrimSuffix(text, "\n"))
		}
		_, warnings, err := config.Parse(filepath.Base(name), data, config.Options{})
		if err == nil {
			t.Errorf("%s: loaded", name)
			continue
		}
		if _, is := errors.AsType[*config.Error](err); !is || warnings != nil {
			t.Errorf("%s: got %T and %v, want an *Error alone", name, err, warnings)
		}
		if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// badFiles lists the bad files of a kind: those that are not the YAML we take, those
// that the schema refuses, and those that only the loader can refuse.
func badFiles(t testing.TB, kind string) []string {
	names, err := filepath.Glob("testdata/bad/" + kind + "/*.yaml")
	if err != nil || len(names) == 0 {
		t.Fatal("no bad files", err)
	}
	return names
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	const main = "providers: [{name: main, hosts: [mail.example.org]}]\ndomains: [{name: example.org, provider: main}]\n"
	tests := []struct{ text, want string }{
		{main, ""},
		{main + `admin_listen: "0.0.0.0:9090"`, `mailconfd.yaml:3: admin_listen: "0.0.0.0:9090" may be open to everybody; metrics are not for the public`},
		{main + `admin_listen: ":9090"`, `mailconfd.yaml:3: admin_listen: ":9090" may be open to everybody; metrics are not for the public`},
		{main + `admin_listen: "10.0.0.1:9090"`, ""},
		{main + `admin_listen: "localhost:9090"`, ""},
		{main + `admin_listen: ""`, ""},
		{main + `trusted_proxies: ["0.0.0.0/0"]`, `mailconfd.yaml:3: trusted_proxies[0]: 0.0.0.0/0: everybody is trusted to say whether a connection was encrypted`},
		{main + "tls:\n  certificates: [{cert_file: a, key_file: b}]", "mailconfd.yaml:4: tls.certificates: not used with tls.mode off; want tls.mode files"},
		{main + "probe: {interval: 10s}", "mailconfd.yaml:3: probe.interval: 10s: mail servers may take so many connections for an attack"},
		{main + "probe: {interval: 2h}", "mailconfd.yaml: policy.max_age: 1h0m0s is less than probe.interval 2h0m0s: before each round, what works counts as not fresh"},
		{
			"providers: [{name: main, hosts: [mail.example.org]}]\ndomains: [{name: '*.co.uk', provider: main}]",
			"mailconfd.yaml:2: domains[0].name: *.co.uk: everybody can register a domain there; is it yours?",
		},
		{
			"providers:\n  - {name: main, hosts: [mail.example.org]}\n  - {name: old, hosts: [old.example.org]}\ndomains: [{name: example.org, provider: main}]",
			`mailconfd.yaml:3: providers[1].name: no domain has the provider "old"`,
		},
		{
			main + `publish: [{zone: example.org, server: "192.0.2.53:53"}]`,
			"mailconfd.yaml:3: publish[0].tsig_name: without a key, whoever can send from this machine's address can change the zone too",
		},
		{
			main + `publish: [{zone: customers.example, server: "192.0.2.53:53", tsig_name: k, tsig_secret_file: k}]`,
			"mailconfd.yaml:3: publish[0].zone: no domain that is listed by name is in customers.example: nothing will be published there",
		},
	}
	for _, test := range tests {
		_, warnings, err := parse(test.text)
		if err != nil {
			t.Errorf("%s\n%v", test.text, err)
		}
		var got []string
		for _, w := range warnings {
			got = append(got, w.String())
		}
		if diff := cmp.Diff(test.want, strings.Join(got, "\n")); diff != "" {
			t.Errorf("%s\n%s", test.text, diff)
		}
	}
}

// A text that YAML 1.1 reads as a boolean, a time of day or an octal number is a text.
func TestTextsThatLookLikeSomethingElse(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"no", "NO", "off", "on", "y", "yes", "12:30", "1:2:3"} {
		c, _, err := parse("providers:\n  - name: " + text + "\n    hosts: [mail.example.org]\n")
		if err != nil || c.Providers[0].Name != text {
			t.Errorf("want the provider %s, got %v, %v", text, c.Providers, err)
		}
	}
	c, _, err := parse("tls:\n  mode: off\n")
	if err != nil || c.TLS.Mode != config.TLSOff {
		t.Errorf("tls.mode: off is off without quotes too; got %q, %v", c.TLS.Mode, err)
	}
}

func TestManyProblemsAreCutWhenPrinted(t *testing.T) {
	t.Parallel()
	_, _, err := parse("trusted_proxies: [" + strings.Repeat("x,", 120) + "]")
	e, _ := errors.AsType[*config.Error](err)
	if e == nil || len(e.Problems) != 120 {
		t.Fatal("want 120 problems, got", err)
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 51 || lines[50] != "and at least 70 more" {
		t.Errorf("want 50 lines and the rest counted, got %d ending in %q", len(lines), lines[len(lines)-1])
	}
}

// What is quick to write is quick to refuse: nothing here takes more than its length
// in time, and no list is followed further than problems are of use.
func TestHugeFilesAreRefusedQuickly(t *testing.T) {
	t.Parallel()
	const many = 100_000
	repeat := func(line string) string { return strings.Repeat(line, many) }
	tests := []struct{ name, text, want string }{
		{"unknown keys", repeat("lisen: 1\n"), "x.yaml:1: lisen: unknown key; did you mean listen?"},
		{"the same key", repeat("listen: []\n"), "x.yaml:2: listen: stands here twice, first on line 1"},
		{"providers", "providers:\n" + repeat("- {name: a}\n"), "x.yaml:2: providers: 100000 items; want at most 10000"},
		{"hosts", "providers:\n- name: a\n  hosts:\n" + repeat("  - a.example\n"), "x.yaml:4: providers[0].hosts: 100000 items; want at most 100"},
		{"ports", "policy:\n  submission_order: [" + repeat("587,") + "]", "x.yaml:2: policy.submission_order: 100000 items; want at most 3"},
		{"unknown providers", "domains:\n" + repeat("- {name: a.example, provider: b}\n"), `x.yaml:2: domains[0].provider: no provider is called "b"; there is none`},
		{"addresses", "listen:\n" + repeat("- \"127.0.0.1:1\"\n"), "x.yaml:2: listen: 100000 items; want at most 100"},
	}
	for _, test := range tests {
		_, _, err := config.Parse("x.yaml", []byte(test.text), config.Options{})
		if err == nil {
			t.Errorf("%s: loaded", test.name)
			continue
		}
		if first, _, _ := strings.Cut(err.Error(), "\n"); first != test.want {
			t.Errorf("%s: want %q, got %q", test.name, test.want, first)
		}
	}
}

// Long and wild texts are cut and escaped in messages.
func TestRudeTextsInMessages(t *testing.T) {
	t.Parallel()
	_, _, err := parse("tls: {mode: \"" + strings.Repeat("ü", 1<<20) + `\x1b[2J"}`)
	if err == nil || len(err.Error()) > 400 {
		t.Errorf("want a short message, got %.500v", err)
	}
	_, _, err = parse(`"\x1b[2J\n": 1`)
	if err == nil || strings.ContainsAny(err.Error(), "\x1b\n") {
		t.Errorf("want control characters escaped, got %q", err)
	}
}

func TestZoneOf(t *testing.T) {
	t.Parallel()
	c := config.Config{Publish: []config.Zone{{Name: "example.org"}, {Name: "sub.example.org"}}}
	for domain, want := range map[string]string{
		"example.org": "example.org", "a.example.org": "example.org", "sub.example.org": "sub.example.org", "b.sub.example.org": "sub.example.org",
		"notexample.org": "", "org": "", "": "",
	} {
		if got, found := c.ZoneOf(domain); got.Name != want || found != (want != "") {
			t.Errorf("%s: got %q, want %q", domain, got.Name, want)
		}
	}
}

// Services over HTTPS may stand beside hosts, which does not try them.
func TestServicesBesideHosts(t *testing.T) {
	t.Parallel()
	c, warnings, err := config.Load(config.Options{File: "testdata/good/hosts_and_web.yaml"})
	if err != nil || len(c.Providers) != 1 {
		t.Fatalf("%v, %v, %v", c.Providers, warnings, err)
	}
	got := c.Providers[0].Services
	want := append(settings.Candidates("mail.example.org"),
		settings.Service{Scheme: settings.SchemeCalDAVS, Host: "dav.example.org", Port: 443},
		settings.Service{Scheme: settings.SchemeJMAP, Host: "mail.example.org", Port: 8443})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}

package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailconfd/config"
	"mailconfd/settings"
)

// write makes a file and returns its name.
func write(t *testing.T, name, text string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestSourcesFromWeakToStrong(t *testing.T) {
	t.Parallel()
	file := "listen: [\"127.0.0.1:1\"]\nprobe:\n  interval: 2m\n  ca_file: file.pem\n  via: socks5://127.0.0.1:1\n"
	environ := []string{
		"MAILCONFD_LISTEN=127.0.0.1:2, 127.0.0.1:3,", "MAILCONFD_VIA=socks5://127.0.0.1:2", "MAILCONFD_CA_FILE=env.pem",
		"MAILCONFD_POLICY_SUBMISSION_ORDER=465,587", "MAILCONFD_PROBE_INTERVAL=", "HOME=/root", "MAILCONFD_POLICY_GRACE=24h", "MAILCONFD_POLICY_WITHDRAW_AFTER=7",
	}
	flags := map[string]string{"via": "", "resolver": "192.0.2.53:53"}
	c, warnings, err := config.Parse("dir/mailconfd.yaml", []byte(file), config.Options{Environ: environ, Flags: flags})
	if err != nil || len(warnings) != 1 {
		t.Fatal(warnings, err)
	}
	want := defaults()
	want.File = "dir/mailconfd.yaml"
	want.Listen = []string{"127.0.0.1:2", "127.0.0.1:3"}
	want.Resolver = "192.0.2.53:53"
	want.Probe.Interval = 2 * time.Minute // an empty variable counts as unset
	want.Probe.CAFile = "env.pem"         // a variable's path starts where the process stands
	want.Probe.Via = ""                   // an empty flag is a value
	want.Policy.SubmissionOrder = []uint16{465, 587}
	want.Policy.Grace, want.Policy.WithdrawAfter = 24*time.Hour, 7
	if diff := cmp.Diff(want, c, comparable); diff != "" {
		t.Error(diff)
	}
}

// What a variable or flag says is checked as the file is, and named in the message.
func TestBadVariablesAndFlags(t *testing.T) {
	t.Parallel()
	tests := []struct {
		environ, flag, value, want string
	}{
		{"MAILCONFD_PROBE_INTERVAL=5", "", "", "MAILCONFD_PROBE_INTERVAL: 5 what? want 5s, 5m or 5h"},
		{"MAILCONFD_TLS_MODE=acme", "", "", "MAILCONFD_TLS_MODE: acme is not in this version; want off or files"},
		{"MAILCONFD_RESOLVER=dns", "", "", `MAILCONFD_RESOLVER: "dns": want HOST:PORT of a DNS server, such as 192.0.2.53:53`},
		{"MAILCONFD_POLICY_WITHDRAW_AFTER=no", "", "", `MAILCONFD_POLICY_WITHDRAW_AFTER: "no": want a whole number such as 3`},
		{"", "listen", "8080", `--listen: "8080": want HOST:PORT such as 127.0.0.1:8080, or :8080 for every address`},
		{"", "listen", "", "--listen: empty; with tls.mode off it is all that is listened on: want an address such as 127.0.0.1:8080"},
		{"", "via", "http://127.0.0.1:1", `--via: "http://127.0.0.1:1": want socks5://HOST:PORT, without a user name`},
		{"", "via", "socks5://u:p@127.0.0.1:1", `--via: "socks5://u:p@127.0.0.1:1": want socks5://HOST:PORT, without a user name`},
		{"", "state", "postgres:u:secret@h/d", `--state: want sqlite:///PATH, postgres://USER@HOST/DATABASE or memory:, or nothing for the default place`},
		{"", "lisen", "x", "--lisen: sets nothing; did you mean listen?"},
		{"", "", "x", "--: sets nothing"},
	}
	for _, test := range tests {
		o := config.Options{Environ: []string{test.environ}}
		if test.environ == "" {
			o.Flags = map[string]string{test.flag: test.value}
		}
		_, _, err := config.Load(o)
		if err == nil || err.Error() != test.want {
			t.Errorf("%s %s: want %q, got %v", test.environ, test.flag, test.want, err)
		}
	}
}

func TestUnknownVariableIsAWarning(t *testing.T) {
	t.Parallel()
	c, warnings, err := config.Load(config.Options{Environ: []string{"MAILCONFD_LISTN=x", "MAILCONFD_WHATEVER=x", "mailconfd_listen=x"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Problem{
		{Key: "MAILCONFD_LISTN", Text: "sets nothing; did you mean MAILCONFD_LISTEN?"},
		{Key: "MAILCONFD_WHATEVER", Text: "sets nothing"},
	}
	if diff := cmp.Diff(want, warnings); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(defaults(), c, comparable); diff != "" {
		t.Error(diff)
	}
}

// viper's AutomaticEnv lets a variable that is named like a section or a list empty it
// without an error.
func TestVariableNamedLikeASectionEmptiesNothing(t *testing.T) {
	t.Parallel()
	const file = "providers: [{name: main, hosts: [mail.example.org]}]\ndomains: [{name: example.org, provider: main}]\nprobe: {vantage: office}\n"
	c, warnings, err := config.Parse("x.yaml", []byte(file), config.Options{Environ: []string{
		"MAILCONFD_DOMAINS=x", "MAILCONFD_PROVIDERS=x", "MAILCONFD_PROBE=x", "MAILCONFD_TLS=", "MAILCONFD_TLS_CERTIFICATES=x",
	}})
	if err != nil || len(warnings) != 5 {
		t.Fatal(warnings, err)
	}
	if len(c.Providers) != 1 || len(slices.Collect(c.Domains())) != 1 || c.Probe.Vantage != "office" {
		t.Errorf("want all that the file has, got %+v", c)
	}
}

// viper keeps keys in lower case and splits them at dots; neither happens to values.
func TestLetterCaseAndDotsSurvive(t *testing.T) {
	t.Parallel()
	c, _, err := parse("providers:\n  - {name: Main.A, hosts: [mail.example.org]}\n  - {name: main.a, hosts: [mail.example.net]}\n" +
		"domains:\n  - {name: example.com, provider: Main.A}\n  - {name: Mail.Example.com, provider: main.a}\n  - {name: x.example, provider: Main.A}\nprobe: {vantage: Main.Office, ca_file: /A/b.PEM}\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []config.Domain{
		{Name: "example.com", Provider: "Main.A"}, {Name: "mail.example.com", Provider: "main.a"}, {Name: "x.example", Provider: "Main.A"},
	}
	if diff := cmp.Diff(want, slices.Collect(c.Domains())); diff != "" {
		t.Error(diff)
	}
	if c.Probe.Vantage != "Main.Office" || c.Probe.CAFile != "/A/b.PEM" {
		t.Errorf("got %+v", c.Probe)
	}
}

// A reload makes a new Config and leaves the old one as it is.
func TestLoadsAreIndependent(t *testing.T) {
	t.Parallel()
	name := write(t, "mailconfd.yaml", "listen: [\"127.0.0.1:1\"]\nresolver: \"192.0.2.1:53\"\n")
	first, _, err := config.Load(config.Options{File: name})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte("listen: [\"127.0.0.1:2\"]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	second, _, err := config.Load(config.Options{File: name})
	if err != nil {
		t.Fatal(err)
	}
	if first.Listen[0] != "127.0.0.1:1" || second.Listen[0] != "127.0.0.1:2" || first.Resolver == second.Resolver {
		t.Errorf("want two configurations, got %v and %v", first.Listen, second.Listen)
	}
}

func TestFirstFileThatExistsIsRead(t *testing.T) {
	t.Parallel()
	none := filepath.Join(t.TempDir(), "none.yaml")
	one := write(t, "one.yaml", `resolver: "192.0.2.1:53"`)
	two := write(t, "two.yaml", `resolver: "192.0.2.2:53"`)
	c, _, err := config.Load(config.Options{Search: []string{none, one, two}})
	if err != nil || c.File != one || c.Resolver != "192.0.2.1:53" {
		t.Errorf("want %s, got %s, %v", one, c.File, err)
	}
	c, _, err = config.Load(config.Options{File: two, Search: []string{one}})
	if err != nil || c.File != two {
		t.Errorf("want the named %s, got %s, %v", two, c.File, err)
	}
}

func TestFilesThatCannotBeRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe, large := filepath.Join(dir, "pipe"), filepath.Join(dir, "large")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(large, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(large, 1<<40); err != nil { // a hole: it takes no room
		t.Fatal(err)
	}
	tests := []struct{ name, want string }{
		{filepath.Join(dir, "none"), "no such file or directory"},
		{dir, "a directory; want a file"},
		{pipe, "a pipe or device; want a file"},
		{"/dev/zero", "a pipe or device; want a file"},
		{large, "larger than 32 MiB"},
	}
	for _, test := range tests {
		_, _, err := config.Load(config.Options{File: test.name})
		if want := test.name + ": " + test.want; err == nil || err.Error() != want {
			t.Errorf("want %q, got %v", want, err)
		}
		if test.want == "no such file or directory" {
			continue
		}
		if _, _, err := config.Load(config.Options{Search: []string{test.name}}); err == nil {
			t.Errorf("%s is there and cannot be read, and was passed over", test.name)
		}
	}
}

func TestBytesThatAreNoText(t *testing.T) {
	t.Parallel()
	tests := []struct{ text, want string }{
		{"listen: []\nresolver: \"\xff\"\n", "x.yaml:2: not UTF-8 from here on; save the file as UTF-8"},
		{"", "x.yaml: empty; want providers and domains, or at least a comment"},
		{" \n\n", "x.yaml: empty; want providers and domains, or at least a comment"},
		{"\xff\xfel\x00i\x00", "x.yaml:1: not UTF-8 from here on; save the file as UTF-8"},
		{"resolver: \"\"\nx: \x00\n", "x.yaml:2: a control character; want text"},
		{"resolver: \"\x1b[2J\"", "x.yaml:1: a control character; want text"},
		{"a: 'it\n", "x.yaml:2: a text in quotes never ends; it begins on this line or above"},
		{strings.Repeat("[", 20000), "x.yaml:1: not YAML, here or just above: exceeded max depth of 10000"},
		{strings.Repeat("- ", 20000), "x.yaml:1: not YAML, here or just above: exceeded max depth of 10000"},
	}
	for _, test := range tests {
		_, _, err := config.Parse("x.yaml", []byte(test.text), config.Options{})
		if err == nil || err.Error() != test.want {
			t.Errorf("%.40q: want %q, got %v", test.text, test.want, err)
		}
	}
}

func TestDomainsOnTheCommandLine(t *testing.T) {
	t.Parallel()
	c, warnings, err := config.Load(config.Options{MailHost: "Mail.example.org", Domains: []string{"example.org", "*.Bücher.example"}})
	if err != nil || warnings != nil {
		t.Fatal(warnings, err)
	}
	want := defaults()
	want.Providers = []settings.Provider{{
		Name: "main", Services: settings.Candidates("mail.example.org"), Username: settings.UsernameAddress, AcceptsAddress: true,
	}}
	if diff := cmp.Diff(want, c, comparable); diff != "" {
		t.Error(diff)
	}
	wantDomains := []config.Domain{{Name: "example.org", Provider: "main"}, {Wildcard: "xn--bcher-kva.example", Provider: "main"}}
	if diff := cmp.Diff(wantDomains, slices.Collect(c.Domains())); diff != "" {
		t.Error(diff)
	}
}

// The command line takes the place of the file's lists, not of its settings.
func TestCommandLineBesideAFile(t *testing.T) {
	t.Parallel()
	file := "resolver: \"192.0.2.1:53\"\nproviders: [{name: old, hosts: [old.example.org]}]\ndomains: [{name: old.example, provider: old}]\n"
	c, warnings, err := config.Parse("x.yaml", []byte(file), config.Options{MailHost: "mail.example.org", Domains: []string{"example.org"}})
	if err != nil {
		t.Fatal(err)
	}
	if c.Resolver != "192.0.2.1:53" || c.Providers[0].Name != "main" || len(slices.Collect(c.Domains())) != 1 {
		t.Errorf("got %+v", c)
	}
	if diff := cmp.Diff([]config.Problem{{Key: "--mail-host", Text: "the providers and domains of x.yaml are not used"}}, warnings); diff != "" {
		t.Error(diff)
	}
}

func TestBadCommandLines(t *testing.T) {
	t.Parallel()
	tests := []struct {
		host, domains, want string
	}{
		{"", "example.org", "example.org: which servers does it have? want --mail-host HOST beside it, or providers and domains in a file"},
		{"mail.example.org", "", "--mail-host: which domains does it serve? want them beside it: example.org --mail-host mail.example.org"},
		{"192.0.2.1", "example.org", "--mail-host: 192.0.2.1: clients check the certificate against a host name; give the name, not the address"},
		{"imaps://a.example", "example.org", `--mail-host: "imaps://a.example" is a service; it goes to services, here want a name such as mail.example.org`},
		{"mail.example.org", "jane@example.org", `command line: domain "jane@example.org": not a name of letters, digits and hyphens such as mail.example.org`},
		{"mail.example.org", "example.org Example.ORG", `command line: "Example.ORG" (example.org) is there already`},
	}
	for _, test := range tests {
		_, _, err := config.Load(config.Options{MailHost: test.host, Domains: strings.Fields(test.domains)})
		if err == nil || err.Error() != test.want {
			t.Errorf("%s %s: want %q, got %v", test.host, test.domains, test.want, err)
		}
	}
}

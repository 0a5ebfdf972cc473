package config_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"mailconfd/config"
	"mailconfd/settings"
)

var update = flag.Bool("update", false, "write the generated part of docs/configuration.md")

func TestExampleLoads(t *testing.T) {
	t.Parallel()
	c, warnings, err := config.Parse("", config.Example(), config.Options{})
	if err != nil || warnings != nil {
		t.Fatal(warnings, err)
	}
	want := defaults()
	want.Providers = []settings.Provider{{
		Name: "main", DisplayName: "Example Mail", ShortName: "Example",
		Services: settings.Candidates("mail.example.org"), Username: settings.UsernameAddress, AcceptsAddress: true,
	}}
	if diff := cmp.Diff(want, c, comparable); diff != "" {
		t.Error("want the defaults and a provider, got", diff)
	}
	wantDomains := []config.Domain{
		{Name: "example.org", Provider: "main"},
		{Wildcard: "customers.example", Provider: "main"},
		{MX: []string{"mx.example.org"}, Provider: "main"},
	}
	got := slices.Collect(c.Domains())
	if diff := cmp.Diff(wantDomains, got, comparable); diff != "" {
		t.Error(diff)
	}
}

// The example has every key, what it means, and its default.
func TestExampleIsComplete(t *testing.T) {
	t.Parallel()
	words := strings.Join(strings.Fields(strings.ReplaceAll(string(config.Example()), "#", "")), " ")
	for _, k := range config.Keys() {
		name := k.Path[strings.LastIndex(k.Path, ".")+1:]
		if !strings.Contains(words, strings.Join(strings.Fields(k.Doc), " ")) {
			t.Errorf("%s: what it means is missing", k.Path)
		}
		line := name + ": " + k.Default
		if strings.Contains(k.Path, "[]") || k.Path == "providers" || k.Path == "domains" {
			line = name + ":" // the values are made up
		}
		if !strings.Contains(words, line) {
			t.Errorf("%s: want %q in the example", k.Path, line)
		}
	}
}

// The keys are those that the documented configuration has, in its order.
func TestKeys(t *testing.T) {
	t.Parallel()
	want := strings.Fields(`listen trusted_proxies admin_listen state canonical_host resolver self_check
		tls.mode tls.listen tls.http_listen tls.certificates tls.certificates[].cert_file tls.certificates[].key_file
		probe.interval probe.ca_file probe.via probe.helo probe.vantage
		policy.submission_order policy.max_age policy.withdraw_after policy.withdraw_after_time policy.grace policy.vantage
		providers providers[].name providers[].display_name providers[].short_name providers[].hosts providers[].services
		providers[].trusted providers[].trusted[].service providers[].trusted[].reason providers[].not_offered
		providers[].username providers[].accepts_address providers[].probe_account.address providers[].probe_account.password_file
		domains domains[].name domains[].mx domains[].except domains[].provider
		publish publish[].zone publish[].server publish[].tsig_name publish[].tsig_algorithm publish[].tsig_secret_file publish[].ttl
		publish[].interval publish[].allow_empty publish[].delegate_to publish[].config_host publish[].addresses publish[].mailconf`)
	flags := map[string]string{}
	variables := map[string]string{}
	var got []string
	for _, k := range config.Keys() {
		got = append(got, k.Path)
		if k.Doc == "" || k.Takes == "" || strings.HasSuffix(k.Doc, ".") {
			t.Errorf("%+v: want what it means and takes, without a full stop", k)
		}
		if k.Flag != "" {
			flags[k.Flag] = k.Path
		}
		if k.Variable != "" {
			variables[k.Variable] = k.Path
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	wantFlags := map[string]string{
		"listen": "listen", "admin-listen": "admin_listen", "state": "state", "resolver": "resolver",
		"ca-file": "probe.ca_file", "via": "probe.via",
	}
	if diff := cmp.Diff(wantFlags, flags); diff != "" {
		t.Error(diff)
	}
	for variable, key := range map[string]string{
		"MAILCONFD_CA_FILE": "probe.ca_file", "MAILCONFD_VIA": "probe.via", "MAILCONFD_RESOLVER": "resolver",
		"MAILCONFD_TLS_MODE": "tls.mode", "MAILCONFD_LISTEN": "listen",
	} {
		if variables[variable] != key {
			t.Errorf("want %s to set %s, got %q", variable, key, variables[variable])
		}
	}
}

// schema compiles the schema; it is checked against the 2020-12 metaschema by that.
func schema(t testing.TB) *jsonschema.Schema {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(config.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	if got := document.(map[string]any)["$schema"]; got != jsonschema.Draft2020.String() {
		t.Errorf("want %s, got %v", jsonschema.Draft2020, got)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("mailconfd.json", document); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("mailconfd.json")
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

// instance reads YAML as an editor that checks a schema does.
func instance(t *testing.T, text []byte) any {
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	value, err = jsonschema.UnmarshalJSON(bytes.NewReader(asJSON))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// The schema takes what the loader takes, and refuses what has the wrong shape; what is
// wrong only in meaning passes it.
func TestSchema(t *testing.T) {
	t.Parallel()
	s := schema(t)
	if err := s.Validate(instance(t, config.Example())); err != nil {
		t.Error("the example:", err)
	}
	for _, name := range append(badFiles(t, "meaning"), "testdata/good/full.yaml") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(instance(t, text)); err != nil {
			t.Errorf("%s: want it to pass, got %v", name, err)
		}
	}
	for _, name := range badFiles(t, "shape") {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if s.Validate(instance(t, text)) == nil {
			t.Errorf("%s: want it refused", name)
		}
	}
}

// reference writes the table of keys and the example as the page has them.
func reference() string {
	var b strings.Builder
	b.WriteString("| key | default | variable | flag | meaning |\n|---|---|---|---|---|\n")
	code := func(text, without string) string {
		if text == "" {
			return without
		}
		return "`" + text + "`"
	}
	for _, k := range config.Keys() {
		without := ""
		if k.Required {
			without = "required"
		}
		flag := k.Flag
		if flag != "" {
			flag = "--" + flag
		}
		doc := strings.NewReplacer("*", `\*`, "_", `\_`, "|", `\|`).Replace(k.Doc)
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", k.Path, code(k.Default, without), code(k.Variable, ""), code(flag, ""), doc)
	}
	return b.String() + "\n```yaml\n" + string(config.Example()) + "```\n"
}

// The page is current. Write it anew with: go test ./config -run TestDocumentation -update
func TestDocumentation(t *testing.T) {
	t.Parallel()
	const (
		name  = "../docs/configuration.md"
		begin = "<!-- generated: go test ./config -run TestDocumentation -update -->\n"
		end   = "<!-- generated: end -->\n"
	)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	above, rest, found := strings.Cut(string(text), begin)
	got, below, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s: want the generated part between %q and %q", name, begin, end)
	}
	want := "\n" + reference() + "\n"
	if *update {
		if err := os.WriteFile(name, []byte(above+begin+want+end+below), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s has drifted; run this test with -update\n%s", name, diff)
	}
}

package main

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailconfd/config"
	"mailconfd/internal/publish"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// texts writes records in lines, sorted.
func texts(records publish.Records) []string {
	var all []string
	for _, rr := range records {
		all = append(all, strings.ReplaceAll(rr.String(), "\t", " "))
	}
	slices.Sort(all)
	return all
}

// TestZoneSets follows a zone through looks at which the addresses of the configuration host are known, fail,
// and change. What serve publishes and what DNS is compared with is the same each time.
func TestZoneSets(t *testing.T) {
	t.Parallel()
	const text = `
canonical_host: www.hoster.test
providers:
  - {name: main, services: ["submissions://mail.hoster.test:465", "imaps://mail.hoster.test:993"]}
domains:
  - {name: hoster.test, provider: main}
  - {name: customer.hoster.test, provider: main}
publish:
  - {zone: hoster.test, server: "192.0.2.53:53", tsig_name: k, tsig_secret_file: k, delegate_to: hoster.test, config_host: config.hoster.test, addresses: true, mailconf: true}
`
	cfg, _, err := config.Parse("x.yaml", []byte(text), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	book := &addressBook{known: map[string][]netip.Addr{}}
	d := &daemon{cfg: cfg, addresses: book}
	p := cfg.Providers[0]
	histories := map[settings.Service]settings.Views{}
	for _, s := range p.Services {
		histories[s] = settings.Views{settings.Fold(settingstest.Seen(s, settingstest.Now))}
	}
	d.results.set("main", settings.Verify(p, histories, settingstest.Now, settings.DefaultPolicy()))
	z := &zoneKept{
		Zone: cfg.Publish[0], daemon: d, domains: []string{"hoster.test", "customer.hoster.test"},
		providers: map[string]string{"hoster.test": "main", "customer.hoster.test": "main"},
	}
	check := &dnsCheck{results: &d.results, host: cfg.CanonicalHost, book: book, cfg: cfg, expect: new(publish.Keeper).Expect}

	set := []string{
		"_autodiscover._tcp.customer.hoster.test. 3600 IN CNAME _autodiscover._tcp.hoster.test.",
		"_autodiscover._tcp.hoster.test. 3600 IN SRV 0 1 443 config.hoster.test.",
		"_imaps._tcp.customer.hoster.test. 3600 IN CNAME _imaps._tcp.hoster.test.",
		"_imaps._tcp.hoster.test. 3600 IN SRV 0 1 993 mail.hoster.test.",
		"_submissions._tcp.customer.hoster.test. 3600 IN CNAME _submissions._tcp.hoster.test.",
		"_submissions._tcp.hoster.test. 3600 IN SRV 0 1 465 mail.hoster.test.",
		"autoconfig.customer.hoster.test. 3600 IN CNAME autoconfig.hoster.test.",
		"autodiscover.customer.hoster.test. 3600 IN CNAME autodiscover.hoster.test.",
		"ua-auto-config.customer.hoster.test. 3600 IN CNAME ua-auto-config.hoster.test.",
		`customer.hoster.test. 3600 IN TXT "mailconf=https://autoconfig.customer.hoster.test/mail/config-v1.1.xml"`,
		`hoster.test. 3600 IN TXT "mailconf=https://autoconfig.hoster.test/mail/config-v1.1.xml"`,
	}
	hosts := func(records ...string) []string {
		all := slices.Clone(set)
		for _, name := range []string{"autoconfig", "autodiscover", "ua-auto-config"} {
			for _, r := range records {
				all = append(all, name+".hoster.test. 3600 IN "+r)
			}
		}
		slices.Sort(all)
		return all
	}
	for _, step := range []struct {
		name  string
		found []netip.Addr
		fails error
		want  []string
	}{
		{"DNS fails at first", nil, errors.New("no resolver"), nil},
		{"and again", nil, errors.New("no resolver"), nil},
		{"no address", nil, nil, nil},
		{"known", addrs("192.0.2.1", "2001:db8::1"), nil, hosts("A 192.0.2.1", "AAAA 2001:db8::1")},
		{"DNS fails", nil, errors.New("no resolver"), hosts("A 192.0.2.1", "AAAA 2001:db8::1")},
		{"the name is gone", nil, nil, hosts("A 192.0.2.1", "AAAA 2001:db8::1")},
		{"another", addrs("192.0.2.2"), nil, hosts("A 192.0.2.2")},
	} {
		book.lookUp = func(_ context.Context, host string) ([]netip.Addr, error) {
			if host != "config.hoster.test" {
				t.Errorf("%s is looked up", host)
			}
			return step.found, step.fails
		}
		got, _, err := z.wanted(t.Context())
		ready := err == nil
		if ready != (step.want != nil) || errors.Is(err, publish.ErrNotYet) {
			t.Errorf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.want, texts(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
		var compared publish.Records
		result, _ := d.results.get("main")
		for _, domain := range z.domains {
			want, err := check.want(t.Context(), result, domain)
			if (err == nil) != ready {
				t.Errorf("%s: compared with %v, %v", step.name, want, err)
			}
			if ready && (want.Optional || want.TTL != time.Hour) {
				t.Errorf("%s: %+v", step.name, want)
			}
			compared = append(compared, want.Records...)
		}
		if diff := cmp.Diff(texts(got), texts(compared)); diff != "" {
			t.Errorf("%s: published and compared (-published +compared):\n%s", step.name, diff)
		}
	}
}

func addrs(texts ...string) []netip.Addr {
	var all []netip.Addr
	for _, text := range texts {
		all = append(all, netip.MustParseAddr(text))
	}
	return all
}

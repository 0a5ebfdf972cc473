package srvrecords_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"pgregory.net/rapid"

	"mailconfd/settings"
	"mailconfd/settings/settingstest"
	"mailconfd/srvrecords"
)

// world draws a provider and a past of its services.
func world(t *rapid.T) (settings.Provider, map[settings.Service]settings.Views) {
	hosts := rapid.SampledFrom([]string{"mail.example.org", "imap.example.org", "autoconfig.example.org", "mail.hoster.example"})
	service := rapid.Custom(func(t *rapid.T) settings.Service {
		s := settings.Service{Scheme: rapid.SampledFrom(settings.Schemes()).Draw(t, "scheme"), Host: hosts.Draw(t, "host")}
		s.Port = rapid.SampledFrom([]uint16{s.Scheme.DefaultPort(), s.Scheme.DefaultPort(), 25, 465, 587, 993, 2525, 8143}).Draw(t, "port")
		return s
	})
	p := settingstest.Provider()
	p.Services = rapid.SliceOfNDistinct(service, 1, 12, rapid.ID).Draw(t, "services")
	p.NotOffered = rapid.SliceOfDistinct(rapid.SampledFrom([]settings.Role{settings.RoleIMAP, settings.RolePOP3}), rapid.ID).Draw(t, "not offered")
	if rapid.IntRange(0, 5).Draw(t, "login") == 0 {
		p.Username = settings.UsernameLocalPart
		p.AcceptsAddress = rapid.Bool().Draw(t, "accepts address")
	}
	if rapid.IntRange(0, 3).Draw(t, "trust") == 0 {
		p.Trusted = []settings.Trust{{Service: service.Draw(t, "trusted"), Reason: rapid.String().Draw(t, "reason")}}
	}
	kinds := rapid.SampledFrom([]settings.FailureKind{"", "", "", settings.FailureRefused, settings.FailureTimeout, settings.FailureNoSTARTTLS, settings.FailureLocal})
	histories := map[settings.Service]settings.Views{}
	for _, s := range p.Candidates() {
		var observations []settings.Observation
		for i, kind := range rapid.SliceOfN(kinds, 0, 5).Draw(t, s.String()) {
			o := settingstest.Seen(s, settingstest.Now.Add(time.Duration(i-5)*6*time.Minute))
			if kind != "" {
				o = settingstest.Failed(s, o.At, kind)
			}
			o.Addresses[0].Local = rapid.IntRange(0, 4).Draw(t, "local") == 0
			if s.Scheme.WellKnown() != "" {
				o.Addresses[0].Path = rapid.SampledFrom([]string{"", "/", "/dav/", "/dav/cal"}).Draw(t, "path")
			}
			o.Proxied = rapid.IntRange(0, 4).Draw(t, "proxied") == 0
			observations = append(observations, o)
		}
		histories[s] = settings.Views{settings.Fold(observations...)}
	}
	return p, histories
}

func TestSetProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p, histories := world(t)
		result := settings.Verify(p, histories, settingstest.Now, settings.DefaultPolicy())
		opt := srvrecords.Options{ConfigHost: rapid.SampledFrom([]string{"", "config.example.net", "autoconfig.example.org", "autodiscover.example.org"}).Draw(t, "config host")}
		set, err := srvrecords.Compile(result, "example.org", opt)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := srvrecords.Compile(result, "example.org", opt)
		if diff := cmp.Diff(string(set.Zone()), string(again.Zone())); diff != "" {
			t.Fatalf("two answers:\n%s", diff)
		}
		readBack(t, set)
		checkRecords(t, set, result, histories)
		checkComplete(t, set, p)
		checkLookUp(t, set, result.Verified)
		checkDelegated(t, set, p, opt)
	})
}

// published tells whether a record's service is published.
func published(v settings.Verified, scheme settings.Scheme, target string, port uint16) bool {
	return slices.ContainsFunc(v.Services(scheme.Role()), func(p settings.Published) bool {
		return p.Service == settings.Service{Scheme: scheme, Host: strings.TrimSuffix(target, "."), Port: port}
	})
}

// checkRecords holds each record to the rules.
func checkRecords(t *rapid.T, set srvrecords.Set, result settings.Result, histories map[settings.Service]settings.Views) {
	aliases, targets, priorities := map[string]bool{}, map[string]bool{}, map[string]bool{}
	dots, real := map[string]bool{}, map[string]bool{}
	for _, rr := range set.RRs() {
		owner := rr.Header().Name
		srv, ok := rr.(*dns.SRV)
		if txt, path := rr.(*dns.TXT); path {
			checkPath(t, txt, result.Verified)
			continue
		}
		if !ok {
			aliases[owner] = true
			continue
		}
		scheme := settings.Scheme(strings.TrimPrefix(strings.Split(owner, ".")[0], "_"))
		switch {
		case srv.Target == ".":
			dots[owner] = true
			if !slices.Contains(result.Verified.Provider().NotOffered, scheme.Role()) || srv.Priority != 0 || srv.Weight != 0 || srv.Port != 0 {
				t.Errorf("%v", srv)
			}
			for s, h := range histories {
				if s.Scheme == scheme && !h[0].Newest.Closed() {
					t.Errorf("%v, and %s is not proved closed", srv, s)
				}
			}
			continue
		case srv.Weight != 1:
			t.Errorf("weight %d: %v", srv.Weight, srv)
		case scheme == "autodiscover":
		case !published(result.Verified, scheme, srv.Target, srv.Port):
			t.Errorf("not published: %v", srv)
		case scheme.Security() == settings.STARTTLS && srv.Port != scheme.DefaultPort():
			t.Errorf("STARTTLS on an unusual port: %v", srv)
		}
		targets[srv.Target], real[owner] = true, true
		if key := owner + string(rune(srv.Priority)); priorities[key] {
			t.Errorf("two records of one priority: %v", srv)
		} else {
			priorities[key] = true
		}
	}
	for owner := range dots {
		if real[owner] {
			t.Errorf("%s: \".\" beside a real record", owner)
		}
	}
	for target := range targets {
		if aliases[target] {
			t.Errorf("%s is a target and an alias of ours", target)
		}
	}
	if !result.Verified.Provider().SaysAddress() && (len(dots) > 0 || len(real) > 1) {
		t.Errorf("mail records for users who log in with the local part:\n%s", set.Zone())
	}
}

// checkPath: what TXT says holds for every published service of the name (RFC 6764
// section 4), and each name has one.
func checkPath(t *rapid.T, txt *dns.TXT, v settings.Verified) {
	role := map[string]settings.Role{"_caldavs._tcp.example.org.": settings.RoleCalendar, "_carddavs._tcp.example.org.": settings.RoleContacts}[txt.Hdr.Name]
	services := v.Services(role)
	if len(services) == 0 {
		t.Errorf("no service: %v", txt)
	}
	for _, p := range services {
		if len(txt.Txt) != 1 || p.Path == "" || txt.Txt[0] != "path="+p.Path {
			t.Errorf("%v for %+v", txt, p)
		}
	}
}

// checkComplete: every candidate is either told or withheld with a reason.
func checkComplete(t *rapid.T, set srvrecords.Set, p settings.Provider) {
	told := map[string]int{}
	for _, r := range set.Records {
		if r.Service != "" {
			told[r.Service]++
		}
	}
	for _, w := range set.Withheld {
		if w.Service != "" {
			told[w.Service]++
		}
		if w.Reason == "" || w.Owner == "" {
			t.Errorf("withheld without a reason or an owner: %+v", w)
		}
	}
	want := map[string]int{}
	for _, s := range p.Candidates() {
		want[s.String()] = 1
	}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("candidates (-want +got):\n%s", diff)
	}
}

// checkLookUp asks the set as Claws Mail 4.1.1 does: _imaps, and _imap where that is
// missing; _submission. It must end at an encrypted service that is published. aerc
// asks for both and prefers _imap: then nothing with implicit TLS may come before it.
func checkLookUp(t *rapid.T, set srvrecords.Set, v settings.Verified) {
	first := func(label string) *dns.SRV {
		var best *dns.SRV
		for _, rr := range set.RRs() {
			srv, ok := rr.(*dns.SRV)
			if ok && srv.Hdr.Name == label+"._tcp.example.org." && (best == nil || srv.Priority < best.Priority) {
				best = srv
			}
		}
		if best == nil || best.Target == "." {
			return nil
		}
		return best
	}
	end := func(scheme settings.Scheme) *dns.SRV {
		srv := first("_" + string(scheme))
		if srv != nil && !published(v, scheme, srv.Target, srv.Port) {
			t.Errorf("the look-up ends at %v, which is not published", srv)
		}
		return srv
	}
	imaps, imap := end(settings.SchemeIMAPS), end(settings.SchemeIMAP)
	if imaps != nil && imap != nil && imaps.Priority < imap.Priority {
		t.Errorf("_imap beside a better _imaps:\n%s", set.Zone())
	}
	if s := end(settings.SchemeSubmission); s != nil && s.Port != 587 {
		t.Errorf("_submission on %d", s.Port)
	}
	pop3s, pop3 := end(settings.SchemePOP3S), end(settings.SchemePOP3)
	for _, i := range []*dns.SRV{imaps, imap} {
		for _, p := range []*dns.SRV{pop3s, pop3} {
			if i != nil && p != nil && i.Priority >= p.Priority {
				t.Errorf("POP3 before IMAP:\n%s", set.Zone())
			}
		}
	}
}

// checkDelegated: whatever comes to be verified, the aliases of a customer's zone cover
// it, so that no zone but the hoster's changes. A name that holds addresses of its own is
// the exception.
func checkDelegated(t *rapid.T, set srvrecords.Set, p settings.Provider, opt srvrecords.Options) {
	aliases, err := srvrecords.Delegate(p, srvrecords.Template, "example.org", opt)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range set.Records {
		label := strings.TrimSuffix(r.Owner, ".example.org.")
		if !slices.ContainsFunc(aliases.Records, func(a srvrecords.Record) bool { return a.Owner == label && a.Data == r.Owner }) {
			t.Errorf("no alias of %s:\n%s", r.Owner, aliases.Zone())
		}
	}
	for _, n := range append(set.Names(), aliases.Names()...) {
		if n.Owner == "" || n.Type == "" {
			t.Errorf("a name without a name: %+v", n)
		}
	}
}

//go:build real

package real

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDAVServersAnswer says what the servers answer, as curl showed it, without mailconfd.
func TestDAVServersAnswer(t *testing.T) {
	w := newDAVWorld(t)
	type head struct {
		status                 int
		location, authenticate string
	}
	for _, test := range []struct {
		method, url string
		want        head
	}{
		{"PROPFIND", "https://dav.example.test/.well-known/caldav", head{301, "https://dav.example.test/dav/calendars", ""}},
		{"PROPFIND", "https://dav.example.test/dav/calendars", head{401, "", "Basic"}},
		{"PROPFIND", "https://dav.example.test/.well-known/carddav", head{301, "https://dav.example.test/dav/addressbooks", ""}},
		{"PROPFIND", "https://dav.example.test/dav/addressbooks", head{401, "", "Basic"}},
		{"GET", "https://dav.example.test/.well-known/jmap", head{301, "https://dav.example.test/jmap", ""}},
		{"GET", "https://dav.example.test/jmap", head{401, "", "Basic"}},
		{"PROPFIND", "https://dav.example.test/.well-known/nonsense", head{405, "", ""}},
		{"PROPFIND", "https://radicale.example.test/.well-known/caldav", head{301, "/", ""}},
		{"PROPFIND", "https://radicale.example.test/", head{401, "", "Basic"}},
		{"GET", "https://radicale.example.test/.well-known/jmap", head{404, "", ""}},
		{"PROPFIND", "https://front.example.test/.well-known/caldav", head{301, "https://front.example.test/radicale/", ""}},
		{"PROPFIND", "https://front.example.test/radicale/", head{401, "", "Basic"}},
		{"PROPFIND", "https://plain.example.test/.well-known/caldav", head{405, "", ""}},
		{"PROPFIND", "https://webdav.example.test/", head{207, "", ""}},
		{"PROPFIND", "https://webdav.example.test/.well-known/caldav", head{404, "", ""}},
		{"PROPFIND", "https://password.example.test/.well-known/caldav", head{401, "", "Basic"}},
		{"PROPFIND", "https://password.example.test/.well-known/nonsense", head{401, "", "Basic"}},
	} {
		a := ask(t, w, test.method, test.url, "", "", "")
		scheme, _, _ := strings.Cut(a.Header.Get("WWW-Authenticate"), " ")
		got := head{a.StatusCode, a.Header.Get("Location"), scheme}
		if got != test.want {
			t.Errorf("%s %s: %+v, want %+v", test.method, test.url, got, test.want)
		}
	}
}

// davServices are what a host with the two kinds of DAV is asked for.
func davServices(host string) []string { return []string{"caldavs://" + host, "carddavs://" + host} }

// TestProbeDAV looks at the servers: each service is seen to work, and the path is the one to which the server leads.
func TestProbeDAV(t *testing.T) {
	w := newDAVWorld(t)
	want := map[string]string{
		"caldavs://dav.example.test:443":       "/dav/calendars",
		"carddavs://dav.example.test:443":      "/dav/addressbooks",
		"jmap://dav.example.test:443":          "/jmap",
		"caldavs://radicale.example.test:443":  "/",
		"carddavs://radicale.example.test:443": "/",
		"caldavs://front.example.test:443":     "/radicale/",
		"carddavs://front.example.test:443":    "/radicale/",
	}
	got := map[string]string{}
	for _, s := range probe(t, w, 0, slices.Sorted(maps.Keys(want))...) {
		got[s.Service] = s.Path
		if !s.Verified || !slices.Equal(s.Auth, []string{"BASIC"}) {
			t.Errorf("%s: verified %v with %q: %+v", s.Service, s.Verified, s.Auth, s.Failure)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}

// TestProbeFalseFriends looks for services where there are none.
func TestProbeFalseFriends(t *testing.T) {
	w := newDAVWorld(t)
	targets := []string{"jmap://" + radicaleName, "jmap://" + frontSite.name}
	for _, s := range falseFriends {
		targets = append(targets, append(davServices(s.name), "jmap://"+s.name)...)
	}
	found := probe(t, w, 1, targets...)
	if len(found) != len(targets) {
		t.Errorf("%d services, want %d", len(found), len(targets))
	}
	for _, s := range found {
		want := "well_known"
		if strings.Contains(s.Service, downgradeSite.name) {
			want = "insecure_redirect"
		}
		if s.Verified || s.Path != "" || s.Failure == nil || s.Failure.Kind != want {
			t.Errorf("%s: verified %v, path %q, %+v; want %s", s.Service, s.Verified, s.Path, s.Failure, want)
		}
	}
}

// foundDAV is what Thunderbird found: URLs.
type foundDAV struct {
	Calendars, Books []string
	Trouble          string // why there are no books
}

// TestPublishDAV lets mailconfd put the services of a server into a zone that has nothing of the kind. Clients that know
// an address and a password, and find nothing before, then find the calendar, the address book and the JMAP session.
// The domain has no web server, so that only the records lead them there. What records with a bare redirect to plain http
// or to another host would lead to is nothing either.
func TestPublishDAV(t *testing.T) {
	w := newDAVWorld(t)
	b := startThunderbird(t, w)
	for _, records := range []string{"", srvDAV(downgradeSite), srvDAV(elsewhereSite)} {
		w.names.load(t, zoneFile(davHosts()+records))
		if found := findDAV(t, b); len(found.Calendars)+len(found.Books) > 0 {
			t.Fatalf("found by the records %q: %+v", records, found)
		}
	}
	for _, test := range []struct {
		host                       string
		jmap                       bool
		calendarPath, contactsPath string
		calendar, book             string // those of jane@example.test
	}{
		{
			cyrusName, true, "/dav/calendars", "/dav/addressbooks",
			"https://dav.example.test/dav/calendars/user/jane@example.test/Default/",
			"https://dav.example.test/dav/addressbooks/user/jane@example.test/Default/",
		},
		{
			frontSite.name, false, "/radicale/", "/radicale/",
			"https://front.example.test/radicale/jane%40example.test/calendar/",
			"https://front.example.test/radicale/jane%40example.test/contacts/",
		},
		{
			radicaleName, false, "/", "/",
			"https://radicale.example.test/jane%40example.test/calendar/",
			"https://radicale.example.test/jane%40example.test/contacts/",
		},
	} {
		t.Run(test.host, func(t *testing.T) {
			p := startBIND(t, bindAddress, zoneFile(davHosts()))
			services := davServices(test.host)
			if test.jmap {
				services = append(services, "jmap://"+test.host)
			}
			run(t, 0, "publish", "--config", davConfig(t, w, p, services))
			target := "0 1 443 " + test.host + "."
			want := map[string]string{"_caldavs": target, "_carddavs": target, "_jmap": ""}
			if test.jmap {
				want["_jmap"] = target
			}
			for label, srv := range want {
				if got := dig(t, p, label+"._tcp.example.test", "SRV"); got != srv {
					t.Errorf("dig %s: %q, want %q", label, got, srv)
				}
			}
			for label, path := range map[string]string{"_caldavs": test.calendarPath, "_carddavs": test.contactsPath} {
				if got, want := dig(t, p, label+"._tcp.example.test", "TXT"), strconv.Quote("path="+path); got != want {
					t.Errorf("dig %s: %s, want %s", label, got, want)
				}
			}
			w.names.load(t, zoneFile(strings.Join(p.records(t), "\n")+"\n"))

			found := findDAV(t, b)
			if diff := cmp.Diff(foundDAV{[]string{test.calendar}, []string{test.book}, ""}, found); diff != "" {
				t.Errorf("what Thunderbird found (-want +got):\n%s", diff)
			}
			told, log := runClient(t, w, "sh", "-euc", buildEvolution, "sh", "jane@"+domain, "collections")
			kept := keyFile(told)
			base := "https://" + test.host
			if kept["Collection/CalendarUrl"] != base+test.calendarPath || kept["Collection/ContactsUrl"] != base+test.contactsPath {
				t.Errorf("what Evolution set up:\n%s%s", told, log)
			}
			if test.jmap {
				findJMAP(t, w)
			}
		})
	}
}

// srvDAV are records that name a site, without a path.
func srvDAV(s site) string {
	return fmt.Sprintf("_caldavs._tcp IN SRV 0 1 443 %[1]s.\n_carddavs._tcp IN SRV 0 1 443 %[1]s.\n", s.name)
}

// davConfig is the configuration of a domain with these services alone, and a zone to keep.
func davConfig(t *testing.T, w *world, p *primary, services []string) string {
	t.Helper()
	secret, file := filepath.Join(w.dir, "tsig"), filepath.Join(w.dir, "dav.yaml")
	writeFile(t, secret, secretOf("mailconfd")+"\n", 0o600)
	writeFile(t, file, fmt.Sprintf(`
resolver: %q
probe: {ca_file: %q}
providers:
  - {name: main, services: [%s]}
domains:
  - {name: %s, provider: main}
publish:
  - {zone: %[4]s, server: %[5]q, tsig_name: mailconfd, tsig_secret_file: %q}
`, w.resolver, w.authority.rootFile, strings.Join(services, ", "), domain, p.address, secret), 0o644)
	return file
}

// findDAV has Thunderbird look for what jane@example.test has.
func findDAV(t *testing.T, b *thunderbird) foundDAV {
	t.Helper()
	var found foundDAV
	b.run(t, davScript, &found, "jane@"+domain, password)
	return found
}

// findJMAP looks for the JMAP session of jane@example.test as RFC 8620 section 2.2 says: by SRV, then at the well-known
// path of that host, with the password. There is no client in Debian 12 that does.
func findJMAP(t *testing.T, w *world) {
	t.Helper()
	_, records, err := net.DefaultResolver.LookupSRV(t.Context(), "jmap", "tcp", domain)
	if err != nil || len(records) != 1 {
		t.Fatalf("look for JMAP: %v, %d records", err, len(records))
	}
	at := &url.URL{Scheme: "https", Host: net.JoinHostPort(strings.TrimSuffix(records[0].Target, "."), fmt.Sprint(records[0].Port))}
	at = at.JoinPath("/.well-known/jmap")
	answer := ask(t, w, http.MethodGet, at.String(), "", "", "")
	if at, err = at.Parse(answer.Header.Get("Location")); err != nil {
		t.Fatal(err)
	}
	answer = ask(t, w, http.MethodGet, at.String(), "", "jane@"+domain, password)
	var session struct {
		Username     string
		Capabilities map[string]any
	}
	if err := json.Unmarshal(answer.body, &session); err != nil || session.Username != "jane@"+domain ||
		session.Capabilities["urn:ietf:params:jmap:core"] == nil {
		t.Errorf("the session at %s: %v, %s\n%s", at, err, answer.Status, answer.body)
	}
}

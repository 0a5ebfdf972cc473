//go:build real

package real

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// newDAVWorld starts the servers for calendars, address books and JMAP, and the sites that have none.
func newDAVWorld(t *testing.T) *world {
	t.Helper()
	w := &world{dir: publicDir(t), mailHost: newMailHost(t)}
	w.authority = newAuthority(t, w.dir, "Trusted")
	w.names, w.resolver = startNameServer(t, zoneFile(davHosts())), resolver
	startCyrus(t, w)
	startRadicale(t, w)
	startApache(t, w)
	return w
}

// davHosts are their addresses, for the zone.
func davHosts() string {
	hosts := cyrusName + ". IN A " + cyrusIPv4 + "\n" + radicaleName + ". IN A " + radicaleIPv4 + "\n"
	for _, s := range append(falseFriends, frontSite) {
		hosts += s.name + ". IN A " + apacheIPv4 + "\n"
	}
	return hosts
}

// ask sends a request and returns the answer to it, redirect or not, with its body read and closed. A user name is sent
// unless it is "".
func ask(t *testing.T, w *world, method, url, body, user, password string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == "PROPFIND" {
		request.Header.Set("Depth", "0")
	}
	if user != "" {
		request.SetBasicAuth(user, password)
	}
	roots := x509.NewCertPool()
	roots.AddCert(w.authority.root)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// TestDAVServersAnswer says what the servers answer, as curl showed it, without mailconfd.
func TestDAVServersAnswer(t *testing.T) {
	w := newDAVWorld(t)
	type answer struct {
		status                 int
		location, authenticate string
	}
	for _, test := range []struct {
		method, url string
		want        answer
	}{
		{"PROPFIND", "https://dav.example.test/.well-known/caldav", answer{301, "https://dav.example.test/dav/calendars", ""}},
		{"PROPFIND", "https://dav.example.test/dav/calendars", answer{401, "", "Basic"}},
		{"PROPFIND", "https://dav.example.test/.well-known/carddav", answer{301, "https://dav.example.test/dav/addressbooks", ""}},
		{"PROPFIND", "https://dav.example.test/dav/addressbooks", answer{401, "", "Basic"}},
		{"GET", "https://dav.example.test/.well-known/jmap", answer{301, "https://dav.example.test/jmap", ""}},
		{"GET", "https://dav.example.test/jmap", answer{401, "", "Basic"}},
		{"PROPFIND", "https://dav.example.test/.well-known/nonsense", answer{405, "", ""}},
		{"PROPFIND", "https://radicale.example.test/.well-known/caldav", answer{301, "/", ""}},
		{"PROPFIND", "https://radicale.example.test/", answer{401, "", "Basic"}},
		{"GET", "https://radicale.example.test/.well-known/jmap", answer{404, "", ""}},
		{"PROPFIND", "https://front.example.test/.well-known/caldav", answer{301, "https://front.example.test/radicale/", ""}},
		{"PROPFIND", "https://front.example.test/radicale/", answer{401, "", "Basic"}},
		{"PROPFIND", "https://plain.example.test/.well-known/caldav", answer{405, "", ""}},
		{"PROPFIND", "https://webdav.example.test/", answer{207, "", ""}},
		{"PROPFIND", "https://webdav.example.test/.well-known/caldav", answer{404, "", ""}},
		{"PROPFIND", "https://password.example.test/.well-known/caldav", answer{401, "", "Basic"}},
		{"PROPFIND", "https://password.example.test/.well-known/nonsense", answer{401, "", "Basic"}},
	} {
		a := ask(t, w, test.method, test.url, "", "", "")
		scheme, _, _ := strings.Cut(a.Header.Get("WWW-Authenticate"), " ")
		got := answer{a.StatusCode, a.Header.Get("Location"), scheme}
		if got != test.want {
			t.Errorf("%s %s: %+v, want %+v", test.method, test.url, got, test.want)
		}
		_ = a.Body.Close()
	}
}


func TestDAVX(t *testing.T) {
	w := newDAVWorld(t)
	b := startThunderbird(t, w)
	for _, z := range []string{"_caldavs._tcp IN SRV 0 1 443 dav\n_caldavs._tcp IN TXT \"path=/dav/calendars\"\n_carddavs._tcp IN SRV 0 1 443 dav\n_carddavs._tcp IN TXT \"path=/dav/addressbooks\"\n",
		"_caldavs._tcp IN SRV 0 1 443 front\n_caldavs._tcp IN TXT \"path=/radicale/\"\n_carddavs._tcp IN SRV 0 1 443 front\n_carddavs._tcp IN TXT \"path=/radicale/\"\n",
		"_caldavs._tcp IN SRV 0 1 443 radicale\n_caldavs._tcp IN TXT \"path=/\"\n_carddavs._tcp IN SRV 0 1 443 radicale\n_carddavs._tcp IN TXT \"path=/\"\n"} {
		w.names.load(t, zoneFile(davHosts()+z))
		var found struct{ Calendars, Books []string }
		start := time.Now()
		b.run(t, davScript, &found, "jane@example.test", password)
		t.Logf("%v %+v", time.Since(start), found)
		start = time.Now()
		a,e:=runClient(t, w, "sh", "-euc", buildEvolution, "sh", "jane@example.test", "collections")
		t.Logf("%v %s\n%s", time.Since(start), a, e)
	}
}
var _ = cmp.Diff

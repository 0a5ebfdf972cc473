//go:build real

package real

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
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

// reply is the answer to a request, and its body.
type reply struct {
	*http.Response
	body []byte
}

// ask sends a request and returns the answer to it, a redirect for what it is. A user name and a password are sent
// unless it is "".
func ask(t *testing.T, w *world, method, url, body, user, password string) reply {
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
	response, err := transport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		t.Fatal(err)
	}
	return reply{response, content}
}

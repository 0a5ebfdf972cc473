package server_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"mailconfd/internal/server"
)

// TestPlainHTTP holds the rules of plain http: what is served there and what is sent on,
// and that nobody is ever sent to a host that is not ours.
func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	certificates, _ := loadPair(t, ca.issue("autoconfig.example.org", "*.customers.example", "canonical.example.net"))
	for _, c := range []struct {
		name, canonical, method, url string
		status                       int
		location                     string
	}{
		{"autoconfig with a certificate", "", "GET", "http://autoconfig.example.org" + main + "?emailaddress=jane%2Btag@example.org&x=+", 302, "https://autoconfig.example.org" + main + "?emailaddress=jane%2Btag@example.org&x=+"},
		{"autoconfig, port and capitals", "", "GET", "http://AUTOCONFIG.example.org:8080" + mailV1, 302, "https://autoconfig.example.org" + mailV1},
		{"autoconfig, wildcard certificate", "canonical.example.net", "GET", "http://shop.customers.example" + wellKnown, 302, "https://shop.customers.example" + wellKnown},
		{"autoconfig without a certificate", "canonical.example.net", "GET", "http://example.org" + main, 200, ""},
		{"autoconfig of a stranger", "", "GET", "http://evil.example" + main, 404, ""},
		{"Autodiscover, canonical", "canonical.example.net", "GET", "http://autodiscover.example.org" + discover, 302, "https://canonical.example.net" + discover},
		{"Autodiscover, posted", "canonical.example.net", "POST", "http://autodiscover.hosted.example/Autodiscover/Autodiscover.XML", 307, "https://canonical.example.net" + discover},
		{"Autodiscover, no canonical host", "", "GET", "http://autodiscover.example.org" + discover, 302, "https://autodiscover.example.org" + discover},
		{"Autodiscover, the domain itself", "", "GET", "http://example.org:80" + discover + "?emailaddress=x@evil.example", 302, "https://autodiscover.example.org" + discover},
		{"Autodiscover, a certificate for the host", "", "GET", "http://autodiscover.customers.example" + discover, 302, "https://autodiscover.customers.example" + discover},
		{"Autodiscover, a certificate for the host, and canonical", "canonical.example.net", "GET", "http://autodiscover.customers.example" + discover, 302, "https://canonical.example.net" + discover},
		{"Autodiscover, a certificate for the host, and canonical, posted", "canonical.example.net", "POST", "http://autodiscover.customers.example" + discover, 307, "https://autodiscover.customers.example" + discover},
		{"Autodiscover, the canonical host itself", "elsewhere.example.net", "GET", "http://elsewhere.example.net" + discover, 302, "https://elsewhere.example.net" + discover},
		{"Autodiscover of a stranger", "", "GET", "http://autodiscover.evil.example" + discover, 404, ""},
		{"Autodiscover of a stranger, canonical", "canonical.example.net", "POST", "http://autodiscover.evil.example" + discover, 404, ""},
		{"Autodiscover by number", "", "POST", "http://192.0.2.1" + discover, 404, ""},
		{"Autodiscover, look-up failed", "", "GET", "http://autodiscover.broken.example" + discover, 503, ""},
		{"Autodiscover, nothing verified", "", "GET", "http://autodiscover.down.example" + discover, 302, "https://autodiscover.down.example" + discover},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newServer(t, func(o *server.Options) { o.Certificates, o.CanonicalHost = certificates, c.canonical })
			body := ""
			if c.method == "POST" {
				body = outlook("jane@evil.example")
			}
			w := ask(t, s.Public(server.Redirect), c.method, c.url, body)
			if got := w.Header().Get("Location"); w.Code != c.status || got != c.location {
				t.Errorf("got %d %q, want %d %q", w.Code, got, c.status, c.location)
			}
			if c.location != "" && w.Header().Get("Cache-Control") != "no-store" {
				t.Errorf("a redirect may be kept: %v", w.Header())
			}
		})
	}
}

// TestForwardedProto: what a proxy says of its client is believed of trusted ones only.
func TestForwardedProto(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(o *server.Options) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	})
	for _, c := range []struct {
		peer, proto, path string
		door              server.Door
		status            int
	}{
		{"192.0.2.7:1234", "http", discover, server.Open, 302},
		{"192.0.2.7:1234", "HTTP , https", discover, server.Open, 302},
		{"[::ffff:192.0.2.7]:1234", "http", discover, server.Open, 302},
		{"[2001:db8::1]:1234", "http", discover, server.Open, 302},
		{"192.0.2.7:1234", "https", discover, server.Open, 200},
		{"192.0.2.7:1234", "", discover, server.Open, 200},
		{"192.0.2.7:1234", "http", main, server.Open, 200},
		{"198.51.100.1:1234", "http", discover, server.Open, 200},
		{"@", "http", discover, server.Open, 200},
		{"192.0.2.7:1234", "http", discover, server.Secure, 200},
		{"198.51.100.1:1234", "https", discover, server.Redirect, 302},
	} {
		w := ask(t, s.Public(c.door), "GET", "http://autodiscover.example.org"+c.path, "", func(r *http.Request) {
			r.RemoteAddr = c.peer
			r.Header.Set("X-Forwarded-Proto", c.proto)
			r.Header.Set("X-Forwarded-Host", "evil.example")
		})
		if w.Code != c.status || strings.Contains(w.Header().Get("Location"), "evil") {
			t.Errorf("%+v: got %d %v", c, w.Code, w.Header())
		}
	}
}

func TestCanonicalHostIsAName(t *testing.T) {
	t.Parallel()
	if _, err := server.New(server.Options{Finder: world, CanonicalHost: "https://x/"}); err == nil || !strings.Contains(err.Error(), "canonical_host") {
		t.Errorf("got %v", err)
	}
}

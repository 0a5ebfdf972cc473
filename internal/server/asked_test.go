package server_test

import (
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"mailconfd/internal/server"
	"mailconfd/settings"
)

func TestQueryAddress(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ query, want string }{
		{"", ""},
		{"emailaddress", ""},
		{"emailaddress=", ""},
		{"emailaddress=jane%40example.org", "jane@example.org"},             // Thunderbird
		{"emailaddress=jane%2Btag%40example.org", "jane+tag@example.org"},   // Thunderbird
		{"emailaddress=j%C3%A4ne%40example.org", "jäne@example.org"},        // Thunderbird
		{"emailaddress=a%26b%3Dc%25x%40example.org", "a&b=c%x@example.org"}, // Thunderbird
		{"emailaddress=jane%2Etag%40example.org", "jane.tag@example.org"},   // Delta Chat before it spared dots
		{"emailaddress=jane+tag@example.org", "jane+tag@example.org"},       // FairEmail, Nextcloud
		{"emailaddress=jane%20tag@example.org", "jane+tag@example.org"},     // a proxy that decoded the + on the way
		{"emailaddress=EVOLUTIONUSER%40example.org&emailmd5=0a", "EVOLUTIONUSER@example.org"},
		{"emailmd5=0a&emailaddress=jane@example.org", "jane@example.org"},
		{"a;emailaddress=jane@example.org;b=c", "jane@example.org"},
		{"EmailAddress=jane@example.org", "jane@example.org"},
		{"emailaddress=&emailaddress=jane@example.org", "jane@example.org"},
		{"emailaddress=jane@example.org&emailaddress=joe@example.org", "jane@example.org"},
		{"emailaddress=%EMAILADDRESS%", "%EMAILADDRESS%"},
		{"emailaddress=%25EMAILADDRESS%25", "%EMAILADDRESS%"},
		{"emailaddress=50%off@example.org", "50%off@example.org"},
		{"emailaddress=a%4@example.org", "a%4@example.org"},
		{"emailaddress=jane@example.org%", "jane@example.org%"},
		{"emailaddress=jane@example.org%2", "jane@example.org%2"},
		{"emailaddress=%20jane@example.org%20", "jane@example.org"},
		{"emailaddress=%22jane%20doe%22@example.org", `"jane doe"@example.org`},
		{"emailaddress=jane%2540example.org", "jane%40example.org"},
		{"emailaddress=a=b@example.org", "a=b@example.org"},
		{"myemailaddress=jane@example.org", ""},
	} {
		if got := server.QueryAddress(c.query); got != c.want {
			t.Errorf("%q: got %q, want %q", c.query, got, c.want)
		}
	}
}

func TestReadings(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		host string
		want []string
	}{
		{"example.org", []string{"example.org"}},
		{"Example.ORG.:443", []string{"example.org"}},
		{"autoconfig.example.org:8080", []string{"autoconfig.example.org", "example.org"}},
		{"AutoDiscover.example.org", []string{"autodiscover.example.org", "example.org"}},
		{"ua-auto-config.example.org", []string{"ua-auto-config.example.org", "example.org"}},
		{"autoconfig.autoconfig.example.org", []string{"autoconfig.autoconfig.example.org", "autoconfig.example.org"}},
		{"bücher.example", []string{"xn--bcher-kva.example"}},
		{"autodiscover.com", []string{"autodiscover.com"}},
		{"imap.example.org", []string{"imap.example.org"}},
		{"", nil},
		{":80", nil},
		{"localhost", nil},
		{"192.0.2.1:80", nil},
		{"[2001:db8::1]:80", nil},
		{"a..b", nil},
		{"example.org/..", nil},
		{"*.example.org", nil},
	} {
		if diff := cmp.Diff(c.want, server.Readings(server.HostName(c.host))); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.host, diff)
		}
	}
}

// TestQueryRoundTrip: however a client encodes an address, the same comes out.
func TestQueryRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		address := rapid.StringMatching(`[a-zäöü0-9!#$%&'*+/=?^_{|}~.-]{1,20}@[a-z]{1,10}\.example`).Draw(t, "address")
		const hex = "0123456789abcdefABCDEF"
		var encoded strings.Builder
		for i := range len(address) {
			c := address[i]
			if strings.IndexByte("&;%", c) >= 0 || rapid.Bool().Draw(t, "encode") {
				lower := rapid.SampledFrom([]string{hex[:16], hex[:10] + hex[16:]}).Draw(t, "case")
				encoded.WriteByte('%')
				encoded.WriteByte(lower[c>>4])
				encoded.WriteByte(lower[c&15])
				continue
			}
			encoded.WriteByte(c)
		}
		if got := server.QueryAddress("x=1&emailaddress=" + encoded.String() + "&y"); got != address {
			t.Fatalf("%q: got %q, want %q", encoded.String(), got, address)
		}
	})
}

// FuzzQuery: no query makes the server fall over, and an address that comes out of one is
// fit for every document.
func FuzzQuery(f *testing.F) {
	for _, seed := range []string{
		"", "emailaddress=jane%40example.org", "emailaddress=jane+tag@example.org;x", "emailaddress=%EMAILADDRESS%",
		"emailaddress=%", "emailaddress=%2", "emailaddress=%zz%40", "emailaddress=%22a%20b%22%40example.org", "emailaddress=@", "&;&=;",
		"emailaddress=%00@example.org", "emailaddress=\xff@example.org", "EMAILADDRESS=+ +@example.org",
	} {
		f.Add(seed)
	}
	s := newServer(f, nil)
	h := s.Public(server.Open)
	f.Fuzz(func(t *testing.T, query string) {
		address := server.QueryAddress(query)
		if len(address) > len(query) {
			t.Errorf("%q grew to %q", query, address)
		}
		w := ask(t, h, "GET", "http://example.org"+main, "", func(r *http.Request) { r.URL.RawQuery = query })
		a, err := settings.ParseAddress(address)
		switch {
		case err == nil && a.Domain == "example.org" && w.Code != 200:
			t.Errorf("%q: address %q got %d", query, address, w.Code)
		case err == nil && !utf8.ValidString(a.Local):
			t.Errorf("%q: local part %q", query, a.Local)
		case w.Code != 200 && w.Code != 400 && w.Code != 404 && w.Code != 503:
			t.Errorf("%q: status %d", query, w.Code)
		case w.Code == 400 && strings.Count(w.Body.String(), "\n") != 1:
			t.Errorf("%q: more than a line: %q", query, w.Body)
		}
	})
}

func FuzzHost(f *testing.F) {
	for _, seed := range []string{"", "example.org", "autoconfig.example.org:80", "[::1]:80", "autodiscover.", "xn--", "bücher.example.", "a..b", strings.Repeat("a.", 200)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		for _, reading := range server.Readings(server.HostName(host)) {
			if domain, err := settings.ParseDomain(reading); err != nil || domain != reading {
				t.Errorf("%q: reading %q is not canonical: %q, %v", host, reading, domain, err)
			}
		}
	})
}

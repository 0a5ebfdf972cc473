package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailconfd/internal/server"
)

// TestClients sends what each client sends, in the order of its look-ups, and expects
// the document every time. Sources: the clients' code as of August 2026, and captures of
// Thunderbird 153, KDE's ispdb 22.12, Evolution 3.46, Geary 43 and exchangelib 4.9.
func TestClients(t *testing.T) {
	t.Parallel()
	const (
		host, domain  = "https://autoconfig.example.org", "https://example.org"
		hostH, domH   = "http://autoconfig.example.org", "http://example.org"
		ad, encoded   = "https://autodiscover.example.org", "?emailaddress=jane%2Btag%40example.org"
		raw, md5      = "?emailaddress=jane+tag@example.org", "?emailaddress=EVOLUTIONUSER%40example.org&emailmd5=8eb1b522f60d11fa897de1dc6351b7e8"
		capitals      = "/Autodiscover/Autodiscover.xml"
		form, textXML = "application/x-www-form-urlencoded", "text/xml; charset=utf-8"
	)
	schemaFirst := `<?xml version="1.0" encoding="UTF-8"?><Autodiscover xmlns="https://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"><Request><AcceptableResponseSchema>https://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema><EMailAddress>autodiscover@example.org</EMailAddress></Request></Autodiscover>`
	s := newServer(t, nil)
	h := s.Public(server.Open)
	for _, c := range []struct {
		client string
		gets   []string
	}{
		{"Thunderbird", []string{host + main + encoded, domain + wellKnown + encoded, hostH + main + encoded, domH + wellKnown + encoded}},
		{"Thunderbird, by MX", []string{"https://autoconfig.in.hoster.example" + main + encoded, "https://autoconfig.hoster.example" + main + encoded}},
		{"Thunderbird for Android", []string{host + main, domain + wellKnown, hostH + main, domH + wellKnown}},
		{"Delta Chat", []string{host + main + "?emailaddress=jane%2Btag%40example.org", domain + wellKnown}},
		{"KMail", []string{host + main, hostH + main, domain + wellKnown}},
		{"Evolution", []string{host + main + md5, hostH + main + md5, domain + wellKnown + md5, domH + wellKnown + md5}},
		{"FairEmail, Nextcloud", []string{host + main + raw, domain + wellKnown + raw, hostH + main + raw, domH + wellKnown + raw}},
		{"Geary, Mailspring", []string{host + main, domain + wellKnown}},
		{"GNOME Online Accounts", []string{host + mailV1 + raw, host + main + raw, domain + wellKnown, hostH + main}},
		{"SnappyMail", []string{host + mailV1 + encoded, domain + wellKnown, hostH + main}},
		{"Horde", []string{hostH + main + encoded, domH + wellKnown}},
		{"aerc, Himalaya", []string{host + main + raw, domain + wellKnown, hostH + main + raw}},
	} {
		for _, url := range c.gets {
			w := ask(t, h, "GET", url, "")
			if diff := cmp.Diff(autoconfigFor(t, "example.org"), w.Body.String()); w.Code != 200 || diff != "" {
				t.Errorf("%s: GET %s: %d (-want +got):\n%s", c.client, url, w.Code, diff)
			}
			if !strings.HasPrefix(w.Header().Get("Content-Type"), "text/xml") {
				t.Errorf("%s: type %q", c.client, w.Header().Get("Content-Type"))
			}
		}
	}
	for _, c := range []struct{ client, method, url, mediaType, body, local string }{
		{"Thunderbird", "POST", ad + discover, textXML, outlook("jane+tag@example.org"), "jane+tag"},
		{"Thunderbird, root domain", "POST", domain + discover, textXML, outlook("jane+tag@example.org"), "jane+tag"},
		{"Thunderbird, & not escaped", "POST", ad + discover, textXML, outlook("a&b=c%x@example.org"), "a&b=c%x"},
		{"Outlook", "POST", domain + capitals, "text/xml", outlook("jane@example.org"), "jane"},
		{"FairEmail", "POST", domain + discover, form, outlook("jane@example.org"), "jane"},
		{"SnappyMail", "POST", ad + discover, "application/xml", schemaFirst, "autodiscover"},
		{"exchangelib", "POST", domain + capitals, "text/xml; charset=utf-8", "\ufeff" + outlook("jane@example.org"), "jane"},
		{"Delta Chat", "GET", domain + discover, "", "", ""},
		{"Delta Chat", "GET", ad + discover, "", "", ""},
	} {
		w := ask(t, h, c.method, c.url, c.body, withHeader("Content-Type", c.mediaType))
		if diff := cmp.Diff(autodiscoverFor(t, c.local, "example.org"), w.Body.String()); w.Code != 200 || diff != "" {
			t.Errorf("%s: %s %s: %d (-want +got):\n%s", c.client, c.method, c.url, w.Code, diff)
		}
	}
}

// TestBurst: Thunderbird sends everything at once, with the user's password to
// Autodiscover, and a slow answer to any of it costs the user five seconds.
func TestBurst(t *testing.T) {
	t.Parallel()
	addresses := start(t, newServer(t, nil), server.Open)
	c := client(t, addresses[0], nil)
	statuses := make(chan int)
	const many = 30
	for i := range many {
		go func() {
			url, method, body := "http://autoconfig.example.org"+main, "GET", ""
			if i%2 == 1 {
				url, method, body = "http://autodiscover.example.org"+discover, "POST", outlook("jane@example.org")
			}
			r, _ := http.NewRequest(method, url, strings.NewReader(body))
			r.SetBasicAuth("jane@example.org", "secret")
			w, err := c.Do(r)
			if err != nil {
				statuses <- 0
				return
			}
			_, _ = io.Copy(io.Discard, w.Body)
			_ = w.Body.Close()
			statuses <- w.StatusCode
		}()
	}
	for range many {
		if got := <-statuses; got != 200 {
			t.Errorf("got %d", got)
		}
	}
}

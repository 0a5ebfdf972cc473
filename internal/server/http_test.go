package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mailconfd/internal/server"
	"mailconfd/settings"
)

const (
	main       = "/mail/config-v1.1.xml"
	wellKnown  = "/.well-known/autoconfig/mail/config-v1.1.xml"
	mailV1     = "/.well-known/mail-v1.xml"
	discover   = "/autodiscover/autodiscover.xml"
	invalid    = "<ErrorCode>600</ErrorCode>"
	noProvider = "<ErrorCode>601</ErrorCode>"
)

// TestStatus holds the whole table of requests and answers.
func TestStatus(t *testing.T) {
	t.Parallel()
	h := newServer(t, nil).Public(server.Open)
	for _, c := range []struct {
		method, url, body string
		status            int
		want              string // part of the body
	}{
		// Who is asked for: the address alone, if there is one.
		{"GET", "http://autoconfig.example.org" + main + "?emailaddress=jane%40example.org", "", 200, "<domain>example.org</domain>"},
		{"GET", "http://autoconfig.example.org" + main + "?emailaddress=jane%40unknown.example", "", 404, "unknown.example"},
		{"GET", "http://unknown.example" + main + "?emailaddress=jane%40example.org", "", 200, "<domain>example.org</domain>"},
		{"GET", "http://192.0.2.1" + main + "?emailaddress=jane%40b%C3%BCcher.example", "", 200, "<domain>xn--bcher-kva.example</domain>"},
		{"GET", "http://[::1]:8080" + main + "?emailaddress=jane@EXAMPLE.ORG", "", 200, "<domain>example.org</domain>"},
		{"GET", "http://autoconfig.hoster.example" + main + "?emailaddress=jane%40hosted.example", "", 200, "<domain>hosted.example</domain>"},
		// Else Host, as it is and without the label; names, wildcards, MX.
		{"GET", "http://example.org" + main, "", 200, "<domain>example.org</domain>"},
		{"GET", "http://autoconfig.example.org" + wellKnown, "", 200, "<domain>example.org</domain>"},
		{"GET", "http://ua-auto-config.example.org" + mailV1, "", 200, "<domain>example.org</domain>"},
		{"GET", "http://autodiscover.EXAMPLE.org.:8080" + main, "", 200, "<domain>example.org</domain>"},
		{"GET", "http://autoconfig.xn--bcher-kva.example" + main, "", 200, "<domain>xn--bcher-kva.example</domain>"},
		{"GET", "http://autoconfig.named.example" + main, "", 200, "<domain>autoconfig.named.example</domain>"},
		{"GET", "http://autoconfig.shop.customers.example" + main, "", 200, "<domain>shop.customers.example</domain>"},
		{"GET", "http://shop.customers.example" + main, "", 200, "<domain>shop.customers.example</domain>"},
		{"GET", "http://autoconfig.hosted.example" + main, "", 200, "<domain>hosted.example</domain>"},
		{"GET", "http://imap.example.org" + main, "", 404, "imap.example.org"},
		{"GET", "http://autodiscover.example" + main, "", 404, "autodiscover.example"},
		{"GET", "http://127.0.0.1:8080" + main, "", 404, "no mail domain is named"},
		{"GET", "http://localhost" + discover, "", 404, "no mail domain is named"},
		// No usable address: Host.
		{"GET", "http://example.org" + main + "?emailaddress=", "", 200, "<domain>example.org</domain>"},
		{"GET", "http://example.org" + main + "?emailaddress=%25EMAILADDRESS%25", "", 200, "<domain>example.org</domain>"},
		{"GET", "http://example.org" + main + "?emailaddress=%EMAILADDRESS%", "", 200, "<domain>example.org</domain>"},
		{"GET", "http://example.org" + main + "?emailaddress=jane", "", 200, "<domain>example.org</domain>"},
		{"GET", "http://example.org" + main + "?emailaddress=@example.com", "", 200, "<domain>example.org</domain>"},
		{"GET", "http://example.org" + main + "?domain=x&x=jane@unknown.example;y", "", 200, "<domain>example.org</domain>"},
		// An address that is none.
		{"GET", "http://example.org" + main + "?emailaddress=jane@bad_domain", "", 400, `domain "bad_domain"`},
		{"GET", "http://example.org" + main + "?emailaddress=jane@", "", 400, `domain ""`},
		{"GET", "http://example.org" + main + "?emailaddress=jane@localhost", "", 400, "at least two labels"},
		{"GET", "http://example.org" + main + "?emailaddress=jane@192.0.2.1", "", 400, "IP address"},
		{"GET", "http://example.org" + main + "?emailaddress=ja%00ne@example.org", "", 400, "control character"},
		{"GET", "http://example.org" + main + "?emailaddress=ja%0d%0ane@example.org", "", 400, "control character"},
		{"GET", "http://example.org" + main + "?emailaddress=" + strings.Repeat("a", 65) + "@example.org", "", 400, "longer than"},
		{"GET", "http://example.org" + main + "?emailaddress=j%E4ne@example.org", "", 400, "UTF-8"},
		// What there is to say.
		{"GET", "http://soon.example" + main, "", 503, "being checked"},
		{"GET", "http://deciding.example" + main, "", 503, "being checked"},
		{"GET", "http://down.example" + discover, "", 503, "known to work"},
		{"GET", "http://broken.example" + main, "", 503, "could not be looked up"},
		{"GET", "http://alternate.example" + main, "", 200, "<port>2525</port>"},
		{"GET", "http://alternate.example" + discover, "", 404, "cannot be described"},
		// Autodiscover.
		{"POST", "http://autodiscover.example.org" + discover, outlook("jane@example.org"), 200, "<LoginName>jane@example.org</LoginName>"},
		{"POST", "http://example.org/Autodiscover/Autodiscover.xml", outlook("jane@hosted.example"), 200, "<LoginName>jane@hosted.example</LoginName>"},
		{"POST", "http://example.org/AUTODISCOVER/AUTODISCOVER.XML", outlook("jane@customers.example"), 404, noProvider},
		{"POST", "http://unknown.example" + discover, outlook("jane"), 404, noProvider},
		{"POST", "http://example.org" + discover, outlook("jane"), 200, "<Type>IMAP</Type>"},
		{"POST", "http://example.org" + discover, "", 200, "<Type>IMAP</Type>"},
		{"POST", "http://unknown.example" + discover, "", 404, noProvider},
		{"POST", "http://example.org" + discover, "<html>", 400, invalid},
		{"POST", "http://example.org" + discover, outlook("jane@bad_domain"), 400, invalid},
		{"POST", "http://example.org" + discover, outlook("jane@example.org") + strings.Repeat(" ", 16<<10), 400, invalid},
		{"POST", "http://example.org" + discover, strings.ReplaceAll(outlook("jane@example.org"), "outlook", "mobilesync"), 404, noProvider},
		{"POST", "http://example.org" + discover, outlook("jane@alternate.example"), 404, noProvider},
		{"POST", "http://example.org" + discover, outlook("jane@down.example"), 503, "known to work"},
		{"POST", "http://example.org" + discover, outlook("jane@broken.example"), 503, "could not be looked up"},
		{"GET", "http://autodiscover.example.org" + discover, "", 200, "<Type>SMTP</Type>"},
		{"GET", "http://autodiscover.example.org" + discover + "?emailaddress=jane@example.org", "", 200, "<LoginName>jane@example.org</LoginName>"},
		// Everything else.
		{"GET", "http://example.org/", "", 404, "nothing is kept here"},
		{"GET", "http://example.org/mail/", "", 404, "nothing is kept here"},
		{"GET", "http://example.org//mail/config-v1.1.xml", "", 404, "nothing is kept here"},
		{"GET", "http://example.org/mail/config-v1.1.xml/", "", 404, "nothing is kept here"},
		{"GET", "http://example.org/mail/../mail/config-v1.1.xml", "", 404, "nothing is kept here"},
		{"GET", "http://example.org/Mail/Config-v1.1.xml", "", 404, "nothing is kept here"},
		{"POST", "http://example.org/autodiscover/autodiscover.xml/", outlook("jane@example.org"), 404, "nothing is kept here"},
		{"POST", "http://example.org/autodiscover/autodiscover.svc", "", 404, "nothing is kept here"},
		{"GET", "http://example.org/autodiscover/autodiscover.json?Email=jane@example.org", "", 404, "nothing is kept here"},
		{"POST", "http://example.org" + main, "", 405, "Allow"},
		{"OPTIONS", "http://example.org" + main, "", 405, "Allow"},
		{"DELETE", "http://example.org" + discover, "", 405, "Allow"},
		{"OPTIONS", "http://example.org" + discover, "", 405, "Allow"},
		{"INVENTED", "http://example.org" + discover, "", 405, "Allow"},
	} {
		t.Run(c.method+" "+c.url, func(t *testing.T) {
			t.Parallel()
			w := ask(t, h, c.method, c.url, c.body)
			if w.Code != c.status || !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("got %d %q, want %d with %q", w.Code, w.Body, c.status, c.want)
			}
		})
	}
}

// TestHeaders pins the headers of each kind of answer, to the letter.
func TestHeaders(t *testing.T) {
	t.Parallel()
	h := newServer(t, nil).Public(server.Open)
	const cors, sniff = "Access-Control-Allow-Origin: *\n", "X-Content-Type-Options: nosniff\n"
	for _, c := range []struct{ name, method, url, body, want string }{
		{"document", "GET", "http://example.org" + main, "", cors + "Cache-Control: public, max-age=300\nContent-Length: #\nContent-Type: text/xml; charset=utf-8\nEtag: #\n" + sniff},
		{"posted", "POST", "http://example.org" + discover, outlook("jane@example.org"), cors + "Cache-Control: no-store\nContent-Length: #\nContent-Type: text/xml; charset=utf-8\nEtag: #\n" + sniff},
		{"unknown", "GET", "http://unknown.example" + main, "", cors + "Cache-Control: no-store\nContent-Length: #\nContent-Type: text/plain; charset=utf-8\n" + sniff},
		{"unknown to Outlook", "POST", "http://example.org" + discover, outlook("jane@unknown.example"), cors + "Cache-Control: no-store\nContent-Length: #\nContent-Type: text/xml; charset=utf-8\n" + sniff},
		{"not yet", "GET", "http://soon.example" + main, "", cors + "Cache-Control: no-store\nContent-Length: #\nContent-Type: text/plain; charset=utf-8\nRetry-After: 5\n" + sniff},
		{"not any more", "POST", "http://down.example" + discover, "", cors + "Cache-Control: no-store\nContent-Length: #\nContent-Type: text/plain; charset=utf-8\nRetry-After: 60\n" + sniff},
		{"look-up failed", "HEAD", "http://broken.example" + main, "", cors + "Cache-Control: no-store\nContent-Length: #\nContent-Type: text/plain; charset=utf-8\nRetry-After: 10\n" + sniff},
		{"method", "PUT", "http://example.org" + main, "", "Access-Control-Allow-Origin: *\nAllow: GET, HEAD\nCache-Control: no-store\nContent-Length: #\nContent-Type: text/plain; charset=utf-8\n" + sniff},
		{"options", "OPTIONS", "http://example.org/autodiscover/Autodiscover.xml", "", "Access-Control-Allow-Origin: *\nAllow: GET, HEAD, POST\nCache-Control: no-store\nContent-Length: #\nContent-Type: text/plain; charset=utf-8\n" + sniff},
		{"path", "GET", "http://example.org/favicon.ico", "", cors + "Cache-Control: no-store\nContent-Length: #\nContent-Type: text/plain; charset=utf-8\n" + sniff},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := ask(t, h, c.method, c.url, c.body)
			if n := w.Header().Get("Content-Length"); c.method != "HEAD" && n != fmt.Sprint(w.Body.Len()) {
				t.Errorf("Content-Length is %s, the body has %d", n, w.Body.Len())
			}
			for _, varies := range []string{"Content-Length", "Etag"} {
				if w.Header().Get(varies) != "" {
					w.Header().Set(varies, "#")
				}
			}
			var got strings.Builder
			_ = w.Header().Write(&got)
			if diff := cmp.Diff(c.want, strings.ReplaceAll(got.String(), "\r\n", "\n")); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	h := newServer(t, nil).Public(server.Open)
	for _, url := range []string{"http://example.org" + main, "http://example.org" + discover, "http://unknown.example" + wellKnown, "http://example.org/x"} {
		get, head := ask(t, h, "GET", url, ""), ask(t, h, "HEAD", url, "")
		if diff := cmp.Diff(get.Header(), head.Header()); diff != "" || head.Code != get.Code || head.Body.Len() != 0 {
			t.Errorf("%s: HEAD %d with %d bytes, headers (-GET +HEAD):\n%s", url, head.Code, head.Body.Len(), diff)
		}
	}
}

func TestEntityTag(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	h := s.Public(server.Open)
	const url = "http://example.org" + main
	tag := ask(t, h, "GET", url, "").Header().Get("Etag")
	if len(tag) != 24 || tag[0] != '"' {
		t.Fatalf("ETag %s", tag)
	}
	for _, c := range []struct {
		match  string
		status int
	}{
		{tag, 304},
		{"W/" + tag, 304},
		{`"other", ` + tag, 304},
		{"*", 304},
		{`"other"`, 200},
		{strings.Trim(tag, `"`), 200},
	} {
		w := ask(t, h, "GET", url, "", withHeader("If-None-Match", c.match))
		if w.Code != c.status || w.Header().Get("Etag") != tag || w.Header().Get("Cache-Control") == "" {
			t.Errorf("If-None-Match %s: got %d %v, want %d", c.match, w.Code, w.Header(), c.status)
		}
		if c.status == 304 && (w.Body.Len() != 0 || w.Header().Get("Content-Length") != "") {
			t.Errorf("If-None-Match %s: 304 with a body", c.match)
		}
	}
	if w := ask(t, h, "POST", "http://example.org"+discover, outlook("jane@example.org"), withHeader("If-None-Match", "*")); w.Code != 200 {
		t.Errorf("POST with If-None-Match: got %d", w.Code)
	}
	s.Publish("main", everything)
	if again := ask(t, h, "GET", url, "").Header().Get("Etag"); again != tag {
		t.Errorf("same settings, ETag was %s, is %s", tag, again)
	}
	s.Publish("main", alternate)
	if other := ask(t, h, "GET", url, "").Header().Get("Etag"); other == tag {
		t.Error("other settings, same ETag")
	}
}

// TestPublish follows a provider from before its first probe to after its last.
func TestPublish(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	h := s.Public(server.Open)
	step := func(what string, discoverStatus, autoconfigStatus int) {
		t.Helper()
		for path, want := range map[string]int{discover: discoverStatus, main: autoconfigStatus} {
			if w := ask(t, h, "GET", "http://soon.example"+path, ""); w.Code != want {
				t.Errorf("%s: %s is %d, want %d", what, path, w.Code, want)
			}
		}
	}
	step("before the first probe", 503, 503)
	if withheld := s.Publish("soon", everything); withheld != nil {
		t.Errorf("withheld: %v", withheld)
	}
	step("all verified", 200, 200)
	withheld := s.Publish("soon", alternate)
	if len(withheld) != 1 || !strings.Contains(withheld[0].Error(), "autodiscover is not published") {
		t.Errorf("withheld: %v", withheld)
	}
	step("only 2525", 404, 200)
	if withheld := s.Publish("soon", nothing); len(withheld) != 2 {
		t.Errorf("withheld: %v", withheld)
	}
	step("nothing left", 503, 503)
	s.Publish("soon", everything)
	s.Retire("soon")
	step("retired", 503, 503)
	if w := ask(t, h, "GET", "http://example.org"+main, ""); w.Code != 200 {
		t.Errorf("another provider: %d", w.Code)
	}
}

// TestRender holds that what render prints is what a client gets.
func TestRender(t *testing.T) {
	t.Parallel()
	h := newServer(t, nil).Public(server.Open)
	answers := server.Compile(everything)
	jane := settings.Address{Local: "jane", Domain: "example.org"}
	for _, c := range []struct {
		format           server.Format
		got, independent string
	}{
		{server.Autoconfig, ask(t, h, "GET", "http://x.example"+main+"?emailaddress=jane@example.org", "").Body.String(), autoconfigFor(t, "example.org")},
		{server.Autodiscover, ask(t, h, "POST", "http://x.example"+discover, outlook("jane@example.org")).Body.String(), autodiscoverFor(t, "jane", "example.org")},
	} {
		rendered, err := answers.Append([]byte("before"), c.format, jane)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff("before"+c.got, string(rendered)); diff != "" {
			t.Errorf("%s (-served +rendered):\n%s", c.format, diff)
		}
		if diff := cmp.Diff(c.independent, c.got); diff != "" {
			t.Errorf("%s (-compiled here +served):\n%s", c.format, diff)
		}
	}
	for _, c := range []struct {
		answers server.Answers
		format  server.Format
		want    string
	}{
		{server.Answers{}, server.Autoconfig, "nothing has been probed yet"},
		{answers, "postcard", "want one of [autoconfig autodiscover]"},
		{server.Compile(alternate), server.Autodiscover, "2525"},
	} {
		if _, err := c.answers.Append(nil, c.format, jane); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got error %v, want one with %q", c.format, err, c.want)
		}
	}
}

// TestConcurrentPublish lets the race detector look at readers beside writers.
func TestConcurrentPublish(t *testing.T) {
	t.Parallel()
	s := newServer(t, nil)
	h := s.Public(server.Open)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 100 {
			s.Publish([]string{"main", "soon"}[i%2], everything)
			s.Retire("soon")
		}
	}()
	for range 100 {
		if w := ask(t, h, "GET", "http://example.org"+main, ""); w.Code != http.StatusOK {
			t.Errorf("got %d", w.Code)
		}
	}
	<-done
}

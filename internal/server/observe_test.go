package server_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"mailconfd/internal/server"
)

// book is a log that can be read while it is written.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// leaky panics with what it is asked.
type leaky struct{ server.Finder }

func (l leaky) Find(ctx context.Context, readings ...string) (string, string, error) {
	switch readings[0] {
	case "panics.example":
		panic("asked for private@" + readings[0])
	case "bug.example":
		_ = readings[len(readings)]
	}
	return l.Finder.Find(ctx, readings...)
}

// TestPrivacy makes every kind of request and mistake with an address, a query and a
// password in it, and looks for them in all that was logged, at the lowest level.
func TestPrivacy(t *testing.T) {
	t.Parallel()
	var log book
	ca := newAuthority(t)
	certificates, _ := loadPair(t, ca.issue("autoconfig.example.org"))
	s := newServer(t, func(o *server.Options) {
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug - 8}))
		o.Finder, o.Certificates = leaky{world}, certificates
	})
	addresses := start(t, s, server.Open, server.Secure, server.Redirect)
	const password, basic = "hunter2", "cHJpdmF0ZUBleGFtcGxlLm9yZzpodW50ZXIy" // private@example.org:hunter2
	for _, domain := range []string{"example.org", "unknown.example", "down.example", "soon.example", "broken.example", "panics.example", "bug.example", "bad_domain", "example.org%0d%0aforged=1"} {
		for _, target := range []string{main, discover, "/private@" + strings.SplitN(domain, "%", 2)[0], "/x"} {
			for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS", "PRIVATE"} {
				request := method + " " + target + "?emailaddress=private@" + domain + "&password=" + password + " HTTP/1.1\r\nHost: autodiscover.example.org\r\n" +
					"Authorization: Basic " + basic + "\r\nUser-Agent: private\r\nReferer: http://private/\r\nX-Forwarded-For: private\r\nConnection: close\r\n"
				if method == "POST" {
					body := outlook("private@" + domain)
					request += "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body
				}
				exchange(t, addresses[0], request+"\r\n")
				exchange(t, addresses[2], request+"\r\n")
			}
		}
	}
	const plain = "GET " + main + "?emailaddress=private@example.org HTTP/1.1\r\nHost: example.org\r\nAuthorization: Basic " + basic + "\r\n\r\n"
	exchange(t, addresses[1], plain) // plain text to a TLS port
	talk(t, addresses[1], &tls.Config{ServerName: "autoconfig.example.org", InsecureSkipVerify: true, NextProtos: []string{"h2"}}, plain)
	talk(t, addresses[1], &tls.Config{ServerName: "autoconfig.example.org", InsecureSkipVerify: true}, plain+"PRIVATE private@example.org\r\n\r\n")
	exchange(t, addresses[0], "private@example.org "+password+"\r\n\r\n")

	got := log.String()
	for _, secret := range []string{"private", "PRIVATE", "emailaddress=", password, basic, "forged", "Basic", "?e"} {
		if i := strings.Index(got, secret); i >= 0 {
			t.Errorf("%q is in the log: …%s…", secret, got[max(0, i-200):min(len(got), i+200)])
		}
	}
	for _, told := range []string{"msg=request method=GET route=" + main + " status=200 domain=example.org took=", "status=503 domain=broken.example", "a request met a mistake", "index out of range", "panic=string", "method=other"} {
		if !strings.Contains(got, told) {
			t.Errorf("%q is not in the log", told)
		}
	}
	if n := strings.Count(got, "domain not looked up"); n != 1 {
		t.Errorf("failing look-ups were told %d times, want once a minute", n)
	}
}

// talk writes bytes over TLS and reads until the end.
func talk(t *testing.T, address string, config *tls.Config, text string) {
	t.Helper()
	c, err := tls.Dial("tcp", address, config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_, _ = io.WriteString(c, text)
	_ = c.CloseWrite()
	_, _ = io.Copy(io.Discard, c)
}

// TestPanic: a mistake of ours costs one client its answer.
func TestPanic(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	s := newServer(t, func(o *server.Options) { o.Finder, o.Metrics = leaky{world}, registry })
	h := s.Public(server.Open)
	w := ask(t, h, "GET", "http://panics.example"+main, "")
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "private") || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("got %d %v %q", w.Code, w.Header(), w.Body)
	}
	if w := ask(t, h, "GET", "http://example.org"+main, ""); w.Code != 200 {
		t.Errorf("the next request: %d", w.Code)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	s := newServer(t, func(o *server.Options) { o.Metrics = registry })
	h := s.Public(server.Open)
	ask(t, h, "GET", "http://example.org"+main, "")
	ask(t, h, "GET", "http://example.org"+main, "", withHeader("If-None-Match", "*"))
	ask(t, h, "POST", "http://example.org"+discover, outlook("jane@unknown.example"))
	ask(t, h, "PUT", "http://example.org"+discover, "")
	for i := range 50 {
		ask(t, h, "INVENTED"+string(rune('A'+i%26)), "http://example.org/"+strings.Repeat("x", i), "")
	}
	const want = `
# HELP mailconfd_http_requests_total Requests of mail clients, by the document asked for (none: no path of ours) and the status of the answer.
# TYPE mailconfd_http_requests_total counter
mailconfd_http_requests_total{format="autoconfig",status="200"} 1
mailconfd_http_requests_total{format="autoconfig",status="304"} 1
mailconfd_http_requests_total{format="autodiscover",status="404"} 1
mailconfd_http_requests_total{format="autodiscover",status="405"} 1
mailconfd_http_requests_total{format="none",status="404"} 50
`
	got, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	children := 0
	for _, family := range got {
		for _, m := range family.Metric {
			if c := m.GetCounter(); c != nil {
				children++
				if c.GetValue() == 0 {
					continue
				}
				line := family.GetName() + `{format="` + m.Label[0].GetValue() + `",status="` + m.Label[1].GetValue() + `"} ` + strconv.Itoa(int(c.GetValue())) + "\n"
				if !strings.Contains(want, line) {
					t.Errorf("unexpected: %s", line)
				}
			}
		}
	}
	if children > 3*9 {
		t.Errorf("%d children", children)
	}
	if n, err := testutil.GatherAndCount(registry, "mailconfd_http_request_seconds"); n != 3 || err != nil {
		t.Errorf("%d histograms, %v", n, err)
	}
}

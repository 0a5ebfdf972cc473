package server_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"mailconfd/autoconfig"
	"mailconfd/autodiscover"
	"mailconfd/internal/server"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// directory is a Finder: names, then wildcards, then MX, as server.Finder asks for.
type directory struct {
	names     map[string]string // domain -> provider
	wildcards map[string]string // parent -> provider
	mx        func(domain string) (provider string, err error)
}

func (d directory) Find(_ context.Context, readings ...string) (string, string, error) {
	for _, r := range readings {
		if p := d.names[r]; p != "" {
			return p, r, nil
		}
	}
	for _, r := range slices.Backward(readings) {
		_, parent, _ := strings.Cut(r, ".")
		if p := d.wildcards[parent]; p != "" {
			return p, r, nil
		}
	}
	last := readings[len(readings)-1]
	provider, err := d.mx(last)
	return provider, last, err
}

// world is what the tests are served from.
var world = directory{
	names: map[string]string{
		"example.org": "main", "xn--bcher-kva.example": "main", "autoconfig.named.example": "main",
		"named.example": "down", "soon.example": "soon", "deciding.example": "deciding",
		"down.example": "down", "alternate.example": "alternate",
	},
	wildcards: map[string]string{"customers.example": "main"},
	mx: func(domain string) (string, error) {
		switch domain {
		case "hosted.example":
			return "main", nil
		case "broken.example":
			return "", errors.New("lookup broken.example: server misbehaving")
		}
		return "", nil
	},
}

var (
	everything = settingstest.Verified("submission://mail.example.org", "imaps://mail.example.org", "pop3s://mail.example.org")
	alternate  = settingstest.Verified("submission://mail.example.org:2525", "imaps://mail.example.org")
	nothing    = settingstest.VerifyOnly(settingstest.Provider("submission://mail.example.org", "imaps://mail.example.org"))
)

// firstRound is what is verified when 465 has answered and 587 has not yet.
func firstRound() settings.Verified {
	p := settingstest.Provider("submission://mail.example.org", "submissions://mail.example.org", "imaps://mail.example.org")
	seen := map[settings.Service]settings.Views{}
	for _, s := range p.Services[1:] {
		seen[s] = settings.Views{settings.Fold(settingstest.Seen(s, settingstest.Now))}
	}
	return settings.Verify(p, seen, settingstest.Now, settings.DefaultPolicy()).Verified
}

// newServer serves the world.
func newServer(t testing.TB, edit func(*server.Options)) *server.Server {
	t.Helper()
	o := server.Options{
		Finder: world, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(), MaxAge: 5 * time.Minute,
	}
	if edit != nil {
		edit(&o)
	}
	s, err := server.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s.Publish("main", everything)
	s.Publish("alternate", alternate)
	s.Publish("down", nothing)
	s.Publish("deciding", firstRound())
	return s
}

// The documents, made without the server.
func autoconfigFor(t testing.TB, domain string) string {
	t.Helper()
	d, err := autoconfig.Compile(everything)
	if err != nil {
		t.Fatal(err)
	}
	return string(d.Append(nil, settings.Address{Domain: domain}))
}

func autodiscoverFor(t testing.TB, local, domain string) string {
	t.Helper()
	d, err := autodiscover.Compile(everything)
	if err != nil {
		t.Fatal(err)
	}
	return string(d.Append(nil, settings.Address{Local: local, Domain: domain}))
}

// outlook is the request that Outlook and Thunderbird post.
func outlook(address string) string {
	return `<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">
  <Request>
    <EMailAddress>` + address + `</EMailAddress>
    <AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema>
  </Request>
</Autodiscover>`
}

// ask asks a handler once.
func ask(t testing.TB, h http.Handler, method, url, body string, edit ...func(*http.Request)) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, url, strings.NewReader(body))
	for _, e := range edit {
		e(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func withHeader(name, value string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

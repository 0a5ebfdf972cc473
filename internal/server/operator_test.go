package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"mailconfd/internal/overview"
	"mailconfd/internal/overview/overviewtest"
	"mailconfd/internal/server"
	"mailconfd/internal/web"
	"mailconfd/settings"
)

// operator is an invented daemon.
type operator struct{ overview.Maker }

func (operator) Domain(_ context.Context, domain string) (overview.Domain, error) {
	switch domain {
	case "broken.example":
		return overview.Domain{}, errors.New("look up MX: server misbehaving")
	case "example.org", "xn--bcher-kva.example":
		return overview.Domain{
			Domain: domain, Provider: "main", Level: overview.Well,
			Formats: []overview.Format{{Format: "autoconfig", Published: true, Document: "<x/>"}, {Format: "autodiscover", Reason: overviewtest.Rude}},
			Records: json.RawMessage(`{"domain":"example.org","records":[],"withheld":[]}`),
		}, nil
	}
	return overview.Domain{}, server.ErrUnknownDomain
}

func operatorServer(t testing.TB) http.Handler {
	return newServer(t, func(o *server.Options) { o.Operator = operator{overviewtest.Maker(overviewtest.World())} }).Admin()
}

// TestAPI holds each answer against the description that the API gives of itself.
func TestAPI(t *testing.T) {
	t.Parallel()
	h := operatorServer(t)
	for _, tt := range []struct {
		path   string
		status int
		schema string
		holds  string
	}{
		{"/api/v1/services", 200, "Report", `"provider": "troubled"`},
		{"/api/v1/services?transcripts=true&limit=1&page=1", 200, "Report", `"transcript": [`},
		{"/api/v1/services?provider=main&transcripts=false", 200, "Report", `"pages": 1`},
		{"/api/v1/services?provider=nobody", 404, "Error", `there is no provider`},
		{"/api/v1/services?page=0", 400, "Error", `want a number from 1`},
		{"/api/v1/services?limit=101", 400, "Error", `from 1 to 100`},
		{"/api/v1/services?limit=99999999999999999999", 400, "Error", `from 1 to 100`},
		{"/api/v1/services?transcripts=1", 400, "Error", `want true or false`},
		{"/api/v1/services?page", 400, "Error", `want a number`},
		{"/api/v1/services?%zz", 400, "Error", `cannot be read`},
		{"/api/v1/services?colour=red", 400, "Error", `want provider, page, limit or transcripts`},
		{"/api/v1/domains/example.org", 200, "Domain", `"document": "<x/>"`},
		{"/api/v1/domains/EXAMPLE.org.", 200, "Domain", `"domain": "example.org"`},
		{"/api/v1/domains/b%C3%BCcher.example", 200, "Domain", `"domain": "xn--bcher-kva.example"`},
		{"/api/v1/domains/other.example", 404, "Error", `other.example: the domain is not served here`},
		{"/api/v1/domains/broken.example", 503, "Error", `could not be looked up`},
		{"/api/v1/domains/", 400, "Error", `want a mail domain`},
		{"/api/v1/domains/jane@example.org", 400, "Error", `want a mail domain`},
		{"/api/v1/domains/example.org/x", 400, "Error", `want a mail domain`},
		{"/api/v1/domains/..%2f..%2fetc", 400, "Error", `want a mail domain`},
		{"/api/v1/domains/" + strings.Repeat("a", 5000), 400, "Error", `want a mail domain`},
		{"/api/v1/domains", 404, "Error", `here are /`},
		{"/api/v2/services", 404, "Error", `here are /`},
	} {
		w := ask(t, h, http.MethodGet, tt.path, "")
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.holds) {
			t.Errorf("%s: got %d, want %d with %s\n%.400s", tt.path, w.Code, tt.status, tt.holds, w.Body)
		}
		if err := overviewtest.Validate(tt.schema, w.Body.Bytes()); err != nil {
			t.Errorf("%s: %v", tt.path, err)
		}
		if got := w.Header().Get("Content-Type"); got != "application/json" {
			t.Errorf("%s: Content-Type %q", tt.path, got)
		}
		head := ask(t, h, http.MethodHead, tt.path, "")
		if head.Code != w.Code || head.Body.Len() != 0 {
			t.Errorf("HEAD %s: %d with %d bytes", tt.path, head.Code, head.Body.Len())
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch} {
			if w := ask(t, h, method, tt.path, ""); w.Code < 400 || overviewtest.Validate("Error", w.Body.Bytes()) != nil {
				t.Errorf("%s %s: %d %s", method, tt.path, w.Code, w.Body)
			}
		}
	}
}

// TestDescriptionIsServed also looks that each path of the description is answered.
func TestDescriptionIsServed(t *testing.T) {
	t.Parallel()
	h := operatorServer(t)
	w := ask(t, h, http.MethodGet, "/api/v1/openapi.json", "")
	var api struct {
		OpenAPI string
		Paths   map[string]any
	}
	if err := json.Unmarshal(w.Body.Bytes(), &api); err != nil || w.Code != http.StatusOK || api.OpenAPI != "3.1.0" || len(api.Paths) != 3 {
		t.Fatalf("%d %v %+v", w.Code, err, api)
	}
	for path := range api.Paths {
		path = strings.ReplaceAll(path, "{domain}", "example.org")
		if w := ask(t, h, http.MethodGet, path, ""); w.Code != http.StatusOK {
			t.Errorf("%s: %d", path, w.Code)
		}
	}
}

func TestOperatorsPage(t *testing.T) {
	t.Parallel()
	h := operatorServer(t)
	for _, tt := range []struct{ query, holds, lacks string }{
		{"", "1 provider has a fault", "<script"},
		{"?days=90&page=7", "<b>90 days</b>", "<script"},
		{"?days=x&page=x&limit=x", "<b>7 days</b>", "<script"},
		{"?provider=main", "mail.example.org:587", "smtp.example.net"},
		{"?provider=" + url.QueryEscape(overviewtest.Rude), "there is no provider", "<script"},
		{"?domain=example.org", "autodiscover</b>", "smtp.example.net"},
		{"?domain=other.example", "other.example: the domain is not served here", "<script"},
		{"?domain=" + url.QueryEscape(overviewtest.Rude), "want a mail domain", "<script"},
		{"?domain=jane@example.org", "want a mail domain", "<script"},
	} {
		w := ask(t, h, http.MethodGet, "/"+tt.query, "")
		body := w.Body.String()
		if w.Code != http.StatusOK || !strings.Contains(body, tt.holds) || strings.Contains(body, tt.lacks) {
			t.Errorf("%s: %d; want %q, and not %q", tt.query, w.Code, tt.holds, tt.lacks)
		}
		for name, want := range map[string]string{
			"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": web.ContentSecurityPolicy(),
			"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", tt.query, name, got, want)
			}
		}
	}
	for _, method := range []string{http.MethodPost, http.MethodDelete} {
		if w := ask(t, h, method, "/", ""); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", method, w.Code, w.Header().Get("Allow"))
		}
	}
	if w := ask(t, newServer(t, nil).Admin(), http.MethodGet, "/", ""); w.Code != http.StatusNotFound {
		t.Errorf("without an Operator: %d", w.Code)
	}
}

// FuzzDomainPath: whatever follows /api/v1/domains/ and /?domain=, the answer is one of
// those described, and a page without markup of the asker's.
func FuzzDomainPath(f *testing.F) {
	for _, seed := range []string{"example.org", "bücher.example", "EXAMPLE.ORG.", "a..b", "..", "/", "%", "\x00", "jane@example.org", overviewtest.Rude, "192.0.2.1", "xn--", strings.Repeat("a.", 200)} {
		f.Add(seed)
	}
	h := operatorServer(f)
	f.Fuzz(func(t *testing.T, text string) {
		w := ask(t, h, http.MethodGet, "/api/v1/domains/"+url.PathEscape(text), "")
		_, err := settings.ParseDomain(text)
		switch {
		case err != nil && w.Code != http.StatusBadRequest, err == nil && w.Code == http.StatusBadRequest:
			t.Errorf("%q is a domain: %t; got %d", text, err == nil, w.Code)
		}
		schema := "Error"
		if w.Code == http.StatusOK {
			schema = "Domain"
		}
		if err := overviewtest.Validate(schema, w.Body.Bytes()); err != nil {
			t.Error(err)
		}
		page := ask(t, h, http.MethodGet, "/?domain="+url.QueryEscape(text), "")
		if body := page.Body.String(); page.Code != http.StatusOK || strings.Contains(body, "<script") {
			t.Errorf("%q: %d", text, page.Code)
		}
	})
}

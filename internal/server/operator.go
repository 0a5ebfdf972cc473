package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"mailconfd/internal/overview"
	"mailconfd/internal/web"
	"mailconfd/settings"
)

// Operator knows what the admin listener tells beside metrics and health.
type Operator interface {
	// Report says what is known. It bounds its own waiting.
	Report(ctx context.Context, q overview.Query) overview.Report
	// Domain says what clients are told for a domain, which is canonical as
	// settings.ParseDomain gives it. ErrUnknownDomain: it is not served here; another
	// error: that could not be found out.
	Domain(ctx context.Context, domain string) (overview.Domain, error)
}

// ErrUnknownDomain is the error of a domain that is not served here.
var ErrUnknownDomain = errors.New("the domain is not served here: no name, wildcard or MX of the configuration leads to it")

// domainsPath is where a domain is asked for; the rest of the path is the domain.
const domainsPath = "/api/v1/domains/"

// operatorRoutes is what the operator's part of the admin listener answers, by GET and HEAD.
func (s *Server) operatorRoutes() map[string]http.HandlerFunc {
	if s.options.Operator == nil {
		return nil
	}
	return map[string]http.HandlerFunc{
		"/":                    s.page,
		"/api/v1/services":     s.services,
		domainsPath + "*":      s.domain,
		"/api/v1/openapi.json": func(w http.ResponseWriter, r *http.Request) { sayJSON(w, r, http.StatusOK, overview.OpenAPI()) },
	}
}

// page answers with the operator's page.
func (s *Server) page(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	p := web.Page{Days: web.DefaultSpan, Asked: strings.TrimSpace(q.Get("domain"))}
	if days, err := strconv.Atoi(q.Get("days")); err == nil && slices.Contains(web.Spans(), days) {
		p.Days = days
	}
	query := overview.Query{Provider: q.Get("provider"), Transcripts: true}
	query.Page, _ = strconv.Atoi(q.Get("page")) // whatever else it is: the first
	if p.Asked != "" {
		d, _, err := s.lookUp(r.Context(), p.Asked)
		if err != nil {
			p.Problem = err.Error()
		} else {
			p.Domain, query.Provider = &d, d.Provider
		}
	}
	p.Report = s.options.Operator.Report(r.Context(), query)
	if query.Provider != "" && len(p.Report.Providers) == 0 {
		p.Problem = fmt.Sprintf("there is no provider %q", query.Provider)
	}
	var body bytes.Buffer
	if err := p.Write(&body); err != nil {
		s.options.Log.Error("the operator's page met a mistake in mailconfd; please report it", "error", err)
		http.Error(w, "something went wrong here; it is in the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Security-Policy", web.ContentSecurityPolicy())
	private(w)
	send(w, r, http.StatusOK, "text/html; charset=utf-8", body.Bytes())
}

// services answers with a report.
func (s *Server) services(w http.ResponseWriter, r *http.Request) {
	query, err := parseQuery(r.URL.RawQuery)
	if err != nil {
		sayError(w, r, http.StatusBadRequest, err)
		return
	}
	report := s.options.Operator.Report(r.Context(), query)
	if query.Provider != "" && len(report.Providers) == 0 {
		sayError(w, r, http.StatusNotFound, fmt.Errorf("there is no provider %q", query.Provider))
		return
	}
	s.sayValue(w, r, report)
}

// parseQuery reads what a report is to hold.
func parseQuery(raw string) (q overview.Query, err error) {
	values, err := url.ParseQuery(raw)
	if err != nil {
		return q, errors.New("the query cannot be read: want KEY=VALUE&…, percent-encoded")
	}
	number := func(key string, text string, most int) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > most {
			return 0, fmt.Errorf("%s=%.40q: want a number from 1 to %d", key, text, most)
		}
		return n, nil
	}
	for key := range values {
		text := values.Get(key)
		switch key {
		case "provider":
			q.Provider = text
		case "page":
			q.Page, err = number(key, text, 1<<30)
		case "limit":
			q.Limit, err = number(key, text, overview.MaxLimit)
		case "transcripts":
			if q.Transcripts = text == "true"; !q.Transcripts && text != "false" {
				err = fmt.Errorf("transcripts=%.40q: want true or false", text)
			}
		default:
			err = fmt.Errorf("%.40q: want provider, page, limit or transcripts", key)
		}
		if err != nil {
			return overview.Query{}, err
		}
	}
	return q, nil
}

// domain answers with what clients are told for the domain in the path.
func (s *Server) domain(w http.ResponseWriter, r *http.Request) {
	d, status, err := s.lookUp(r.Context(), strings.TrimPrefix(r.URL.Path, domainsPath))
	if err != nil {
		sayError(w, r, status, err)
		return
	}
	s.sayValue(w, r, d)
}

// lookUp says what clients are told for a domain that somebody typed, or with which
// status it is not known.
func (s *Server) lookUp(ctx context.Context, text string) (d overview.Domain, status int, err error) {
	domain, err := settings.ParseDomain(text)
	if err != nil {
		return d, http.StatusBadRequest, fmt.Errorf("domain %.80q: want a mail domain, such as example.org", text)
	}
	d, err = s.options.Operator.Domain(ctx, domain)
	switch {
	case errors.Is(err, ErrUnknownDomain):
		return d, http.StatusNotFound, fmt.Errorf("%s: %w", domain, err)
	case err != nil:
		return d, http.StatusServiceUnavailable, fmt.Errorf("%s could not be looked up just now: %w", domain, err)
	}
	return d, http.StatusOK, nil
}

// sayValue answers with a value.
func (s *Server) sayValue(w http.ResponseWriter, r *http.Request, value any) {
	var body bytes.Buffer
	e := json.NewEncoder(&body)
	e.SetEscapeHTML(false) // it is no HTML, and documents can be read
	e.SetIndent("", "  ")
	if err := e.Encode(value); err != nil {
		s.options.Log.Error("an answer to the operator met a mistake in mailconfd; please report it", "error", err)
		sayError(w, r, http.StatusInternalServerError, errors.New("something went wrong here; it is in the log"))
		return
	}
	sayJSON(w, r, http.StatusOK, body.Bytes())
}

// sayError answers with what was wrong.
func sayError(w http.ResponseWriter, r *http.Request, status int, err error) {
	body, _ := json.Marshal(map[string]string{"error": err.Error()}) // texts only: it cannot fail
	sayJSON(w, r, status, append(body, '\n'))
}

func sayJSON(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	private(w)
	send(w, r, status, "application/json", body)
}

// private keeps an answer out of caches and other pages.
func private(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
}

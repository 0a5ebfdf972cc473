package server

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"mailconfd/autodiscover"
	"mailconfd/settings"
)

// autodiscoverPath is answered in any letter case: exchangelib and Outlook write it
// with capitals.
const autodiscoverPath = "/autodiscover/autodiscover.xml"

var (
	read        = []string{http.MethodGet, http.MethodHead}
	readAndPost = []string{http.MethodGet, http.MethodHead, http.MethodPost}
)

// routes is the whole public face.
var routes = []struct {
	path    string
	format  Format
	methods []string
}{
	{"/mail/config-v1.1.xml", Autoconfig, read},
	{"/.well-known/autoconfig/mail/config-v1.1.xml", Autoconfig, read},
	{"/.well-known/mail-v1.xml", Autoconfig, read}, // GNOME Online Accounts and SnappyMail ask here first
	{autodiscoverPath, Autodiscover, readAndPost},  // Delta Chat: GET; the others: POST
}

// Public returns what answers mail clients at a door; it is no handler for Admin.
// Nothing is ever redirected to make a path look better: clients lose a POST's body.
func (s *Server) Public(door Door) http.Handler {
	e := echo.New()
	nothing := s.observe("", "", s.refuse(noSuchPath, ""))
	e.HTTPErrorHandler = func(_ error, c echo.Context) { _ = nothing(c) } // the router found no path
	for _, r := range routes {
		for _, method := range r.methods {
			e.Add(method, r.path, s.observe(r.path, r.format, s.serve(door, r.format)))
		}
		// Else Echo would answer OPTIONS itself, with a 204.
		e.RouteNotFound(r.path, s.observe(r.path, r.format, s.refuse(wrongMethod, strings.Join(r.methods, ", "))))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.URL.Path) == len(autodiscoverPath) && strings.EqualFold(r.URL.Path, autodiscoverPath) {
			r.URL.Path = autodiscoverPath
		}
		e.ServeHTTP(w, r)
	})
}

// handler answers a request and returns what may be told about it.
type handler func(w http.ResponseWriter, r *http.Request) result

// refuse answers everything with one outcome.
func (s *Server) refuse(o outcome, allow string) handler {
	return func(w http.ResponseWriter, r *http.Request) result {
		if allow != "" {
			w.Header().Set("Allow", allow)
		}
		res := result{outcome: o}
		s.sayNo(w, r, "", res)
		return res
	}
}

// serve answers a request for a document.
func (s *Server) serve(door Door, f Format) handler {
	return func(w http.ResponseWriter, r *http.Request) result {
		d, a, res := s.decide(r, door, f)
		if res.outcome == published {
			res.outcome = s.sayDocument(w, r, d, a, res.early)
		} else {
			s.sayNo(w, r, f, res)
		}
		return res
	}
}

// decide finds out what a request comes to: where it has to be made first, whom it is
// for, who serves that domain, and what can be told.
func (s *Server) decide(r *http.Request, door Door, f Format) (document, settings.Address, result) {
	if res, stop := s.toHTTPS(r, door, f); stop {
		return nil, settings.Address{}, res
	}
	a, known, res := s.asked(r, f)
	if res.outcome != published {
		return nil, a, res
	}
	var provider string
	if known {
		provider, _, res = s.find(r.Context(), a.Domain)
	} else {
		provider, a.Domain, res = s.find(r.Context(), readings(hostName(r.Host))...)
	}
	if res.outcome != published {
		return nil, a, res
	}
	d, res := s.answer(provider, f)
	res.domain = a.Domain
	return d, a, res
}

// asked returns the address that a request names; known is false where it names none.
func (s *Server) asked(r *http.Request, f Format) (a settings.Address, known bool, res result) {
	text := ""
	if f == Autodiscover && r.Method == http.MethodPost {
		if text, res = s.posted(r); res.outcome != published {
			return a, false, res
		}
	} else {
		text = queryAddress(r.URL.RawQuery)
	}
	a, known, err := parseAddress(text)
	if err != nil {
		res = result{outcome: malformed, detail: err.Error()}
	}
	return a, known, res
}

// posted returns the address in the body of a request, which is never read as a form:
// FairEmail says that it is one.
func (s *Server) posted(r *http.Request) (string, result) {
	buffer := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buffer)
	body, err := readAll((*buffer)[:0], io.LimitReader(r.Body, autodiscover.MaxRequest+1))
	*buffer = body
	if err != nil {
		return "", result{outcome: malformed, detail: "the request did not arrive whole"}
	}
	request, err := autodiscover.ParseRequest(body)
	var refused *autodiscover.Error
	switch {
	case errors.As(err, &refused) && refused.Code == autodiscover.NoProvider, request.MobileSync:
		return "", result{outcome: otherSchema}
	case err != nil:
		return "", result{outcome: malformed, detail: err.Error()}
	}
	return request.Address, result{}
}

// readAll reads everything into dst, which grows as it has to.
func readAll(dst []byte, r io.Reader) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		if err != nil {
			return dst, err
		}
	}
}

// find asks who serves one of the readings, and complains about look-ups that fail.
func (s *Server) find(ctx context.Context, readings ...string) (provider, domain string, res result) {
	if len(readings) == 0 {
		return "", "", result{outcome: unknown}
	}
	provider, domain, err := s.options.Finder.Find(ctx, readings...)
	asked := readings[len(readings)-1]
	switch {
	case err != nil:
		s.complaint.Do(func() { s.options.Log.Warn("domain not looked up", "domain", asked, "error", err) })
		return "", "", result{outcome: unsearchable, domain: asked}
	case provider == "":
		return "", "", result{outcome: unknown, domain: asked}
	}
	return provider, domain, result{domain: domain}
}

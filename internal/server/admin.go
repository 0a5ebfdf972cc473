package server

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Admin returns what answers the operator: the operator's page at /, the same as JSON
// below /api/v1, /metrics for Prometheus, /healthz (the process lives) and /readyz (it
// can answer, or what is missing). It belongs on a listener of its own that strangers do
// not reach. Everything is read only.
func (s *Server) Admin() http.Handler {
	e := echo.New()
	e.HTTPErrorHandler = func(_ error, c echo.Context) {
		complain(c.Response(), c.Request(), http.StatusNotFound, "here are /, /api/v1/services, /api/v1/domains/DOMAIN, /api/v1/openapi.json, /metrics, /healthz and /readyz")
	}
	if s.options.Metrics != nil {
		e.GET("/metrics", echo.WrapHandler(promhttp.HandlerFor(s.options.Metrics, promhttp.HandlerOpts{})))
	}
	for path, answer := range s.operatorRoutes() {
		e.Match(read, path, echo.WrapHandler(answer))
	}
	e.Match(read, "/healthz", func(c echo.Context) error { return c.String(http.StatusOK, "alive\n") })
	e.Match(read, "/readyz", func(c echo.Context) error {
		if err := s.options.Ready(); err != nil {
			return c.String(http.StatusServiceUnavailable, "not ready: "+err.Error()+"\n")
		}
		if err := s.options.State(); err != nil {
			return c.String(http.StatusOK, "ready; what is seen is kept in memory only: "+err.Error()+"\n")
		}
		return c.String(http.StatusOK, "ready\n")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(read, r.Method) {
			w.Header().Set("Allow", strings.Join(read, ", "))
			complain(w, r, http.StatusMethodNotAllowed, "this is read only: want GET or HEAD")
			return
		}
		e.ServeHTTP(w, r)
	})
}

// complain says what is wrong with a path or a method, to programs as JSON.
func complain(w http.ResponseWriter, r *http.Request, status int, text string) {
	if strings.HasPrefix(r.URL.Path, "/api/") {
		sayError(w, r, status, errors.New(text))
		return
	}
	private(w)
	send(w, r, status, textType, []byte(text+"\n"))
}

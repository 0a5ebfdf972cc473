package server

import (
	"net/http"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Admin returns what answers the operator: /metrics for Prometheus, /healthz (the
// process lives) and /readyz (it can answer, or what is missing). It belongs on a
// listener of its own that strangers do not reach.
func (s *Server) Admin() http.Handler {
	e := echo.New()
	e.HTTPErrorHandler = func(_ error, c echo.Context) {
		_ = c.String(http.StatusNotFound, "here are /metrics, /healthz and /readyz\n")
	}
	if s.options.Metrics != nil {
		e.GET("/metrics", echo.WrapHandler(promhttp.HandlerFor(s.options.Metrics, promhttp.HandlerOpts{})))
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
	return e
}

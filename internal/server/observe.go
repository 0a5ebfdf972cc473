package server

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics holds the children of the vectors, looked up once. Their labels are closed
// sets: no client can make a new one.
type metrics map[Format]*formatMetrics

type formatMetrics struct {
	requests [outcomes]prometheus.Counter
	seconds  prometheus.Observer
}

func newMetrics(registry *prometheus.Registry) metrics {
	requests := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailconfd_http_requests_total",
		Help: "Requests of mail clients, by the document asked for (none: no path of ours) and the status of the answer.",
	}, []string{"format", "status"})
	seconds := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "mailconfd_http_request_seconds",
		Help:    "How long an answer took. What is slow is an MX look-up.",
		Buckets: []float64{.001, .01, .1, .5, 1, 2, 5},
	}, []string{"format"})
	if registry != nil {
		registry.MustRegister(requests, seconds)
	}
	all := metrics{}
	for _, f := range append(Formats(), "") {
		label := cmp.Or(string(f), "none")
		m := &formatMetrics{seconds: seconds.WithLabelValues(label)}
		for o := range m.requests {
			m.requests[o] = requests.WithLabelValues(label, strconv.Itoa(replies[o].status))
		}
		all[f] = m
	}
	return all
}

// observe counts and logs what a handler does, and answers for it where it panics. It is
// the one middleware: several cost more than the answer. Path, query and headers are
// kept out of the log at every level: they hold addresses and passwords.
func (s *Server) observe(route string, f Format, h handler) echo.HandlerFunc {
	m := s.metrics[f]
	return func(c echo.Context) error {
		start := time.Now()
		res := s.guard(h, c.Response(), c.Request(), route)
		took := time.Since(start)
		m.requests[res.outcome].Inc()
		m.seconds.Observe(took.Seconds())
		if ctx := c.Request().Context(); s.options.Log.Enabled(ctx, slog.LevelDebug) {
			s.options.Log.LogAttrs(ctx, slog.LevelDebug, "request",
				slog.String("method", method(c.Request())), slog.String("route", route),
				slog.Int("status", c.Response().Status), slog.String("domain", res.domain), slog.Duration("took", took))
		}
		return nil
	}
}

// method returns the method of a request, or "other": a method is any word that a client
// makes up.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// guard runs a handler. A panic is a mistake of ours: it costs its client the answer,
// and nobody else anything.
func (s *Server) guard(h handler, w *echo.Response, r *http.Request, route string) (res result) {
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		s.options.Log.Error("a request met a mistake in mailconfd; please report it", "route", route, "panic", describe(p), "stack", string(debug.Stack()))
		res = result{outcome: bug}
		if !w.Committed {
			s.sayNo(w, r, "", res)
		}
	}()
	return h(w, r)
}

// describe says what a panic was. Only the runtime's own texts are sure to hold nothing
// of a client's.
func describe(p any) string {
	var err runtime.Error
	if e, ok := p.(error); ok && errors.As(e, &err) {
		return err.Error()
	}
	return fmt.Sprintf("%T", p)
}

package server_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mailconfd/internal/server"
)

// sink is a ResponseWriter that costs next to nothing.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(int)             {}
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }

// The benchmarks measure the handler alone, without sockets.
func benchmark(b *testing.B, method, url, body string) {
	h := newServer(b, nil).Public(server.Open)
	r := httptest.NewRequest(method, url, nil)
	reader := strings.NewReader(body)
	r.Body = readerNoClose{reader}
	w := &sink{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		reader.Reset(body)
		h.ServeHTTP(w, r)
	}
}

type readerNoClose struct{ *strings.Reader }

func (readerNoClose) Close() error { return nil }

func BenchmarkGET(b *testing.B) {
	benchmark(b, "GET", "http://autoconfig.example.org"+main+"?emailaddress=jane%40example.org", "")
}

func BenchmarkGETByHost(b *testing.B) {
	benchmark(b, "GET", "http://autoconfig.example.org"+main, "")
}

func BenchmarkPOST(b *testing.B) {
	benchmark(b, "POST", "http://autodiscover.example.org"+discover, outlook("jane@example.org"))
}

func BenchmarkUnknownDomain(b *testing.B) {
	benchmark(b, "GET", "http://unknown.example"+wellKnown, "")
}

func BenchmarkUnknownPath(b *testing.B) { benchmark(b, "GET", "http://example.org/favicon.ico", "") }

package server_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"mailconfd/internal/overview"
	"mailconfd/internal/server"
)

func TestAsk(t *testing.T) {
	t.Parallel()
	daemon := httptest.NewServer(operatorServer(t))
	defer daemon.Close()
	r, body, err := server.Ask(t.Context(), daemon.URL+"/")
	if err != nil || r.Level != overview.Fault || len(r.Providers) != 3 || len(body) == 0 {
		t.Fatalf("%v %+v", err, r)
	}
	if s := r.Providers[0].Services[0]; s.Service.Port != 2525 || s.Since == nil || len(s.Changes) != 3 {
		t.Errorf("%+v", s)
	}
}

func TestAskInVain(t *testing.T) {
	t.Parallel()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	answer := func(status int, mediaType, body string) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", mediaType)
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	for _, tt := range []struct{ admin, want string }{
		{"127.0.0.1:9090", "want the URL of the admin listener"},
		{"", "want the URL"},
		{"file:///etc/passwd", "want the URL"},
		{"http://" + closed.Addr().String(), "connection refused; is mailconfd serve running"},
		{"http://user:secret@" + closed.Addr().String(), "connection refused"},
		{"http://127.0.0.1:1/\x7f", "want the URL"},
		{answer(200, "text/html", "hello"), "is not the admin listener of this version"},
		{answer(404, "application/json", "{}"), "(404 Not Found) is not the admin listener"},
		{answer(302, "text/plain", ""), "(302 Found) is not the admin listener"},
		{answer(200, "application/json", `{"providers": 3}`), "cannot be read"},
		{answer(200, "application/json", ""), "cannot be read"},
	} {
		_, _, err := server.Ask(t.Context(), tt.admin)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v; want %q", tt.admin, err, tt.want)
		}
	}
}

package server_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"mailconfd/internal/server"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// The first answers are given before every probe has ended: they may not be kept, and
// what is missing may still come.
func TestEarlyAnswers(t *testing.T) {
	t.Parallel()
	p := settingstest.Provider("submission://smtp.example.org:587", "submission://smtp.example.org:2525", "submissions://smtp.example.org:465", "imaps://imap.example.org")
	histories := map[settings.Service]settings.Views{}
	for url, works := range map[string]bool{"submission://smtp.example.org:587": false, "submission://smtp.example.org:2525": true, "imaps://imap.example.org": true} {
		s := settingstest.Service(url)
		histories[s] = settings.Views{settings.Fold(settingstest.Failed(s, settingstest.Now, settings.FailureRefused))}
		if works {
			histories[s] = settings.Views{settings.Fold(settingstest.Seen(s, settingstest.Now))}
		}
	}
	verified := settings.Verify(p, histories, settingstest.Now, settings.DefaultPolicy()).Verified
	s := newServer(t, nil)
	s.Publish("main", verified)
	for _, tt := range []struct {
		path   string
		status int
		keep   string
	}{
		{"/mail/config-v1.1.xml", http.StatusOK, "public, max-age=5"},
		{"/autodiscover/autodiscover.xml", http.StatusServiceUnavailable, "no-store"}, // 465 may be there in a moment
	} {
		r := httptest.NewRequest(http.MethodGet, tt.path, nil)
		r.Host = "autoconfig.example.org"
		w := httptest.NewRecorder()
		s.Public(server.Open).ServeHTTP(w, r)
		if w.Code != tt.status || w.Header().Get("Cache-Control") != tt.keep {
			t.Errorf("%s: got %d, %q, want %d, %q", tt.path, w.Code, w.Header().Get("Cache-Control"), tt.status, tt.keep)
		}
	}
}

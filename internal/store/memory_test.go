package store_test

import (
	"sync"
	"testing"
	"time"

	"mailconfd/internal/store"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	var m store.Memory
	seen := settingstest.Service("imaps://imap.example.org")
	never := settingstest.Service("imap://imap.example.org")
	if known, err := m.Histories(t.Context(), []settings.Service{seen, never}); err != nil || len(known) != 0 {
		t.Errorf("an empty store knows %v, %v", known, err)
	}
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			other := settings.Service{Scheme: settings.SchemeIMAPS, Host: "imap.example.net", Port: uint16(i + 1)}
			_, _ = m.Save(t.Context(), settingstest.Seen(other, settingstest.Now))
		})
	}
	wg.Wait()
	at := settingstest.Now.Add(time.Minute)
	for _, o := range []settings.Observation{settingstest.Seen(seen, settingstest.Now), settingstest.Failed(seen, at, settings.FailureRefused)} {
		if _, err := m.Save(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	known, err := m.Histories(t.Context(), []settings.Service{seen, never})
	if err != nil || len(known) != 1 {
		t.Fatalf("got %v, %v, want the one that was seen", known, err)
	}
	if h := known[seen]; !h.Success.At.Equal(settingstest.Now) || h.Failed.Count != 1 || !h.Newest.At.Equal(at) {
		t.Errorf("got %+v", h)
	}
}

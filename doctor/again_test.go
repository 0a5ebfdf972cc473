package doctor_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"mailconfd/doctor"
	"mailconfd/settings"
)

// switching is a world that changes over to another document after some answers.
type switching struct {
	*world
	mu      sync.Mutex
	answers map[string]int
	late    string // the URL that gives the old document once
}

func (s *switching) Fetch(ctx context.Context, r doctor.Request) doctor.Hop {
	h := s.world.Fetch(ctx, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	address, _, _ := strings.Cut(r.URL, "?")
	if s.answers[address]++; address == s.late && s.answers[address] == 1 {
		h.Body = []byte(strings.ReplaceAll(good, "993</port><socketType>SSL", "143</port><socketType>STARTTLS"))
	}
	return h
}

// TestSwitching: that a daemon changes over while it is asked is no finding; that two
// addresses differ for good is.
func TestSwitching(t *testing.T) {
	t.Parallel()
	const old = "143</port><socketType>STARTTLS"
	for differs, known := range map[bool]string{false: good, true: strings.ReplaceAll(good, "993</port><socketType>SSL", old)} {
		w := &switching{world: parseWorld(t, mailServers+get(mainHTTPS, good)+get(knownHTTPS, known)), answers: map[string]int{}, late: knownHTTPS}
		d, err := doctor.New(doctor.Options{World: w, Only: []string{"aerc"}})
		if err != nil {
			t.Fatal(err)
		}
		r := d.Examine(t.Context(), settings.Address{Local: "jane", Domain: "example.test"})
		if got := strings.Contains(findingLines(r), "paths_differ"); got != differs {
			t.Errorf("paths differ %t, want %t\n%s", got, differs, findingLines(r))
		}
		if n := w.answers[knownHTTPS]; n > 2 {
			t.Errorf("asked %d times", n)
		}
	}
}

//go:build real

package real

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"mailconfd/internal/store"
	"mailconfd/settings"
)

// TestCrash kills mailconfd by SIGKILL at random moments, from its first to its busiest. What the API of the admin
// listener had told before is in the state afterwards, and "state check" finds nothing.
//
// Lives take turns at ten vantages or more, so that each has something to do at once although those before took their
// leases with them. The servers are moody, so that many outcomes change.
func TestCrash(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		n := newTown(t)
		crash(t, n, n.sqlite())
	})
	t.Run("postgres", func(t *testing.T) {
		crash(t, newTown(t), startPostgres(t).database(t))
	})
}

func crash(t *testing.T, n *town, state string) {
	servers := n.crowd(t, 24)
	servers.moody.Store(true)
	told := acknowledged{entries: map[looked]time.Time{}, observations: map[observed]bool{}, changes: map[observed]bool{}}
	kills, vantages, inVain := sized(20, 200), sized(10, 20), 0
	for life := range kills {
		r := n.replica(t, plan{name: fmt.Sprintf("life-%d", life), state: state, services: servers.services, vantage: fmt.Sprintf("v%d", life%vantages)})
		r.start(t)
		before := len(told.observations)
		every(5*time.Millisecond, rand.N(time.Second), func() bool {
			told.listen(r)
			return true
		})
		if err := r.kill(); err != nil {
			t.Fatalf("life %d ended by itself: %v: %s", life, err, r.tail())
		}
		if len(told.observations) == before {
			inVain++
		}
		if told.generation > 0 {
			run(t, 0, "state", "check", "--state", state)
			told.compare(t, life, state)
		}
	}
	figure(t, "kills by SIGKILL (before a first acknowledgement)", "%d (%d)", kills, inVain)
	figure(t, "acknowledged: observations, changes", "%d, %d", len(told.observations), len(told.changes))
	figure(t, "acknowledged and lost", "%d", told.lost)
	if len(told.observations) < 5*kills || len(told.changes) < kills || inVain > kills/2 {
		t.Error("too little was acknowledged for this test to mean anything")
	}
}

type looked struct{ vantage, service string }

type observed struct {
	looked
	at int64 // milliseconds
}

// acknowledged is what was told to be saved.
type acknowledged struct {
	entries      map[looked]time.Time // the newest observation
	observations map[observed]bool    // all of them, to count
	changes      map[observed]bool
	generation   int64
	lost         int
}

// listen notes what a replica tells, if it answers. What it tells to have only in memory does not count.
func (a *acknowledged) listen(r *replica) {
	known, err := r.report()
	if err != nil || known.State.Error != "" {
		return
	}
	a.generation = max(a.generation, known.State.Generation)
	for _, p := range known.Providers {
		for _, s := range p.Services {
			for _, o := range s.Newest {
				at := looked{o.Vantage, s.Service.String()}
				a.observations[observed{at, o.At.UnixMilli()}] = true
				if o.At.After(a.entries[at]) {
					a.entries[at] = o.At
				}
			}
			for _, o := range s.Changes {
				a.changes[observed{looked{o.Vantage, s.Service.String()}, o.At.UnixMilli()}] = true
			}
		}
	}
}

// compare looks for all of it in the state.
func (a *acknowledged) compare(t *testing.T, life int, state string) {
	t.Helper()
	s, err := store.Reader(state)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	entries, generation, err := s.Since(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if generation < a.generation {
		a.miss(t, life, fmt.Errorf("generation %d, and %d was acknowledged", generation, a.generation))
	}
	kept := map[looked]time.Time{}
	changes := map[observed]bool{}
	services := map[settings.Service]bool{}
	for _, e := range entries {
		kept[looked{e.Vantage, e.Service.String()}] = e.History.Newest.At
		services[e.Service] = true
	}
	for service := range services {
		all, err := s.Changes(t.Context(), service, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range all {
			changes[observed{looked{o.Vantage, service.String()}, o.At.UnixMilli()}] = true
		}
	}
	for at, newest := range a.entries {
		if kept[at].Before(newest.Truncate(time.Millisecond)) {
			a.miss(t, life, fmt.Errorf("%v: the newest observation is of %v, and %v was acknowledged", at, kept[at], newest))
			delete(a.entries, at) // told once
		}
	}
	for change := range a.changes {
		if !changes[change] {
			a.miss(t, life, fmt.Errorf("an acknowledged change is not there: %v", change))
			delete(a.changes, change)
		}
	}
}

func (a *acknowledged) miss(t *testing.T, life int, err error) {
	t.Helper()
	a.lost++
	t.Errorf("after kill %d: %v", life+1, err)
}

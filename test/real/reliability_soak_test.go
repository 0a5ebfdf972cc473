//go:build real

package real

import (
	"fmt"
	"testing"
	"time"
)

// usage is what a process needs at a moment.
type usage struct{ resident, heap, goroutines, files float64 }

// TestSoak probes two hundred services each second and looks at what mailconfd needs. What it needs in the end is what it
// needed when it had warmed up.
func TestSoak(t *testing.T) {
	n := newTown(t)
	r := n.replica(t, plan{state: n.sqlite(), services: n.crowd(t, 200).services})
	r.start(t)
	r.ready(t)
	var samples []usage
	probes, wanted := 0.0, float64(sized(1500, 12000)) // the first sixth is to warm up
	begun := time.Now()
	every(500*time.Millisecond, 10*time.Minute, func() bool {
		var now usage
		probes, now = sample(t, r)
		if probes > wanted/6 {
			samples = append(samples, now)
		}
		return probes < wanted
	})
	took := time.Since(begun)
	verified, err := r.metric("mailconfd_probes_total", `outcome="verified"`)
	if err != nil {
		t.Fatal(err)
	}
	if probes < wanted || verified < probes || len(samples) < 8 {
		t.Fatalf("%v probes of %v, %v verified, %d samples", probes, wanted, verified, len(samples))
	}
	third := len(samples) / 3
	early, late := atRest(samples[:third]), atRest(samples[len(samples)-third:])
	figure(t, "probes, a second", "%.0f, %.0f", probes, probes/took.Seconds())
	figure(t, "resident memory at rest, between bursts of probes: at first, in the end (MiB)", "%.1f, %.1f", early.resident/(1<<20), late.resident/(1<<20))
	figure(t, "heap in use, the same (MiB)", "%.1f, %.1f", early.heap/(1<<20), late.heap/(1<<20))
	figure(t, "goroutines, the same", "%.0f, %.0f", early.goroutines, late.goroutines)
	figure(t, "open files, the same", "%.0f, %.0f", early.files, late.files)
	for _, c := range []struct {
		name              string
		early, late, room float64 // room is for the moments of garbage collection
	}{
		{"resident memory", early.resident, late.resident, 0.2*early.resident + 8<<20},
		{"heap", early.heap, late.heap, 0.5*early.heap + 4<<20},
		{"goroutines", early.goroutines, late.goroutines, 20},
		{"files", early.files, late.files, 10},
	} {
		if c.late > c.early+c.room {
			t.Errorf("%s grows: %.0f, then %.0f", c.name, c.early, c.late)
		}
	}
}

// sample returns the probes so far, and what the process needs now.
func sample(t *testing.T, r *replica) (probes float64, u usage) {
	t.Helper()
	for name, into := range map[string]*float64{
		"mailconfd_probes_total":        &probes,
		"process_resident_memory_bytes": &u.resident,
		"go_memstats_heap_inuse_bytes":  &u.heap,
		"go_goroutines":                 &u.goroutines,
		"process_open_fds":              &u.files,
	} {
		value, err := r.metric(name, "")
		if err != nil {
			t.Fatal(fmt.Errorf("ask for metrics: %w", err))
		}
		*into = value
	}
	return probes, u
}

// atRest returns the least of each: what is needed between two bursts of probes. Whatever leaks raises it.
func atRest(samples []usage) usage {
	least := samples[0]
	for _, s := range samples {
		least.resident = min(least.resident, s.resident)
		least.heap = min(least.heap, s.heap)
		least.goroutines = min(least.goroutines, s.goroutines)
		least.files = min(least.files, s.files)
	}
	return least
}

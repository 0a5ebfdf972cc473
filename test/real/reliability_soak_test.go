//go:build real

package real

import (
	"fmt"
	"slices"
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
	fifth := max(len(samples)/5, 2)
	early, late := middle(samples[:fifth]), middle(samples[len(samples)-fifth:])
	figure(t, "probes, a second", "%.0f, %.0f", probes, probes/took.Seconds())
	figure(t, "resident memory after the first sixth, in the end (MiB)", "%.1f, %.1f", early.resident/(1<<20), late.resident/(1<<20))
	figure(t, "heap in use (MiB)", "%.1f, %.1f", early.heap/(1<<20), late.heap/(1<<20))
	figure(t, "goroutines", "%.0f, %.0f", early.goroutines, late.goroutines)
	figure(t, "open files", "%.0f, %.0f", early.files, late.files)
	for _, c := range []struct {
		name              string
		early, late, room float64 // room is for the moment at which one looks
	}{
		{"resident memory", early.resident, late.resident, 0.1*early.resident + 8<<20},
		{"heap", early.heap, late.heap, 0.1*early.heap + 8<<20},
		{"goroutines", early.goroutines, late.goroutines, 200},
		{"files", early.files, late.files, 100},
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

// middle returns the median of each.
func middle(samples []usage) usage {
	median := func(of func(usage) float64) float64 {
		values := make([]float64, len(samples))
		for i, s := range samples {
			values[i] = of(s)
		}
		slices.Sort(values)
		return values[len(values)/2]
	}
	return usage{
		resident:   median(func(u usage) float64 { return u.resident }),
		heap:       median(func(u usage) float64 { return u.heap }),
		goroutines: median(func(u usage) float64 { return u.goroutines }),
		files:      median(func(u usage) float64 { return u.files }),
	}
}

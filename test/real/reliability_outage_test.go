//go:build real

package real

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"mailconfd/settings"
)

func isZero(v float64) bool   { return v == 0 }
func isOne(v float64) bool    { return v == 1 }
func positive(v float64) bool { return v > 0 }

// TestMailServersDown stops all mail servers, then mailconfd, and starts mailconfd again in the middle of the outage: clients
// are told what they were told before, from its first answer on. When the servers are back, they are seen again.
func TestMailServersDown(t *testing.T) {
	n := newTown(t)
	r := n.replica(t, plan{state: n.sqlite()})
	r.start(t)
	r.ready(t)
	r.waitForMetric(t, "mailconfd_services_published", "", func(v float64) bool { return v == 8 })
	before := steady(t, r)

	breakAll(t, n, settings.FailureRefused)
	r.waitForMetric(t, "mailconfd_services_published", `basis="grace"`, positive)
	during := steady(t, r)
	r.stop()
	restarted := time.Now()
	r.start(t)
	first := firstAnswer(t, r)
	figure(t, "restart in an outage of all mail servers: the first answer, after", "200, %v", time.Since(restarted).Round(time.Millisecond))
	if first != during || first.body != before.body {
		t.Errorf("before the outage\n%s\nin it\n%s\nafter the restart\n%s", before.body, during.body, first.body)
	}
	// Two rounds later it is still so: failures before and after the restart are counted together.
	failed := func(v float64) bool { return v >= 16 }
	r.waitForMetric(t, "mailconfd_probes_total", `outcome="refused"`, failed)
	if got, err := r.autoconfig(); err != nil || got != first {
		t.Errorf("after two more rounds: %v\n%s", err, got.body)
	}

	for _, s := range settings.Candidates(mailName) {
		if err := n.Mend(s); err != nil {
			t.Fatal(err)
		}
	}
	mended := time.Now()
	r.waitForMetric(t, "mailconfd_services_published", `basis="probed"`, func(v float64) bool { return v == 8 })
	figure(t, "all eight services are seen to work again after", "%v", time.Since(mended).Round(100*time.Millisecond))
	if got := steady(t, r); got.body != before.body {
		t.Errorf("after the outage\n%s\nwant\n%s", got.body, before.body)
	}
}

// steady returns what clients are told, which must be 200.
func steady(t *testing.T, r *replica) clientSees {
	t.Helper()
	got, err := r.autoconfig()
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// firstAnswer waits until the door is open, and returns what the first who enters is told.
func firstAnswer(t *testing.T, r *replica) (got clientSees) {
	t.Helper()
	r.eventually(t, startWithin, "answer", func() (err error) {
		if got, err = r.autoconfig(); got.status != 0 {
			return nil
		}
		return err
	})
	return got
}

// TestDatabaseDown takes PostgreSQL away from a mailconfd that serves, and gives it back.
func TestDatabaseDown(t *testing.T) {
	n, p := newTown(t), startPostgres(t)
	r := n.replica(t, plan{state: p.database(t)})
	r.start(t)
	r.ready(t)
	r.waitForMetric(t, "mailconfd_services_published", "", func(v float64) bool { return v == 8 })
	client := &steadyClient{replica: r, want: steady(t, r), running: true}
	watch := func(within time.Duration, name, labels string, right func(float64) bool) time.Duration {
		begun, reached := time.Now(), false
		every(10*time.Millisecond, within, func() bool {
			client.ask()
			if state, err := r.ask("http://"+r.admin+"/readyz", ""); err != nil {
				client.complaints = append(client.complaints, "readyz: "+state.body)
			}
			value, err := r.metric(name, labels)
			reached = err == nil && right(value)
			return !reached
		})
		if !reached {
			t.Fatalf("%s %s is not as it should be after %v", name, labels, within)
		}
		return time.Since(begun)
	}
	more := func(by float64) func(float64) bool {
		now, err := r.metric("mailconfd_probes_total", "")
		if err != nil {
			t.Fatal(err)
		}
		return func(v float64) bool { return v >= now+by }
	}

	p.stop()
	noticed := watch(10*time.Second, "mailconfd_state_up", "", isZero)
	if said, err := r.ask("http://"+r.admin+"/readyz", ""); err != nil || !strings.Contains(said.body, "in memory only") {
		t.Errorf("readyz says %q, %v", said.body, err)
	}
	watch(20*time.Second, "mailconfd_probes_total", "", more(16)) // it goes on looking
	p.start(t)
	back := watch(20*time.Second, "mailconfd_state_up", "", isOne)
	generation, err := r.metric("mailconfd_state_generation", "")
	if err != nil {
		t.Fatal(err)
	}
	saved := watch(30*time.Second, "mailconfd_state_generation", "", func(v float64) bool { return v >= generation+8 })
	figure(t, "database stopped: noticed after; back: used again after, eight observations saved after",
		"%v; %v, %v", noticed.Round(10*time.Millisecond), back.Round(10*time.Millisecond), (back + saved).Round(10*time.Millisecond))
	figure(t, "answers meanwhile; others than 200 with the same bytes and ETag, or not ready", "%d; %d", client.answers, len(client.complaints))
	if len(client.complaints) > 0 {
		t.Errorf("the first complaints: %q", client.complaints[:min(3, len(client.complaints))])
	}
}

// TestStartWithoutDatabase starts mailconfd while PostgreSQL is down. With mail servers it answers after its own first
// probes; where these know nothing either, it says 503, never 404, until the database is back.
func TestStartWithoutDatabase(t *testing.T) {
	n, p := newTown(t), startPostgres(t)
	state := p.database(t)
	r := n.replica(t, plan{state: state})
	r.start(t)
	r.ready(t)
	r.waitForMetric(t, "mailconfd_services_published", "", func(v float64) bool { return v == 8 })
	want := steady(t, r)
	r.stop()

	p.stop()
	begun := time.Now()
	r.start(t)
	statuses := answersUntil(t, r, want)
	figure(t, "start without the database: the same answer, after", "%v, until then %s", time.Since(begun).Round(10*time.Millisecond), statuses)
	r.stop()

	breakAll(t, n, settings.FailureTimeout) // nothing can be decided
	r.start(t)
	if got := firstAnswer(t, r); got.status != http.StatusServiceUnavailable {
		t.Errorf("with nothing known: %d %s", got.status, got.body)
	}
	p.start(t)
	begun = time.Now()
	statuses = answersUntil(t, r, want)
	figure(t, "start without database and mail servers; database back: the answer from it, after", "%v, until then %s",
		time.Since(begun).Round(10*time.Millisecond), statuses)
}

func breakAll(t *testing.T, n *town, kind settings.FailureKind) {
	t.Helper()
	for _, s := range settings.Candidates(mailName) {
		if err := n.Break(s, kind); err != nil {
			t.Fatal(err)
		}
	}
}

// answersUntil asks until clients are told what is wanted, and returns what else they got: refused connections, while the
// process starts, and 503 are good, anything else is not.
func answersUntil(t *testing.T, r *replica, want clientSees) string {
	t.Helper()
	unavailable := 0
	r.eventually(t, startWithin, "answer", func() error {
		got, err := r.autoconfig()
		switch {
		case got.body == want.body:
			return nil
		case got.status == 0:
		case got.status == http.StatusServiceUnavailable:
			unavailable++
		default:
			t.Errorf("%d %s", got.status, got.body)
		}
		return errors.Join(err, fmt.Errorf("status %d", got.status))
	})
	return fmt.Sprintf("%d times 503", unavailable)
}

//go:build real

package real

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// replicas starts three on a new database of one PostgreSQL and returns when all are ready and tell clients the same.
func replicas(t *testing.T, n *town, state string) []*replica {
	t.Helper()
	var all []*replica
	for i := range 3 {
		r := n.replica(t, plan{name: fmt.Sprintf("replica-%d", i+1), number: i, state: state})
		r.start(t)
		all = append(all, r)
	}
	for _, r := range all {
		r.ready(t)
	}
	all[0].eventually(t, startWithin, "agree", func() error {
		_, err := agreed(all)
		return err
	})
	return all
}

// agreed returns what all tell clients; it is an error if they differ.
func agreed(all []*replica) (clientSees, error) {
	var first clientSees
	for i, r := range all {
		got, err := r.autoconfig()
		if err != nil {
			return got, err
		}
		if i == 0 {
			first = got
		}
		if got != first {
			return got, fmt.Errorf("%s tells\n%s%s\nand %s\n%s%s", r.name, got.etag, got.body, all[0].name, first.etag, first.body)
		}
	}
	return first, nil
}

// TestReplicasAgree lets the submission service stop and work again. From the first replica that tells clients of it, all do
// within two seconds; and together they look no more often than one of them would, never two at once.
func TestReplicasAgree(t *testing.T) {
	n := newTown(t)
	state := startPostgres(t).database(t)
	all := replicas(t, n, state)
	const target = "192.0.2.10:993" // of imaps, which is well all the time
	begun := time.Now()
	before, _ := n.wire.connections(target)
	service := settingstest.Service("submission://" + mailName + ":587")
	now, err := agreed(all)
	if err != nil {
		t.Fatal(err)
	}
	var slowest time.Duration
	changes := sized(4, 20)
	for i := range changes {
		if i%2 == 0 {
			err = n.Break(service, settings.FailureRefused)
		} else {
			err = n.Mend(service)
		}
		if err != nil {
			t.Fatal(err)
		}
		var took time.Duration
		now, took = n.follow(t, all, now)
		slowest = max(slowest, took)
	}
	looked := time.Since(begun)
	after, _ := n.wire.connections(target)
	slots := int(looked/(900*time.Millisecond)) + 2 // an interval, less a tenth at most
	figure(t, "changes; the last replica told clients after the first within", "%d; %v", changes, slowest.Round(time.Millisecond))
	figure(t, "probes of a healthy service by three replicas, and slots for it", "%d, %d", after-before, slots)
	if after-before > slots {
		t.Error("it was probed more than once a slot")
	}
	checkOneAtATime(t, n)
}

// follow waits until a replica tells clients something else than before, and returns what all tell then, and how much later
// the last does.
func (n *town) follow(t *testing.T, all []*replica, before clientSees) (now clientSees, took time.Duration) {
	t.Helper()
	all[0].eventually(t, settleWithin, "tell the change", func() error {
		for _, r := range all {
			if got, err := r.autoconfig(); err != nil || got != before {
				return err
			}
		}
		return errors.New("nobody tells it")
	})
	first := time.Now()
	all[0].eventually(t, 2*time.Second, "agree on the change", func() (err error) {
		now, err = agreed(all)
		if err == nil && now == before {
			err = errors.New("the change is gone again")
		}
		return err
	})
	return now, time.Since(first)
}

// checkOneAtATime fails when there were ever two connections to one address and port at once.
func checkOneAtATime(t *testing.T, n *town) {
	t.Helper()
	target, most := n.wire.busiest()
	figure(t, "probes of one address and port at once, at most", "%d", most)
	if most != 1 {
		t.Errorf("%d probes of %s at once", most, target)
	}
}

// TestReplicasKilled kills one of three replicas each second, and starts it again. Clients ask all that run, a hundred
// times a second each, and get one and the same answer. At last every service is looked at again.
func TestReplicasKilled(t *testing.T) {
	n := newTown(t)
	all := replicas(t, n, startPostgres(t).database(t))
	want, err := agreed(all)
	if err != nil {
		t.Fatal(err)
	}
	var asking sync.WaitGroup
	var over atomic.Bool
	clients := make([]*steadyClient, len(all))
	for i, r := range all {
		clients[i] = &steadyClient{replica: r, want: want, running: true}
		asking.Go(func() {
			every(10*time.Millisecond, 10*time.Minute, func() bool {
				clients[i].ask()
				return !over.Load()
			})
		})
	}
	kills, seconds := 0, time.Duration(sized(15, 60))
	every(time.Second, seconds*time.Second, func() bool {
		c := clients[kills%len(clients)]
		c.restart(t)
		kills++
		return true
	})
	if sized(false, true) {
		lookAgain(t, all[0])
	}
	over.Store(true)
	asking.Wait()
	answers, complaints := 0, []string(nil)
	for _, c := range clients {
		answers += c.answers
		complaints = slices.Concat(complaints, c.complaints)
	}
	figure(t, "kills, one a second", "%d", kills)
	figure(t, "answers; others than 200 with the same bytes and ETag", "%d; %d", answers, len(complaints))
	if answers < 100*kills || len(complaints) > 0 {
		t.Errorf("%d answers; the first complaints: %q", answers, complaints[:min(3, len(complaints))])
	}
	checkOneAtATime(t, n)
}

// lookAgain waits until all services are looked at again, also those that were leased by the killed.
func lookAgain(t *testing.T, r *replica) {
	t.Helper()
	killed := time.Now()
	r.eventually(t, 130*time.Second, "look at everything again", func() error {
		oldest, err := r.metric("mailconfd_oldest_observation_age_seconds", "role=")
		if err == nil && oldest > 12 { // the oldest of each of four roles, a few seconds each
			err = fmt.Errorf("the oldest observations of all roles together are %v s old", oldest)
		}
		return err
	})
	figure(t, "after the last kill, all services are looked at again after", "%v (a lease is 2m)", time.Since(killed).Round(time.Second))
}

// steadyClient asks one replica while it runs, as a balancer in front of it would.
type steadyClient struct {
	*replica
	want clientSees

	mu         sync.Mutex // held while the client waits for an answer, and while the replica is killed
	running    bool
	answers    int
	complaints []string
}

// ask asks once. Until a new process has opened its door, nobody is sent there; its first answer counts.
func (c *steadyClient) ask() {
	c.mu.Lock()
	defer c.mu.Unlock()
	got, err := c.autoconfig()
	if !c.running && got.status == 0 {
		return
	}
	c.running = true
	c.answers++
	switch {
	case err != nil:
		c.complaints = append(c.complaints, err.Error())
	case got != c.want:
		c.complaints = append(c.complaints, "another answer: "+got.etag+"\n"+got.body)
	}
}

func (c *steadyClient) restart(t *testing.T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.kill(); err != nil {
		t.Errorf("%s had ended by itself: %v", c.name, err)
	}
	c.running = false
	c.start(t)
}

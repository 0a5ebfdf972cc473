package publish

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Task is a zone to be kept in step.
type Task struct {
	Name     string        // of the zone; a task takes the place of one with the same name
	Interval time.Duration // there is at most one change in so much time; it is looked at as often
	Brake    Brake         // its Fates are set anew each time
	// Scope is that of a Job. Records of ours outside of it are told and left alone.
	Scope func(owner string) bool
	// Wanted returns what the zone should hold, and the fates of what it does not any more. With an error
	// the zone is left as it is: ErrNotYet while the first looks are under way, another when something fails.
	Wanted func(context.Context) (Records, Fates, error)
	// Publish carries a job out, as Zone.Publish does.
	Publish func(context.Context, Job) (Plan, error)
}

// ErrNotYet says that it is not known yet what a zone should hold. It is no failure.
var ErrNotYet = errors.New("it is not known yet what the zone should hold")

// Keeper keeps zones in step with what is wanted, each by itself: it looks when it is
// woken and once an interval, and changes a zone at most once an interval. What fails
// is tried again then. It logs what changes, and a failure once.
type Keeper struct {
	log     *slog.Logger
	updates *prometheus.CounterVec
	atOnce  chan struct{}

	mu    sync.Mutex
	kept  map[string]*kept
	ended sync.WaitGroup
}

// kept is a zone under way.
type kept struct {
	stop context.CancelFunc
	wake chan struct{}

	mu     sync.Mutex
	task   Task
	status Status
	held   []Held // by the last look that went well

	// What follows belongs to the zone's goroutine.
	missing  map[service]time.Time // the Brake's
	changed  time.Time             // when it was last changed
	failure  string                // what was last logged of it, without digits
	reported []string              // the remarks of the last look
}

// maxAtOnce bounds how many zones are looked at at once.
const maxAtOnce = 8

// Outcomes of a change, beside the kinds of [Error].
const (
	outcomeChanged = "changed"
	outcomeFailed  = "failed" // for a reason that is not the server's
)

// NewKeeper makes a keeper of no zones. The registerer may be nil.
func NewKeeper(log *slog.Logger, metrics prometheus.Registerer) *Keeper {
	k := &Keeper{log: log, kept: map[string]*kept{}, atOnce: make(chan struct{}, maxAtOnce)}
	k.updates = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "mailconfd_dns_updates_total", Help: "Attempts to bring a DNS zone in step: changed, or why it failed. A zone that is in step counts nothing.",
	}, []string{"outcome"})
	k.updates.WithLabelValues(outcomeChanged)
	k.updates.WithLabelValues(outcomeFailed)
	for _, kind := range Kinds() {
		k.updates.WithLabelValues(string(kind))
	}
	if metrics != nil {
		metrics.MustRegister(k.updates)
	}
	return k
}

// Declare sets which zones are kept, until ctx ends. Zones that stay are looked at again;
// what was published in zones that go stays there.
func (k *Keeper) Declare(ctx context.Context, tasks []Task) {
	k.mu.Lock()
	defer k.mu.Unlock()
	named := map[string]bool{}
	for _, t := range tasks {
		named[t.Name] = true
		z := k.kept[t.Name]
		if z == nil {
			z = &kept{wake: make(chan struct{}, 1)}
			k.kept[t.Name] = z
			zone, stop := context.WithCancel(ctx)
			z.stop = stop
			z.set(t)
			k.ended.Go(func() { k.keep(zone, z) })
		}
		z.set(t)
		z.nudge()
	}
	for name, z := range k.kept {
		if !named[name] {
			z.stop()
			delete(k.kept, name)
		}
	}
}

// Wake lets every zone be looked at soon: what is wanted may have changed.
func (k *Keeper) Wake() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, z := range k.kept {
		z.nudge()
	}
}

func (z *kept) set(t Task) { z.mu.Lock(); defer z.mu.Unlock(); z.task = t }
func (z *kept) get() Task  { z.mu.Lock(); defer z.mu.Unlock(); return z.task }

func (z *kept) nudge() {
	select {
	case z.wake <- struct{}{}:
	default:
	}
}

// Wait returns when every zone has ended, after the ctx of Declare has.
func (k *Keeper) Wait() { k.ended.Wait() }

// keep looks after one zone until ctx ends.
func (k *Keeper) keep(ctx context.Context, z *kept) {
	for {
		timer := time.NewTimer(z.get().Interval)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-z.wake:
		case <-timer.C:
		}
		timer.Stop()
		if z.brake(ctx) != nil {
			return
		}
		select {
		case k.atOnce <- struct{}{}:
		case <-ctx.Done():
			return
		}
		k.bring(ctx, z, z.get())
		<-k.atOnce
	}
}

// brake waits until an interval has passed since the last change, whatever wakes us. The
// interval may become another in the meantime.
func (z *kept) brake(ctx context.Context) error {
	for {
		left := time.Until(z.changed.Add(z.get().Interval))
		if left <= 0 || ctx.Err() != nil {
			return ctx.Err()
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
		case <-z.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// bring does what there is to do to a zone.
func (k *Keeper) bring(ctx context.Context, z *kept, t Task) {
	wanted, fates, err := t.Wanted(ctx)
	if ctx.Err() != nil || errors.Is(err, ErrNotYet) {
		return
	}
	if err != nil {
		k.settle(z, t, Plan{}, nil, err)
		return
	}
	t.Brake.Fates, t.Brake.missing = fates, z.missing
	var held []Held
	plan, err := t.Publish(ctx, Job{Scope: t.Scope, KeepLast: !t.Brake.AllowEmpty, Wanted: func(ours Records) (records Records, err error) {
		records, held = t.Brake.Hold(ours, wanted, time.Now())
		return records, nil
	}})
	z.missing = t.Brake.missing
	if ctx.Err() != nil {
		return
	}
	if !plan.Empty() {
		z.changed = time.Now()
	}
	k.settle(z, t, plan, held, err)
}

// settle counts, tells and remembers how a look went.
func (k *Keeper) settle(z *kept, t Task, plan Plan, held []Held, err error) {
	k.count(plan, err)
	k.tell(z, t, plan, held, err)
	z.note(time.Now(), plan, held, z.reported, err)
}

func (k *Keeper) count(plan Plan, err error) {
	var e *Error
	switch {
	case errors.As(err, &e):
		k.updates.WithLabelValues(string(e.Kind)).Inc()
	case err != nil:
		k.updates.WithLabelValues(outcomeFailed).Inc()
	case !plan.Empty():
		k.updates.WithLabelValues(outcomeChanged).Inc()
	}
}

// tell logs what is new: changes, what stays for now or is not ours, and a failure and
// its end, once. A run that fails may have changed something before.
func (k *Keeper) tell(z *kept, t Task, plan Plan, held []Held, err error) {
	log := k.log.With("zone", t.Name)
	if err == nil && z.failure != "" {
		z.failure = ""
		log.Info("DNS is in step again")
	}
	for _, rr := range plan.Delete {
		log.Info("DNS record taken away", "record", text(rr))
	}
	for _, rr := range plan.Add {
		log.Info("DNS record published", "record", text(rr))
	}
	if err != nil {
		if words := withoutDigits(err.Error()); z.failure != words {
			z.failure = words
			log.Error("DNS is not in step: "+err.Error(), "again_in", t.Interval.String())
		}
		return
	}
	report := remarks(plan, held)
	for _, line := range report {
		if !slices.Contains(z.reported, line) {
			log.Warn(line)
		}
	}
	z.reported = report
}

// withoutDigits makes failures alike that differ in a clock or a serial number only.
func withoutDigits(text string) string {
	return strings.Map(func(r rune) rune {
		if '0' <= r && r <= '9' {
			return '#'
		}
		return r
	}, text)
}

// remarks says what is not as wanted although nothing failed.
func remarks(plan Plan, held []Held) []string {
	var all []string
	for _, f := range plan.Conflicts() {
		line := "DNS record left alone: " + f.String()
		if f.Adoptable() {
			line += "; mailconfd publish --adopt takes it over"
		}
		all = append(all, line)
	}
	if len(plan.Elsewhere) > 0 {
		all = append(all, "DNS has records of ours for domains that are not listed: "+strings.Join(plan.Elsewhere, ", ")+"; mailconfd unpublish takes them back, domain by domain")
	}
	for _, h := range slices.Concat(held, plan.Held) {
		switch {
		case h.Last:
			all = append(all, "DNS record stays, since its domain would have no other for the same use: "+text(h.Record)+"; allow_empty lets it go")
		case !h.Until.IsZero():
			all = append(all, "DNS record stays until "+h.Until.UTC().Format(time.RFC3339)+", although its service does not answer: "+text(h.Record))
		}
	}
	return all
}

package publish_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"mailconfd/internal/publish"
)

const (
	imap        = "_imap._tcp.example.org. 3600 IN SRV 10 1 143 mail.example.org."
	imapsFirst  = "_imaps._tcp.example.org. 3600 IN SRV 10 1 993 mail.example.org."
	imapNever   = "_imap._tcp.example.org. 3600 IN SRV 0 0 0 ."
	submission  = "_submission._tcp.example.org. 3600 IN SRV 0 1 587 mail.example.org."
	submission2 = "_submission._tcp.example.org. 3600 IN SRV 20 1 587 mail.example.org."
	submissions = "_submissions._tcp.example.org. 3600 IN SRV 10 1 465 mail.example.org."
)

const (
	imapAlias       = "_imap._tcp.example.org. 3600 IN CNAME _imap._tcp.hoster.example."
	imapsAlias      = "_imaps._tcp.example.org. 3600 IN CNAME _imaps._tcp.hoster.example."
	submissionAlias = "_submission._tcp.example.org. 3600 IN CNAME _submission._tcp.hoster.example."

	dav          = "_caldavs._tcp.example.org. 3600 IN SRV 0 1 443 dav.example.org."
	davPath      = `_caldavs._tcp.example.org. 3600 IN TXT "path=/dav/"`
	davOther     = "_caldavs._tcp.example.org. 3600 IN SRV 0 1 443 other.example.org."
	davOtherPath = `_caldavs._tcp.example.org. 3600 IN TXT "path=/other/"`
)

var now = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

func TestHold(t *testing.T) {
	t.Parallel()
	type lists = []string
	tests := map[string]struct {
		ours, wanted, holds lists // holds: what is to be there in the end
		fate                publish.Fate
		after               time.Duration // since it was first seen to be missing
		allowEmpty          bool
	}{
		"all is as wanted":         {ours: lists{imaps, submission}, wanted: lists{imaps, submission}, holds: lists{imaps, submission}},
		"free":                     {ours: lists{imaps, submission, submissions}, wanted: lists{imaps, submissions}, holds: lists{imaps, submissions}},
		"missing":                  {ours: lists{imaps, submission, submissions}, wanted: lists{imaps, submissions}, fate: publish.Missing, holds: lists{imaps, submission2, submissions}},
		"missing for too long":     {ours: lists{imaps, submission, submissions}, wanted: lists{imaps, submissions}, fate: publish.Missing, after: time.Hour, holds: lists{imaps, submissions}},
		"pending":                  {ours: lists{imaps, submission, submissions}, wanted: lists{imaps, submissions}, fate: publish.Pending, after: time.Hour, holds: lists{imaps, submission2, submissions}},
		"another priority":         {ours: lists{imaps, submission}, wanted: lists{imapsFirst, submission}, fate: publish.Missing, holds: lists{imapsFirst, submission}},
		"the last submission":      {ours: lists{imaps, submission, submissions}, wanted: lists{imaps}, holds: lists{imaps, submission, submissions}},
		"the last retrieval":       {ours: lists{imaps, submission}, wanted: lists{submission}, fate: publish.Missing, after: time.Hour, holds: lists{imaps, submission}},
		"the last, as told":        {ours: lists{imaps, submission}, wanted: lists{}, allowEmpty: true, holds: lists{}},
		"there never was one":      {ours: lists{imaps}, wanted: lists{imaps}, holds: lists{imaps}},
		"IMAP for POP3 is enough":  {ours: lists{strings.ReplaceAll(imaps, "imaps", "pop3s"), submission}, wanted: lists{imap, submission}, holds: lists{imap, submission}},
		"not offered is held back": {ours: lists{imap, imaps}, wanted: lists{imapNever, imaps}, fate: publish.Missing, holds: lists{imap, imaps}},
		"not offered goes":         {ours: lists{imapNever, imaps}, wanted: lists{imaps}, fate: publish.Missing, holds: lists{imaps}},
		"not offered is no record": {ours: lists{imap}, wanted: lists{imapNever}, holds: lists{imap}},
		"the other domain has one": {
			ours: lists{submission, strings.ReplaceAll(submission, "_tcp", "_tcp.sub")}, wanted: lists{submission},
			holds: lists{submission, strings.ReplaceAll(submission, "_tcp", "_tcp.sub")},
		},
		"behind already": {ours: lists{imaps, submission2, submissions}, wanted: lists{imaps, submissions}, fate: publish.Missing, holds: lists{imaps, submission2, submissions}},
		"IMAP behind POP3": {
			ours: lists{imaps, imap, submission}, wanted: lists{strings.ReplaceAll(imaps, "imaps", "pop3s"), submission}, fate: publish.Missing,
			holds: lists{strings.ReplaceAll(imaps, "imaps", "pop3s"), imapsFirst, strings.Replace(imap, "SRV 10", "SRV 20", 1), submission},
		},
		"nothing to be behind of": {ours: lists{imaps, imap, submission}, wanted: lists{submission}, fate: publish.Missing, holds: lists{imaps, imap, submission}},
		"at the same name":        {ours: lists{imaps, imapsOther, submission}, wanted: lists{imapsOther, submission}, fate: publish.Pending, holds: lists{imapsFirst, imapsOther, submission}},
		"with its text":           {ours: lists{dav, davPath}, wanted: lists{}, fate: publish.Missing, holds: lists{dav, davPath}},
		"no text for another":     {ours: lists{dav, davPath}, wanted: lists{davOther}, fate: publish.Missing, holds: lists{strings.Replace(dav, "SRV 0", "SRV 10", 1), davOther}},
		"with another text":       {ours: lists{dav, davPath}, wanted: lists{davOther, davOtherPath}, fate: publish.Missing, holds: lists{strings.Replace(dav, "SRV 0", "SRV 10", 1), davOther, davOtherPath}},
		"the end of the priorities": {
			ours: lists{imaps}, wanted: lists{strings.Replace(imapsOther, "SRV 0", "SRV 65535", 1)}, fate: publish.Missing,
			holds: lists{strings.Replace(imaps, "SRV 0", "SRV 65535", 1), strings.Replace(imapsOther, "SRV 0", "SRV 65535", 1)},
		},
		"aliases take their place":    {ours: lists{imaps, submission}, wanted: lists{imapsAlias, submissionAlias}, fate: publish.Missing, holds: lists{imapsAlias, submissionAlias}},
		"a set takes their place":     {ours: lists{imapsAlias, submissionAlias}, wanted: lists{imaps, submission}, fate: publish.Missing, holds: lists{imaps, submission}},
		"the last alias":              {ours: lists{imapsAlias, submissionAlias}, wanted: lists{imaps}, holds: lists{imaps, submissionAlias}},
		"no alias beside not offered": {ours: lists{imapAlias, submission}, wanted: lists{imapNever, submission}, holds: lists{imapAlias, submission}},
		"aliases, beside IMAP": {
			ours: lists{imaps, imap, submission}, wanted: lists{imapsAlias, submissionAlias}, fate: publish.Missing,
			holds: lists{imapsAlias, imap, submissionAlias},
		},
		"an alias goes": {ours: lists{alias}, wanted: lists{}, fate: publish.Pending, holds: lists{}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := publish.Brake{Grace: time.Hour, AllowEmpty: test.allowEmpty, Fates: func(string, string, uint16) publish.Fate { return test.fate }}
			ours, wanted := rrs(t, test.ours...), rrs(t, test.wanted...)
			b.Hold(ours, wanted, now)
			got, _ := b.Hold(ours, wanted, now.Add(test.after))
			if diff := cmp.Diff(lines(rrs(t, test.holds...)), lines(got)); diff != "" {
				t.Errorf("records (-want +got):\n%s", diff)
			}
			if again, _ := b.Hold(got, wanted, now.Add(test.after)); !cmp.Equal(lines(got), lines(again)) {
				t.Errorf("at the next look: %v, then %v", lines(got), lines(again))
			}
		})
	}
}

// TestMissingComesBack: the time begins anew when a service was back in between.
func TestMissingComesBack(t *testing.T) {
	t.Parallel()
	b := publish.Brake{Grace: time.Hour, Fates: func(string, string, uint16) publish.Fate { return publish.Missing }}
	both, one := rrs(t, submission, submissions), rrs(t, submissions)
	b.Hold(both, one, now)
	b.Hold(both, both, now.Add(30*time.Minute))
	_, held := b.Hold(both, one, now.Add(80*time.Minute))
	if len(held) != 1 || !held[0].Until.Equal(now.Add(140*time.Minute)) {
		t.Errorf("held: %+v", held)
	}
}

// TestMissingMoves: a record that is put behind others keeps the time that it has been missing for, and the
// zone does not change again and again; it stays ours.
func TestMissingMoves(t *testing.T) {
	t.Parallel()
	p, z := primary(t, zoneText)
	mustPublish(t, z, want(t, imaps, submission, submissions))
	b := publish.Brake{Grace: time.Hour, Fates: func(string, string, uint16) publish.Fate { return publish.Missing }}
	look := func(after time.Duration, holds ...string) publish.Plan {
		t.Helper()
		plan := mustPublish(t, z, publish.Job{KeepLast: true, Wanted: func(ours publish.Records) (publish.Records, error) {
			records, _ := b.Hold(ours, rrs(t, imaps, submissions), now.Add(after))
			return records, nil
		}})
		if len(plan.Foreign) > 0 {
			t.Errorf("after %s, foreign: %v", after, plan.Foreign)
		}
		var got []string
		for _, rr := range plan.Keep {
			got = append(got, rr.String())
		}
		for _, record := range holds {
			if !anyHolds(p.Records(), record) {
				t.Errorf("after %s, %s is not there: %v", after, record, got)
			}
		}
		return plan
	}
	look(0, imaps, submission2, submissions)
	for _, after := range []time.Duration{time.Minute, 59 * time.Minute} {
		if plan := look(after, imaps, submission2, submissions); !plan.Empty() {
			t.Errorf("after %s: %v", after, plan.Lines())
		}
	}
	if plan := look(time.Hour, imaps, submissions); len(plan.Delete) != 1 {
		t.Errorf("after an hour: %v", plan.Lines())
	}
}

// TestHoldIsStable: whatever the zone has and is to have, what comes of it stays as it is.
func TestHoldIsStable(t *testing.T) {
	t.Parallel()
	srv := rapid.Custom(func(t *rapid.T) dns.RR {
		label := rapid.SampledFrom([]string{"_imap", "_imaps", "_pop3s", "_submission", "_submissions", "_sieve"}).Draw(t, "label")
		return &dns.SRV{
			Hdr:      dns.RR_Header{Name: label + "._tcp.example.org.", Rrtype: dns.TypeSRV, Class: dns.ClassINET, Ttl: 3600},
			Priority: rapid.SampledFrom([]uint16{0, 10, 15, 20, 65530, 65535}).Draw(t, "priority"), Weight: 1, Port: 993,
			Target: rapid.SampledFrom([]string{"a.example.", "b.example.", "c.example."}).Draw(t, "target"),
		}
	})
	distinct := func(rr dns.RR) string { return rr.Header().Name + rr.(*dns.SRV).Target }
	rapid.Check(t, func(t *rapid.T) {
		ours, wanted := rapid.SliceOfNDistinct(srv, 0, 8, distinct).Draw(t, "ours"), rapid.SliceOfNDistinct(srv, 0, 8, distinct).Draw(t, "wanted")
		fates := map[string]publish.Fate{}
		for _, rr := range ours {
			fates[distinct(rr)] = rapid.SampledFrom([]publish.Fate{publish.Free, publish.Missing, publish.Pending}).Draw(t, "fate")
		}
		b := publish.Brake{Grace: time.Hour, Fates: func(owner, target string, _ uint16) publish.Fate { return fates[owner+target+"."] }}
		one, _ := b.Hold(ours, wanted, now)
		two, _ := b.Hold(one, wanted, now.Add(time.Minute))
		if !cmp.Equal(lines(one), lines(two)) {
			t.Errorf("first %v, then %v", lines(one), lines(two))
		}
	})
}

// keptZone is a zone in memory, and what a keeper is to do with it.
type keptZone struct {
	mu      sync.Mutex
	wanted  []dns.RR
	holds   []dns.RR
	fails   error
	reports publish.Plan // of a run that fails, or what is held
	changes []time.Time
	looks   int
	pending bool
	unknown error // why it is not known what is wanted
}

func (z *keptZone) want(records []dns.RR) { z.mu.Lock(); defer z.mu.Unlock(); z.wanted = records }

// seen returns what has come of the zone so far.
func (z *keptZone) seen() (holds []dns.RR, changes []time.Time, looks int) {
	z.mu.Lock()
	defer z.mu.Unlock()
	return slices.Clone(z.holds), slices.Clone(z.changes), z.looks
}

func (z *keptZone) held() int { holds, _, _ := z.seen(); return len(holds) }

func (z *keptZone) task(interval time.Duration) publish.Task {
	return publish.Task{
		Name: zone, Interval: interval, Brake: publish.Brake{Grace: time.Hour},
		Wanted: func(context.Context) (publish.Records, publish.Fates, error) {
			z.mu.Lock()
			defer z.mu.Unlock()
			var err error
			if z.pending {
				err = publish.ErrNotYet
			}
			return z.wanted, func(string, string, uint16) publish.Fate { return publish.Missing }, errors.Join(err, z.unknown)
		},
		Publish: func(_ context.Context, job publish.Job) (publish.Plan, error) {
			z.mu.Lock()
			defer z.mu.Unlock()
			z.looks++
			if z.fails != nil {
				return z.reports, z.fails
			}
			wanted, err := job.Wanted(z.holds)
			plan := publish.Difference(z.holds, wanted, marks(z.holds...), publish.Careful)
			plan.Held = z.reports.Held
			if !plan.Empty() {
				z.changes = append(z.changes, time.Now())
			}
			z.holds = wanted
			return plan, err
		},
	}
}

// pass lets time pass, and whatever is due happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// logged is a log that can be read while it is written.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string { l.mu.Lock(); defer l.mu.Unlock(); return l.text.String() }

// keep runs a test with a keeper of one zone, in time that passes at once.
func keep(t *testing.T, z *keptZone, test func(t *testing.T, ctx context.Context, k *publish.Keeper, log *logged)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log logged
		registry := prometheus.NewRegistry()
		k := publish.NewKeeper(slog.New(slog.NewTextHandler(&log, nil)), registry)
		ctx, stop := context.WithCancel(t.Context())
		defer func() { stop(); k.Wait() }()
		k.Declare(ctx, []publish.Task{z.task(10 * time.Minute)})
		synctest.Wait()
		test(t, ctx, k, &log)
		if problems, err := testutil.GatherAndLint(registry); err != nil || len(problems) > 0 {
			t.Errorf("%v %v", problems, err)
		}
	})
}

// TestKeeperBrakes: at most one change an interval, and nothing is lost too soon.
func TestKeeperBrakes(t *testing.T) {
	z := &keptZone{pending: true}
	keep(t, z, func(t *testing.T, _ context.Context, k *publish.Keeper, log *logged) {
		if _, _, looks := z.seen(); looks != 0 {
			t.Fatal("looked at before it is known what is wanted")
		}
		if s := k.Status(); len(s) != 1 || !s[0].Looked.IsZero() {
			t.Errorf("status before: %+v", s)
		}
		z.mu.Lock()
		z.pending, z.wanted = false, rrs(t, imaps, submission, submissions)
		z.mu.Unlock()
		k.Wake()
		synctest.Wait()
		if holds, changes, _ := z.seen(); len(changes) != 1 || len(holds) != 3 {
			t.Fatalf("changes %v", changes)
		}
		// What flaps is written once an interval.
		for i := range 20 {
			z.want(rrs(t, []string{imaps, imapsFirst}[i%2], submission, submissions))
			k.Wake()
			pass(time.Minute)
		}
		synctest.Wait()
		_, changes, _ := z.seen()
		for i := range len(changes) - 1 {
			if between := changes[i+1].Sub(changes[i]); between < 10*time.Minute {
				t.Errorf("two changes in %s", between)
			}
		}
		// What is missing goes after the time of grace, and the last never does.
		z.want(rrs(t, imaps, submissions))
		k.Wake()
		pass(50 * time.Minute)
		if z.held() != 3 {
			t.Errorf("gone within the time of grace: %d records", z.held())
		}
		pass(30 * time.Minute)
		if z.held() != 2 {
			t.Errorf("still there after the time of grace: %d records", z.held())
		}
		z.want(rrs(t, imaps))
		pass(3 * time.Hour)
		if z.held() != 2 || !strings.Contains(log.String(), "allow_empty") {
			t.Errorf("the last is gone, or nobody knows: %d records", z.held())
		}
	})
}

// TestKeeperFails: a failure is logged once and tried again; the zone is looked at once
// an interval, until it is let go.
func TestKeeperFails(t *testing.T) {
	z := &keptZone{wanted: nil}
	keep(t, z, func(t *testing.T, ctx context.Context, k *publish.Keeper, log *logged) {
		z.mu.Lock()
		z.fails, z.looks = &publish.Error{Kind: publish.KindRefused, Zone: zone, Server: "x", Text: "no"}, 0
		z.mu.Unlock()
		pass(time.Hour)
		synctest.Wait()
		if _, _, looks := z.seen(); looks != 6 || strings.Count(log.String(), "not in step") != 1 {
			t.Errorf("%d looks while it fails, log:\n%s", looks, log.String())
		}
		z.mu.Lock()
		z.fails = errors.New("another")
		z.mu.Unlock()
		pass(10 * time.Minute)
		z.mu.Lock()
		z.fails = nil
		z.mu.Unlock()
		pass(10 * time.Minute)
		synctest.Wait()
		if strings.Count(log.String(), "in step again") != 1 {
			t.Errorf("log:\n%s", log.String())
		}
		// A zone that is gone from the configuration is let alone.
		k.Declare(ctx, nil)
		_, _, before := z.seen()
		pass(time.Hour)
		if _, _, looks := z.seen(); looks != before {
			t.Error("looked at after it was let go")
		}
	})
}

// TestKeeperTellsTheLast: a record that is kept as its domain's last is logged, once.
func TestKeeperTellsTheLast(t *testing.T) {
	z := &keptZone{wanted: nil}
	keep(t, z, func(t *testing.T, _ context.Context, k *publish.Keeper, log *logged) {
		z.mu.Lock()
		z.reports = publish.Plan{Held: []publish.Held{{Record: rr(t, imaps), Last: true}}}
		z.mu.Unlock()
		pass(time.Hour)
		s := k.Status()[0]
		if s.Failing || !s.Looked.Equal(time.Now()) || !s.Changed.IsZero() || !s.Failed.IsZero() || len(s.Remarks) != 1 {
			t.Errorf("status: %+v", s)
		}
		if text := log.String(); strings.Count(text, "DNS record stays, since its domain would have no other") != 1 || !strings.Contains(text, imaps) {
			t.Errorf("log:\n%s", text)
		}
	})
}

// TestKeeperTellsWhatWasDone: what a run changed before it failed is logged too.
func TestKeeperTellsWhatWasDone(t *testing.T) {
	z := &keptZone{wanted: nil}
	keep(t, z, func(t *testing.T, _ context.Context, k *publish.Keeper, log *logged) {
		z.mu.Lock()
		z.reports, z.fails = publish.Plan{Add: rrs(t, imaps), Delete: rrs(t, imapsOther)}, &publish.Error{Kind: publish.KindLagging, Zone: zone, Server: "x", Text: "slow"}
		z.mu.Unlock()
		pass(10 * time.Minute)
		s := k.Status()[0]
		if now := time.Now(); s.Zone != zone || !s.Failing || s.Failure != "slow" || !s.Looked.Equal(now) || !s.Failed.Equal(now) || !s.Changed.Equal(now) {
			t.Errorf("status: %+v", s)
		}
		for _, words := range []string{"DNS record published", imaps, "DNS record taken away", imapsOther, "DNS is not in step"} {
			if !strings.Contains(log.String(), words) {
				t.Errorf("%q is not in the log:\n%s", words, log.String())
			}
		}
	})
}

// TestKeeperIsNotTold: a zone is left as it is while what is wanted cannot be found out, and that is told once.
func TestKeeperIsNotTold(t *testing.T) {
	z := &keptZone{wanted: nil}
	keep(t, z, func(t *testing.T, _ context.Context, k *publish.Keeper, log *logged) {
		z.mu.Lock()
		z.unknown, z.looks = errors.New("no resolver"), 0
		z.mu.Unlock()
		pass(time.Hour)
		if _, _, looks := z.seen(); looks != 0 || strings.Count(log.String(), "DNS is not in step: no resolver") != 1 {
			t.Errorf("%d looks, log:\n%s", looks, log.String())
		}
		if s := k.Status()[0]; !s.Failing || s.Failure != "no resolver" {
			t.Errorf("status: %+v", s)
		}
		z.mu.Lock()
		z.unknown = nil
		z.mu.Unlock()
		pass(10 * time.Minute)
		if s := k.Status()[0]; s.Failing || !strings.Contains(log.String(), "DNS is in step again") {
			t.Errorf("status: %+v", s)
		}
	})
}

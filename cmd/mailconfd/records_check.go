package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	"mailconfd/internal/drift"
	"mailconfd/settings"
	"mailconfd/srvrecords"
)

// checksAtOnce is how many domains are looked at ahead of the one that is told next.
const checksAtOnce = 8

// check is the look at one domain.
type check struct {
	set    srvrecords.Set
	report drift.Report
	err    error
}

// checkAll says of each domain, in their order, what DNS has otherwise.
func (r *recordSets) checkAll(ctx context.Context, domains []string) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	drifted, first := false, true
	for pending := range r.checks(ctx, domains) {
		c := <-pending
		if c.err != nil {
			return c.err
		}
		drifted = drifted || c.report.Drift
		if err := r.printReport(c.report, c.set, !first); err != nil {
			return err
		}
		first = false
	}
	if drifted {
		return errFaults
	}
	return nil
}

// checks looks at some domains at once, until ctx ends. The sets are made one after the
// other, since what one of them probes holds for the next.
func (r *recordSets) checks(ctx context.Context, domains []string) <-chan chan check {
	all := make(chan chan check, checksAtOnce)
	go func() {
		defer close(all)
		for _, domain := range domains {
			one := make(chan check, 1)
			select {
			case all <- one:
			case <-ctx.Done():
				return
			}
			set, opt, err := r.set(ctx, domain)
			if err != nil {
				one <- check{err: err}
				return
			}
			go func() { one <- r.lookAt(ctx, set, opt) }()
		}
	}()
	return all
}

func (r *recordSets) lookAt(ctx context.Context, set srvrecords.Set, opt srvrecords.Options) check {
	want := wanted(set, opt)
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	seen, err := drift.Look(ctx, r.view.world.asker, want)
	if err != nil {
		return check{err: fmt.Errorf("check the records of %s: %w", set.Domain, err)}
	}
	return check{set: set, report: drift.Compare(want, seen)}
}

// wanted says what DNS should have of a set.
func wanted(set srvrecords.Set, opt srvrecords.Options) drift.Want {
	want := drift.Want{Domain: set.Domain, Records: set.RRs(), TTL: opt.TTL}
	for _, n := range set.Names() {
		want.Names = append(want.Names, drift.Name(n))
	}
	for _, w := range set.Withheld {
		service, err := settings.ParseService(w.Service)
		if err != nil {
			continue // a name, not a service
		}
		want.Unverified = append(want.Unverified, drift.Service{Owner: w.Owner, Host: service.Host, Port: service.Port, Reason: w.Reason})
	}
	return want
}

func (r *recordSets) printReport(report drift.Report, set srvrecords.Set, further bool) error {
	if r.as == "json" {
		e := json.NewEncoder(r.app.stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(report)
	}
	s := r.app.screenOf(r.app.stdout)
	if further {
		fmt.Fprintln(s)
	}
	name := set.Domain
	if set.Unicode != "" {
		name += " (" + set.Unicode + ")"
	}
	s.drift(report, name, len(set.Records))
	return nil
}

// drift prints a report for people.
func (s screen) drift(r drift.Report, name string, records int) {
	verdict := s.paint(text.FgGreen, fmt.Sprintf("DNS has the %d records that it should have", records))
	if r.Drift {
		verdict = s.paint(text.FgRed, "DNS differs")
	}
	fmt.Fprintf(s, "%s: %s\n", s.paint(text.Bold, name), verdict)
	if len(r.Servers) > 0 {
		s.paragraph(2, "", "zone "+r.Zone+", asked "+strings.Join(r.Servers, ", ")+" and the resolver")
	}
	for _, f := range r.Findings {
		fmt.Fprintln(s)
		about := f.Owner
		if f.Type != "" {
			about += " " + f.Type
		}
		fmt.Fprintf(s, "%s %s: %s\n", s.weight(f.Weight), f.Kind, about)
		detail := f.Detail
		if len(f.Servers) > 0 {
			detail = strings.Join(f.Servers, ", ") + ": " + detail
		}
		s.paragraph(2, "", detail)
		s.paragraph(2, "", "→ "+f.Remedy)
	}
}

// weight is the word for a weight; colour says it again.
func (s screen) weight(w drift.Weight) string {
	colours := map[drift.Weight]text.Color{drift.Fault: text.FgRed, drift.Warning: text.FgYellow, drift.Note: text.FgCyan}
	return s.paint(colours[w], string(w))
}

package overview

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"mailconfd/settings"
)

// Certificate is what a mail server shows, and for how long.
type Certificate struct {
	NotAfter time.Time `json:"not_after"`
	// Stage is within how many days it runs out: one of Stages, or 0: not so soon.
	Stage int    `json:"runs_out_within_days,omitempty"`
	Key   string `json:"-"` // of its public key: with NotAfter, which certificate it is
	// Services are those that show it; only Certificates fills it in.
	Services []settings.Service `json:"-"`
}

// Stages returns how many days before the end of a certificate its operator is told.
func Stages() []int { return []int{14, 7, 2} }

// String says to a person when it runs out, and where it is shown.
func (c Certificate) String() string {
	var at []string
	for _, s := range c.Services[:min(len(c.Services), 3)] {
		at = append(at, s.String())
	}
	if more := len(c.Services) - len(at); more > 0 {
		at = append(at, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("a certificate runs out at %s: renew it, and reload the mail server; seen at %s",
		c.NotAfter.UTC().Format("2006-01-02 15:04 UTC"), strings.Join(at, ", "))
}

const day = 24 * time.Hour

// stage returns the last of the stages that a certificate has reached, or 0.
func stage(notAfter, now time.Time) int {
	reached := 0
	for _, days := range Stages() {
		if !now.Before(notAfter.Add(-time.Duration(days) * day)) {
			reached = days
		}
	}
	return reached
}

// sooner returns that of two certificates which runs out first; either can be nil.
func (c *Certificate) sooner(t *settings.TLS, now time.Time) *Certificate {
	if t == nil || t.NotAfter.IsZero() || c != nil && !t.NotAfter.Before(c.NotAfter) {
		return c
	}
	return &Certificate{NotAfter: t.NotAfter.UTC(), Stage: stage(t.NotAfter, now), Key: t.SPKISHA256}
}

// Certificates returns each certificate that was seen last at the services, with the
// services that show it: those that run out first come first.
func Certificates(providers iter.Seq[Known], now time.Time) []Certificate {
	found := shown{}
	for k := range providers {
		for _, s := range k.Provider.Candidates() {
			var c *Certificate
			for _, h := range k.Views[s] {
				c = c.sooner(h.Newest.Verdict().TLS, now)
			}
			found.add(c, s)
		}
	}
	return found.sorted()
}

// shown are certificates with the services that show them.
type shown map[certificateID]*Certificate

type certificateID struct {
	key   string
	until time.Time
}

func (found shown) add(c *Certificate, s settings.Service) {
	if c == nil {
		return
	}
	id := certificateID{c.Key, c.NotAfter}
	if found[id] == nil {
		found[id] = &Certificate{NotAfter: c.NotAfter, Stage: c.Stage, Key: c.Key}
	}
	if !slices.Contains(found[id].Services, s) {
		found[id].Services = append(found[id].Services, s)
	}
}

func (found shown) sorted() []Certificate {
	all := make([]Certificate, 0, len(found))
	for _, c := range found {
		slices.SortFunc(c.Services, settings.Service.Compare)
		all = append(all, *c)
	}
	slices.SortFunc(all, func(a, b Certificate) int {
		return cmp.Or(a.NotAfter.Compare(b.NotAfter), a.Services[0].Compare(b.Services[0]))
	})
	return all
}

package web

import (
	"slices"
	"time"

	"mailconfd/internal/overview"
	"mailconfd/settings"
)

// width is that of a timeline, in units of its drawing.
const width = 240.0

// least is the width of the shortest piece that is still seen.
const least = 2.0

// timeline is how one vantage saw a service.
type timeline struct {
	Vantage string // "" where there is one vantage only
	Label   string // for people who cannot see it
	Pieces  []piece
}

// piece is a stretch of time with one outcome.
type piece struct {
	X, Width float64
	Class    string // "works", "fails" or "blind": our own network failed
	Title    string
}

// change is an observation that came to something else than the one before.
type change struct {
	settings.Observation
	Lasted string
	Ended  bool // another one came after it
	Newest bool // it is the newest probe, whose dialogue is shown already
}

// timelines draws the days before now, a line for each vantage. What lies before the
// first change that is known stays empty. A service that is well for a year is one piece.
func timelines(p Page, s overview.Service) []timeline {
	from := p.At().Add(-time.Duration(p.Days) * 24 * time.Hour)
	var lines []timeline
	for _, vantage := range vantages(s.Changes) {
		line := timeline{Vantage: vantage, Label: s.Service.String() + ", seen from " + vantage}
		next := p.At()
		for _, o := range s.Changes {
			if o.Vantage != vantage {
				continue
			}
			if next.After(from) {
				line.Pieces = append(line.Pieces, draw(o, from, p.At(), next))
			}
			next = o.At
		}
		slices.Reverse(line.Pieces)
		lines = append(lines, line)
	}
	if len(lines) == 1 {
		lines[0].Vantage = ""
	}
	return lines
}

// draw makes the piece of an observation that held until another one.
func draw(o settings.Observation, from, now, next time.Time) piece {
	x := func(t time.Time) float64 {
		return width * min(max(float64(t.Sub(from))/float64(now.Sub(from)), 0), 1)
	}
	p := piece{X: x(o.At), Class: "works", Title: outcome(o) + " from " + moment(o.At)}
	if next.Before(now) {
		p.Title += " to " + moment(next)
	}
	if f := o.Verdict().Failure; f != nil {
		p.Class = "fails"
		if f.Kind.Weight() == settings.Local {
			p.Class = "blind"
		}
	}
	p.Width = max(x(next)-p.X, least)
	p.X = min(p.X, width-p.Width)
	return p
}

func vantages(all []settings.Observation) []string {
	var names []string
	for _, o := range all {
		names = append(names, o.Vantage)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// changes returns the changes of a service with how long each held.
func changes(p Page, s overview.Service) []change {
	all := make([]change, 0, len(s.Changes))
	for i, o := range s.Changes {
		c := change{Observation: o}
		c.Newest = slices.ContainsFunc(s.Newest, func(n settings.Observation) bool { return n.Vantage == o.Vantage && n.At.Equal(o.At) })
		end := p.At()
		for _, later := range slices.Backward(s.Changes[:i]) {
			if later.Vantage == o.Vantage {
				end, c.Ended = later.At, true
				break
			}
		}
		c.Lasted = overview.Span(end.Sub(o.At))
		all = append(all, c)
	}
	return all
}

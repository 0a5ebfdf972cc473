package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"mailconfd/settings"
)

// table prints what was found, which service to use and why, and what to mend.
func (r report) table(s screen, policy settings.Policy, trace bool) {
	var hosts []string
	for _, o := range r.Services {
		if !slices.Contains(hosts, o.Service.Host) {
			hosts = append(hosts, o.Service.Host)
		}
	}
	for i, host := range hosts {
		var of []settings.Observation
		for _, o := range r.Services {
			if o.Service.Host == host {
				of = append(of, o)
			}
		}
		if i > 0 {
			fmt.Fprintln(s)
		}
		fmt.Fprintf(s, "%s, seen from %q at %s\n\n", s.paint(text.Bold, host), r.Vantage, r.At.Format(time.RFC3339))
		s.found(of)
		s.toUse(of, policy)
		s.toMend(of)
		if trace {
			s.dialogues(of)
		}
	}
}

// columns are what there is to say of a service, the least important last: a screen that
// is too narrow for all drops those.
var columns = []struct {
	title string
	cell  func(screen, settings.Service, settings.Verdict) string
}{
	{"service", func(_ screen, of settings.Service, _ settings.Verdict) string { return string(of.Scheme) }},
	{"port", func(_ screen, of settings.Service, _ settings.Verdict) string { return fmt.Sprint(of.Port) }},
	{"result", func(s screen, _ settings.Service, v settings.Verdict) string { return s.result(v) }},
	{"certificate", func(_ screen, _ settings.Service, v settings.Verdict) string { return tlsWords(v.TLS) }},
	{"login with", func(_ screen, _ settings.Service, v settings.Verdict) string { return strings.Join(v.Auth, " ") }},
}

// found prints a line for each service.
func (s screen) found(seen []settings.Observation) {
	n := len(columns)
	lines := s.rows(seen, n)
	for n > 3 && slices.ContainsFunc(lines, func(l string) bool { return text.StringWidthWithoutEscSequences(l) > s.width }) {
		n--
		lines = s.rows(seen, n)
	}
	for _, line := range lines {
		fmt.Fprintln(s, line)
	}
	if n < len(columns) {
		s.paragraph(2, "", "(a wider screen, or --format json, has more)")
	}
}

// rows renders the first n columns.
func (s screen) rows(seen []settings.Observation, n int) []string {
	t := table.NewWriter()
	t.SetStyle(table.StyleDefault)
	t.Style().Options = table.Options{SeparateHeader: s.terminal}
	t.Style().Box.PaddingLeft, t.Style().Box.PaddingRight = "", "  "
	t.Style().Format.Header = text.FormatUpper
	var header table.Row
	for _, c := range columns[:n] {
		header = append(header, c.title)
	}
	t.AppendHeader(header)
	for _, o := range seen {
		var row table.Row
		for _, c := range columns[:n] {
			row = append(row, c.cell(s, o.Service, o.Verdict()))
		}
		t.AppendRow(row)
	}
	var lines []string
	for _, line := range strings.Split(t.Render(), "\n") {
		lines = append(lines, strings.TrimRight("  "+line, " "))
	}
	return lines
}

func (s screen) result(v settings.Verdict) string {
	switch {
	case !v.Verified:
		return s.paint(text.FgRed, "✗ "+string(v.Failure.Kind))
	case len(v.Warnings) == 1:
		return s.paint(text.FgYellow, "✓ works, 1 warning")
	case len(v.Warnings) > 1:
		return s.paint(text.FgYellow, fmt.Sprintf("✓ works, %d warnings", len(v.Warnings)))
	default:
		return s.paint(text.FgGreen, "✓ works")
	}
}

func tlsWords(t *settings.TLS) string {
	if t == nil {
		return ""
	}
	return t.Version + " until " + t.NotAfter.UTC().Format(time.DateOnly)
}

// toUse prints the order in which clients should be told, and why.
func (s screen) toUse(seen []settings.Observation, policy settings.Policy) {
	p := settings.Provider{Username: settings.UsernameAddress}
	for _, o := range seen {
		p.Services = append(p.Services, o.Service)
	}
	v := verify(p, seen, policy).Verified
	s.heading("Use")
	switch {
	case blind(seen) != nil:
		s.paragraph(2, "", "unknown: nothing was tested")
	case v.Empty():
		s.paragraph(2, "", "nothing: no service works as a client needs it")
	}
	for _, r := range settings.Roles() {
		for i, of := range v.Services(r) {
			label := "  " + roleWords(r) + ":"
			if i > 0 {
				label = "    or"
			}
			s.paragraph(14, label, fmt.Sprintf("%s %d: %s", of.Service.Scheme, of.Service.Port, why(of)))
		}
	}
}

func roleWords(r settings.Role) string {
	switch r {
	case settings.RoleSubmission:
		return "to send"
	case settings.RoleIMAP:
		return "IMAP"
	case settings.RolePOP3:
		return "POP3"
	case settings.RoleSieve:
		return "filters"
	case settings.RoleJMAP:
		return "JMAP"
	default:
		return string(r)
	}
}

// why says what a service is good for.
func why(p settings.Published) string {
	s := p.Service
	switch {
	case s.Role() == settings.RoleSubmission && s.Port == 25:
		return "relay between servers; many networks block it for people"
	case s.Scheme == settings.SchemeSubmission && s.Port == 587:
		return "STARTTLS; the standard for submission"
	case s.Scheme == settings.SchemeSubmission && s.Port == settings.PortSubmissionAlternate:
		return "STARTTLS; not standard, helps where a network blocks 587; only autoconfig can say it"
	case s.Scheme == settings.SchemeSubmissions && s.OnDefaultPort():
		return "implicit TLS; RFC 8314 prefers it, some networks block it"
	case s.Scheme.WellKnown() != "":
		where := "HTTPS; clients find it by DNS, or at " + s.Scheme.WellKnown()
		if p.Path != "" {
			where += ", which leads to " + p.Path
		}
		return where
	case !s.OnDefaultPort():
		return string(s.Security()) + " on an unusual port; several clients guess from the port number"
	case s.Role() == settings.RoleSieve:
		return "STARTTLS; for mail filters, in clients that know ManageSieve"
	case s.Security() == settings.ImplicitTLS:
		return "implicit TLS; every client knows it"
	default:
		return "STARTTLS; for clients that cannot use the port with implicit TLS"
	}
}

// problem is a kind of failure or warning and where it was met.
type problem struct {
	mark, kind, meaning, remedy string
	details                     []string // each once
	at                          map[string][]string
}

// meet notes that a service met the problem.
func (p *problem) meet(detail string, s settings.Service) {
	if p.at == nil {
		p.at = map[string][]string{}
	}
	if p.at[detail] == nil {
		p.details = append(p.details, detail)
	}
	p.at[detail] = append(p.at[detail], fmt.Sprintf("%s %d", s.Scheme, s.Port))
}

// toMend prints each kind of failure and warning once, with where it was met and what
// to do about it.
func (s screen) toMend(seen []settings.Observation) {
	var all []*problem
	kind := func(mark, kind, meaning, remedy string) *problem {
		i := slices.IndexFunc(all, func(p *problem) bool { return p.kind == kind })
		if i < 0 {
			i = len(all)
			all = append(all, &problem{mark: mark, kind: kind, meaning: meaning, remedy: remedy})
		}
		return all[i]
	}
	for _, o := range seen {
		if f := o.Verdict().Failure; f != nil {
			t := f.Kind.Text()
			kind(s.paint(text.FgRed, "✗"), string(f.Kind), t.Meaning, t.Remedy).meet(f.Detail, o.Service)
		}
	}
	for _, o := range seen {
		for _, w := range o.Verdict().Warnings {
			t := w.Kind.Text()
			kind(s.paint(text.FgYellow, "!"), string(w.Kind), t.Meaning, t.Remedy).meet(w.Detail, o.Service)
		}
	}
	if len(all) > 0 {
		s.heading("To mend")
	}
	s.problems(all)
}

// problems prints kinds of failures and warnings.
func (s screen) problems(all []*problem) {
	for _, p := range all {
		s.paragraph(4, "  "+p.mark, s.paint(text.Bold, p.kind)+": "+p.meaning)
		for _, detail := range p.details {
			s.paragraph(4, "", strings.Join(p.at[detail], ", ")+": "+detail)
		}
		s.paragraph(6, "    →", p.remedy)
	}
}

// dialogues prints what was said to whom.
func (s screen) dialogues(seen []settings.Observation) {
	for _, o := range seen {
		for _, a := range o.Addresses {
			s.heading(fmt.Sprintf("%s at %s, %d ms", o.Service, a.IP, a.Took.Milliseconds()))
			for _, line := range a.Transcript {
				fmt.Fprintln(s, "  "+line)
			}
		}
	}
}

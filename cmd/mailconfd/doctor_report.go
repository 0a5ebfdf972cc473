package main

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"

	"mailconfd/doctor"
	"mailconfd/settings"
)

// reportPrinter prints a report for people: the verdict, what to mend, then what the
// clients would set up.
type reportPrinter struct {
	screen
	doctor.Report
	flags  doctorFlags
	madeUp bool // the local part of the address is ours
}

func (p reportPrinter) print() {
	p.verdict()
	p.findings(doctor.Fault, doctor.Warning)
	if len(p.Clients) > 0 {
		p.heading("What clients would set up")
		p.setups(p.Clients, p.flags.explain || p.flags.trace)
	}
	if p.flags.explain {
		p.findings(doctor.Note)
	}
	if p.flags.trace {
		p.steps()
	}
	p.more()
}

// marks say a verdict without colour.
var marks = map[doctor.Verdict]struct {
	sign   string
	colour text.Color
}{
	doctor.Works:   {"✓", text.FgGreen},
	doctor.Warns:   {"!", text.FgYellow},
	doctor.Fails:   {"✗", text.FgRed},
	doctor.Unknown: {"?", text.FgCyan},
}

// weights say a finding's weight in words, and by which verdict's sign.
var weights = []struct {
	weight  doctor.Weight
	heading string
	like    doctor.Verdict
}{
	{doctor.Fault, "Faults: to mend", doctor.Fails},
	{doctor.Warning, "Warnings", doctor.Warns},
	{doctor.Note, "Notes", doctor.Unknown},
}

func (s screen) mark(v doctor.Verdict, words string) string {
	return s.paint(marks[v].colour, strings.TrimRight(marks[v].sign+" "+words, " "))
}

// verdict prints the line that a hurried reader reads.
func (p reportPrinter) verdict() {
	words := map[doctor.Verdict]string{
		doctor.Works: "works", doctor.Warns: "works, with warnings", doctor.Fails: "fails", doctor.Unknown: "cannot be told from here",
	}[p.Verdict]
	var counts []string
	for _, w := range weights {
		if n := p.count(w.weight); n > 0 {
			counts = append(counts, plural(n, string(w.weight)))
		}
	}
	if len(counts) > 0 {
		words += ": " + strings.Join(counts, ", ")
	}
	p.paragraph(2, "", p.paint(text.Bold, visible(p.Address))+"  "+p.mark(p.Verdict, words))
	if p.madeUp {
		p.paragraph(2, "", "(no address was given: "+sampleLocal+" is made up)")
	}
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

func (p reportPrinter) count(w doctor.Weight) (n int) {
	for _, f := range p.Findings {
		if f.Weight == w {
			n++
		}
	}
	return n
}

// setups prints the clients, worst first. Those that would set up the same and end the
// same stand together; with sources, only if they have it from the same place too.
func (s screen) setups(clients []doctor.ClientReport, sources bool) {
	type end struct {
		verdict       doctor.Verdict
		words, source string
	}
	var ends []end
	titles := map[end][]string{}
	for _, c := range clients {
		e := end{verdict: c.Verdict, words: setup(c)}
		if sources {
			e.source = source(c)
		}
		if titles[e] == nil {
			ends = append(ends, e)
		}
		titles[e] = append(titles[e], c.Title)
	}
	worstFirst := []doctor.Verdict{doctor.Fails, doctor.Warns, doctor.Works, doctor.Unknown}
	place := func(e end) int {
		if e.words == unseen {
			return len(worstFirst)
		}
		return slices.Index(worstFirst, e.verdict)
	}
	slices.SortStableFunc(ends, func(a, b end) int { return cmp.Compare(place(a), place(b)) })
	for _, e := range ends {
		verdict := s.paint(marks[e.verdict].colour, string(e.verdict)+":")
		s.paragraph(4, "  "+s.mark(e.verdict, ""), verdict+" "+strings.Join(titles[e], ", "))
		s.paragraph(6, "", e.words)
		if e.source != "" {
			s.paragraph(6, "", "from "+e.source)
		}
	}
}

// unseen is what a client would set up that looks where only its maker can.
const unseen = "not to be seen from outside"

// setup says what a client would set up.
func setup(c doctor.ClientReport) string {
	hidden := slices.ContainsFunc(c.Findings, func(f doctor.Finding) bool { return f.Kind == doctor.KindUnknown })
	words := strings.Join(settingsWords(c.Settings), ", ")
	switch {
	case c.Verdict != doctor.Unknown && words == "":
		return "nothing: the user is asked for everything"
	case c.Verdict != doctor.Unknown:
		return words
	case hidden && words == "":
		return unseen
	case words == "":
		return "not tested from here"
	default:
		return "not tested from here: " + words
	}
}

func settingsWords(all []doctor.Setting) []string {
	if len(all) == 0 {
		return nil
	}
	var words []string
	for _, s := range all {
		words = append(words, settingWords(s))
	}
	return append(words, userWords(all))
}

// userWords says with what names a client would log in.
func userWords(all []doctor.Setting) string {
	name := func(s doctor.Setting) string { return cmp.Or(visible(s.Username), "that the user is asked for") }
	first := name(all[0])
	if !slices.ContainsFunc(all, func(s doctor.Setting) bool { return name(s) != first }) {
		return "user name " + first
	}
	var words []string
	for _, s := range all {
		words = append(words, name(s)+" for "+protocolWords(s.Role))
	}
	return "user name " + strings.Join(words, ", ")
}

func settingWords(s doctor.Setting) string {
	words := fmt.Sprintf("%s %s:%d %s", protocolWords(s.Role), visible(s.Host), s.Port, securityWords(s.Security))
	switch {
	case s.Failure != nil && (s.Failure.Kind == settings.FailureLocal || s.Failure.Kind == settings.FailureTemporary):
		return fmt.Sprintf("%s (? %s)", words, s.Failure.Kind)
	case s.Failure != nil:
		return fmt.Sprintf("%s (✗ %s)", words, s.Failure.Kind)
	case !s.Works:
		return words + " (not tried)"
	}
	return words
}

func protocolWords(r settings.Role) string {
	if r == settings.RoleSubmission {
		return "SMTP"
	}
	return strings.ToUpper(string(r))
}

func securityWords(s doctor.Security) string {
	switch s {
	case doctor.SecurityTLS:
		return "TLS"
	case doctor.SecuritySTARTTLS:
		return "STARTTLS"
	case doctor.SecurityAuto:
		return "TLS or STARTTLS"
	default:
		return "unencrypted"
	}
}

// source says where a client has its settings from: hosts and names alone.
func source(c doctor.ClientReport) string {
	var from []string
	for _, s := range c.Settings {
		word := s.Source
		if u, err := url.Parse(word); err == nil && u.Host != "" {
			word = u.Host
		}
		if word = visible(word); !slices.Contains(from, word) {
			from = append(from, word)
		}
	}
	return strings.Join(from, ", ")
}

// findings prints those of some weights.
func (p reportPrinter) findings(which ...doctor.Weight) {
	for _, w := range weights {
		if !slices.Contains(which, w.weight) || p.count(w.weight) == 0 {
			continue
		}
		p.heading(w.heading)
		for _, f := range p.alike(w.weight) {
			p.finding(f, w.like)
		}
	}
}

// alikeFindings are several findings in one: the same is wrong and the same mends it.
type alikeFindings struct {
	doctor.Finding
	details []string
}

// alike puts findings of one weight together.
func (p reportPrinter) alike(w doctor.Weight) []alikeFindings {
	var all []alikeFindings
	crowds := doctor.Crowds() // most people first
	for _, f := range p.Findings {
		if f.Weight != w {
			continue
		}
		i := slices.IndexFunc(all, func(a alikeFindings) bool {
			return a.Kind == f.Kind && a.Remedy == f.Remedy && (len(a.Affected) == 0) == (len(f.Affected) == 0)
		})
		if i < 0 {
			all = append(all, alikeFindings{Finding: f})
			i = len(all) - 1
			all[i].Affected = nil
		}
		if slices.Index(crowds, f.People) < slices.Index(crowds, all[i].People) {
			all[i].People = f.People
		}
		all[i].details = append(all[i].details, f.Detail)
		for _, name := range f.Affected {
			if !slices.Contains(all[i].Affected, name) {
				all[i].Affected = append(all[i].Affected, name)
			}
		}
	}
	return all
}

// few is how much of a list is enough for one screen.
const few = 3

// finding prints what is wrong, whom it meets and what they see, and what to change.
func (p reportPrinter) finding(f alikeFindings, like doctor.Verdict) {
	label := "  " + p.mark(like, "")
	for i, detail := range f.details {
		if i == few && len(f.details) > few+1 && !p.flags.explain {
			p.paragraph(4, "", fmt.Sprintf("and %d more of this kind", len(f.details)-few))
			break
		}
		if !strings.Contains(detail, " ") { // a name alone says nothing
			detail += ": " + f.Kind.Text().Meaning
		}
		p.paragraph(4, label, visible(detail))
		label = ""
	}
	p.paragraph(4, "", p.meets(f))
	if p.flags.explain {
		class := ""
		if f.Class != "" {
			class = ", class " + f.Class
		}
		p.paragraph(4, "", fmt.Sprintf("%s%s: %s", f.Kind, class, f.Kind.Text().Meaning))
		p.paragraph(4, "", "See: "+f.Reference)
	}
	p.paragraph(6, "    →", visible(f.Remedy))
}

// meets says whom a finding meets, and what they see of it. How many they are is known
// only of clients.
func (p reportPrinter) meets(f alikeFindings) string {
	words := "Affects: " + p.affected(f.Affected)
	if len(f.Affected) > 0 && f.People != "" {
		words += "; likely " + f.People + " people"
	}
	if f.Sees != "" {
		words += "; they see: " + f.Sees
	}
	return words
}

// affected names a few clients.
func (p reportPrinter) affected(names []string) string {
	looking := 0
	for _, c := range p.Clients {
		if c.Verdict != doctor.Unknown {
			looking++
		}
	}
	switch {
	case len(names) == 0:
		return "whoever is sent there"
	case len(names) == looking && looking > 1:
		return "every client"
	case len(names) > few+1 && !p.flags.explain:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	}
	return strings.Join(names, ", ")
}

// steps prints what each client did.
func (p reportPrinter) steps() {
	for _, c := range p.Clients {
		p.heading(c.Title + ", step by step")
		for i, s := range c.Steps {
			took := ""
			if s.MS > 0 {
				took = fmt.Sprintf(" (%d ms)", s.MS)
			}
			p.paragraph(5, fmt.Sprintf("%3d.", i+1), visible(s.Did))
			p.paragraph(7, "", "→ "+visible(s.Saw)+took)
		}
		if len(c.Steps) == 0 {
			p.paragraph(5, "", "none that can be seen from outside")
		}
	}
}

// more says what else there is to see.
func (p reportPrinter) more() {
	var ways []string
	if notes := p.count(doctor.Note); !p.flags.explain && len(p.Findings) > 0 {
		way := "--explain"
		if notes > 0 {
			way += " (and " + plural(notes, "note") + ")"
		}
		ways = append(ways, way)
	}
	if !p.flags.trace && len(p.Clients) > 0 {
		ways = append(ways, "--trace", "--client "+p.Clients[0].Client)
	}
	ways = append(ways, "--format json")
	fmt.Fprintln(p)
	p.paragraph(6, "More:", strings.Join(ways, ", "))
}

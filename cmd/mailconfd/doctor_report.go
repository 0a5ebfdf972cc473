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

// prescription is a report for people: a verdict, what each client would set up, then
// what to mend.
type prescription struct {
	screen
	doctor.Report
	flags  doctorFlags
	madeUp bool // the local part of the address is ours
}

func (p prescription) print() {
	p.verdict()
	p.setups(p.Clients)
	p.findings()
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

func (p prescription) mark(v doctor.Verdict, words string) string {
	return p.paint(marks[v].colour, strings.TrimRight(marks[v].sign+" "+words, " "))
}

// verdict prints the line that a hurried reader reads.
func (p prescription) verdict() {
	words := map[doctor.Verdict]string{doctor.Works: "works", doctor.Warns: "works, with warnings", doctor.Fails: "fails"}[p.Verdict]
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

func (p prescription) count(w doctor.Weight) (n int) {
	for _, f := range p.Findings {
		if f.Weight == w {
			n++
		}
	}
	return n
}

// setups prints a row for each client, those together that would set up the same.
func (s screen) setups(clients []doctor.ClientReport) {
	var order []string
	same := map[string][]doctor.ClientReport{}
	for _, c := range clients {
		words := setup(c)
		if same[words] == nil {
			order = append(order, words)
		}
		same[words] = append(same[words], c)
	}
	width := 0
	for _, c := range clients {
		width = max(width, text.StringWidth(c.Title))
	}
	if i := slices.Index(order, unseen); i >= 0 { // last
		order = append(slices.Delete(order, i, i+1), unseen)
	}
	for _, words := range order {
		fmt.Fprintln(s)
		s.paragraph(2, "", s.paint(text.Bold, words))
		for _, c := range same[words] {
			verdict := text.Pad(marks[c.Verdict].sign+" "+string(c.Verdict), 9, ' ')
			rest := text.Trim("  "+text.Pad(c.Title, width, ' ')+"  "+source(c), s.width-4-9)
			fmt.Fprintln(s, "    "+s.paint(marks[c.Verdict].colour, verdict)+strings.TrimRight(rest, " "))
		}
	}
}

// unseen is what a client would set up that looks where only its maker can.
const unseen = "not to be seen from outside"

// setup says what a client would set up.
func setup(c doctor.ClientReport) string {
	if c.Verdict == doctor.Unknown {
		return unseen
	}
	if len(c.Settings) == 0 {
		return "nothing: the user is asked for everything"
	}
	var words []string
	for _, s := range c.Settings {
		words = append(words, settingWords(s))
	}
	return strings.Join(append(words, userWords(c.Settings)), ", ")
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

// findings prints them by weight. Notes are only counted unless all is to be explained.
func (p prescription) findings() {
	for _, w := range weights {
		if p.count(w.weight) == 0 || w.weight == doctor.Note && !p.flags.explain {
			continue
		}
		p.heading(w.heading)
		for _, c := range p.complaints(w.weight) {
			p.complaint(c, w.like)
		}
	}
}

// complaint is what several findings have in common: the same is wrong and the same
// mends it.
type complaint struct {
	doctor.Finding
	details []string
}

// crowds are the words for how many people a finding is likely to meet.
var crowds = []string{"few", "some", "many"}

func (c complaint) people() string {
	if c.People == "" {
		return ""
	}
	return "; likely " + c.People + " people"
}

// complaints puts findings of one weight together.
func (p prescription) complaints(w doctor.Weight) []complaint {
	var all []complaint
	for _, f := range p.Findings {
		if f.Weight != w {
			continue
		}
		i := slices.IndexFunc(all, func(c complaint) bool {
			return c.Kind == f.Kind && c.Remedy == f.Remedy && (len(c.Affected) == 0) == (len(f.Affected) == 0)
		})
		if i < 0 {
			all = append(all, complaint{Finding: f})
			i = len(all) - 1
			all[i].Affected = nil
		}
		if slices.Index(crowds, f.People) > slices.Index(crowds, all[i].People) {
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

func (p prescription) complaint(c complaint, like doctor.Verdict) {
	label := "  " + p.mark(like, "")
	for i, detail := range c.details {
		if i == few && len(c.details) > few+1 && !p.flags.explain {
			p.paragraph(4, "", fmt.Sprintf("and %d more of this kind", len(c.details)-few))
			break
		}
		p.paragraph(4, label, visible(detail))
		label = ""
	}
	p.paragraph(4, "", "Affects: "+p.affected(c.Affected)+c.people())
	if p.flags.explain {
		class := ""
		if c.Class != "" {
			class = ", class " + c.Class
		}
		p.paragraph(4, "", fmt.Sprintf("%s%s: %s", c.Kind, class, c.Kind.Text().Meaning))
		if c.Sees != "" {
			p.paragraph(4, "", "Its users see: "+c.Sees)
		}
		p.paragraph(4, "", "See: "+c.Reference)
	}
	p.paragraph(6, "    →", visible(c.Remedy))
}

// affected names a few clients.
func (p prescription) affected(names []string) string {
	looking := 0
	for _, c := range p.Clients {
		if c.Verdict != doctor.Unknown {
			looking++
		}
	}
	switch {
	case len(names) == 0:
		return "everyone who asks"
	case len(names) == looking && looking > 1:
		return "every client"
	case len(names) > few+1 && !p.flags.explain:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	}
	return strings.Join(names, ", ")
}

// steps prints what each client did.
func (p prescription) steps() {
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
func (p prescription) more() {
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

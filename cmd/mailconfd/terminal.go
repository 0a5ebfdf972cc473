package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

	"mailconfd/settings"
)

// screen is where something is printed for people: how wide it is, and whether it can
// show colour. Colour never carries a meaning alone.
type screen struct {
	io.Writer
	terminal bool // it can be drawn on
	width    int
	colour   bool
}

// defaultWidth is how wide text is for a pipe.
const defaultWidth = 100

// screenOf looks at where output goes. NO_COLOR switches colour off (no-color.org).
func (a *app) screenOf(w io.Writer) screen {
	s := screen{Writer: w, width: defaultWidth}
	if o, ok := w.(*output); ok {
		w = o.Writer
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.terminal = a.env("TERM") != "dumb"
		s.colour = s.terminal && a.env("NO_COLOR") == ""
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			s.width = max(width, 40)
		}
	}
	return s
}

func (a *app) env(name string) string {
	for _, pair := range a.environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}

func (s screen) paint(c text.Color, words string) string {
	if !s.colour || words == "" {
		return words
	}
	return c.Sprint(words)
}

// heading prints a line that begins a part.
func (s screen) heading(words string) { fmt.Fprintf(s, "\n%s\n", s.paint(text.Bold, words)) }

// paragraph prints words behind a label, wrapped to the screen and indented.
func (s screen) paragraph(indent int, label, words string) {
	width := max(s.width-indent, 20)
	body := text.WrapSoft(words, width)
	for i, line := range strings.Split(strings.TrimRight(body, " \n"), "\n") {
		if i > 0 {
			label = ""
		}
		gap := max(indent-text.StringWidthWithoutEscSequences(label), 1)
		fmt.Fprintln(s, strings.TrimRight(label+strings.Repeat(" ", gap)+line, " "))
	}
}

// progress shows on a terminal which services are still waited for.
type progress struct {
	screen
	of   int
	open []settings.Service
	last int // width of what is shown
}

func (a *app) progress(services []settings.Service) *progress {
	p := &progress{screen: a.screenOf(a.stderr), of: len(services), open: slices.Clone(services)}
	p.show()
	return p
}

// step takes a service that is done off the list.
func (p *progress) step(done settings.Service) {
	p.open = slices.DeleteFunc(p.open, func(s settings.Service) bool { return s == done })
	p.show()
}

func (p *progress) show() {
	if !p.terminal || len(p.open) == 0 {
		return
	}
	s := p.open[0]
	words := fmt.Sprintf("probing: %d of %d, waiting for %s %d of %s", p.of-len(p.open), p.of, s.Scheme, s.Port, s.Host)
	p.write(text.Trim(words, p.width-1))
}

// done takes the line away again.
func (p *progress) done() { p.write("") }

// write puts words in the place of what is shown.
func (p *progress) write(words string) {
	if !p.terminal {
		return
	}
	width := text.StringWidth(words)
	fmt.Fprint(p, "\r"+words+strings.Repeat(" ", max(p.last-width, 0)))
	if words == "" {
		fmt.Fprint(p, "\r")
	}
	p.last = width
}

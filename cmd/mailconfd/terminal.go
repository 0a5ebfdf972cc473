package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

// screen is where something is printed for people: how wide it is, and whether it can
// show colour. Colour never carries a meaning alone.
type screen struct {
	io.Writer
	terminal bool
	width    int
	colour   bool
}

// defaultWidth is how wide text is for a pipe.
const defaultWidth = 100

// screenOf looks at where output goes. NO_COLOR switches colour off (no-color.org).
func (a *app) screenOf(w io.Writer) screen {
	s := screen{Writer: w, width: defaultWidth}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.terminal = true
		s.colour = a.env("NO_COLOR") == "" && a.env("TERM") != "dumb"
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

// progress shows on a terminal how many of a number of things are done.
type progress struct {
	screen
	of, have int
}

func (a *app) progress(of int) *progress {
	p := &progress{screen: a.screenOf(a.stderr), of: of}
	p.show()
	return p
}

func (p *progress) step() {
	p.have++
	p.show()
}

func (p *progress) show() {
	if p.terminal {
		fmt.Fprintf(p, "\rprobing: %d of %d services answered or given up ", p.have, p.of)
	}
}

// done takes the line away again.
func (p *progress) done() {
	if p.terminal {
		fmt.Fprint(p, "\r"+strings.Repeat(" ", min(60, cmp.Or(p.width, 60)-1))+"\r")
	}
}

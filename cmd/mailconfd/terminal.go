package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

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

// minWidth is the narrowest that text is made for.
const minWidth = 40

// screenOf looks at where output goes. NO_COLOR switches colour off (no-color.org);
// COLUMNS is the width for what is no terminal.
func (a *app) screenOf(w io.Writer) screen {
	s := screen{Writer: w, width: defaultWidth}
	if width, err := strconv.Atoi(a.env("COLUMNS")); err == nil && width > 0 {
		s.width = max(width, minWidth)
	}
	if o, ok := w.(*output); ok {
		w = o.Writer
	}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		s.terminal = a.env("TERM") != "dumb"
		s.colour = s.terminal && a.env("NO_COLOR") == ""
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			s.width = max(width, minWidth)
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

// statusLine is a line on a terminal that is written over again and again. On anything
// else it stays silent.
type statusLine struct {
	screen
	last int // width of what is shown
}

// write puts words in the place of what is shown.
func (l *statusLine) write(words string) {
	if !l.terminal {
		return
	}
	words = text.Trim(words, l.width-1)
	width := text.StringWidth(words)
	fmt.Fprint(l, "\r"+words+strings.Repeat(" ", max(l.last-width, 0)))
	if words == "" {
		fmt.Fprint(l, "\r")
	}
	l.last = width
}

// done takes the line away again.
func (l *statusLine) done() { l.write("") }

// progress shows which services are still waited for.
type progress struct {
	statusLine
	of   int
	open []settings.Service
}

func (a *app) progress(services []settings.Service) *progress {
	p := &progress{statusLine: statusLine{screen: a.screenOf(a.stderr)}, of: len(services), open: slices.Clone(services)}
	p.show()
	return p
}

// step takes a service that is done off the list.
func (p *progress) step(done settings.Service) {
	p.open = slices.DeleteFunc(p.open, func(s settings.Service) bool { return s == done })
	p.show()
}

func (p *progress) show() {
	if len(p.open) == 0 {
		return
	}
	s := p.open[0]
	p.write(fmt.Sprintf("probing: %d of %d, waiting for %s %d of %s", p.of-len(p.open), p.of, s.Scheme, s.Port, s.Host))
}

// waiting shows which questions have no answer yet. A nil one shows nothing.
type waiting struct {
	mu       sync.Mutex
	line     statusLine
	open     []string // oldest first
	answered int
}

func (a *app) waiting() *waiting { return &waiting{line: statusLine{screen: a.screenOf(a.stderr)}} }

// begin notes that something is asked; what it returns notes the answer.
func (w *waiting) begin(what string) (end func()) {
	if w == nil {
		return func() {}
	}
	w.change(func() { w.open = append(w.open, what) })
	return func() {
		w.change(func() {
			w.answered++
			if i := slices.Index(w.open, what); i >= 0 {
				w.open = slices.Delete(w.open, i, i+1)
			}
		})
	}
}

func (w *waiting) change(do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	do()
	if len(w.open) > 0 {
		w.line.write(fmt.Sprintf("asking: %d answers, waiting for %s", w.answered, visible(w.open[0])))
	}
}

// clear takes the line away until the next change, so that something else can be
// written.
func (w *waiting) clear() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.line.done()
}

// visible makes what a stranger wrote safe for a terminal: what could move the cursor,
// change colours or turn the direction of writing is shown as a sign.
func visible(words string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsGraphic(r) {
			return r
		}
		return unicode.ReplacementChar
	}, words)
}

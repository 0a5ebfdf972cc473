package probe

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of what is kept and shown.
const (
	maxTranscriptLine = 200 // bytes, without the prefix
	maxServerLines    = 40  // of what the server says; our own lines and events are few
	maxTranscript     = 60  // lines in all
	maxDetail         = 300 // bytes of a failure's or warning's detail
)

// transcript is a dialogue as people can read it, bounded whatever a server sends.
type transcript struct {
	lines  []string
	server int
}

// heard notes a line of the server.
func (t *transcript) heard(line string) {
	switch t.server++; {
	case t.server < maxServerLines:
		t.add("S: " + printable(line, maxTranscriptLine))
	case t.server == maxServerLines:
		t.add("*  the server says more, which is not shown")
	}
}

// said notes a line of ours.
func (t *transcript) said(line string) { t.add("C: " + printable(line, maxTranscriptLine)) }

// note notes what happened.
func (t *transcript) note(format string, args ...any) {
	t.add("*  " + printable(fmt.Sprintf(format, args...), maxTranscriptLine))
}

func (t *transcript) add(line string) {
	if len(t.lines) < maxTranscript {
		t.lines = append(t.lines, line)
	}
}

// printable shows a text of a server safely, in at most limit bytes and an ellipsis.
// Letters, digits, signs and blanks stay; everything else, control characters, terminal
// escapes, the controls of bidirectional text and what is no UTF-8 among them, is
// written as an escape of Go's.
func printable(text string, limit int) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		shown := text[i : i+size]
		switch {
		case r == utf8.RuneError && size == 1, r < utf8.RuneSelf && !unicode.IsPrint(r):
			shown = fmt.Sprintf(`\x%02x`, text[i])
		case !unicode.IsPrint(r): // also U+202A to U+202E and U+2066 to U+2069
			shown = strings.Trim(strconv.QuoteRuneToASCII(r), "'")
		}
		if b.Len()+len(shown) > limit {
			b.WriteString("…")
			break
		}
		b.WriteString(shown)
		i += size
	}
	return b.String()
}

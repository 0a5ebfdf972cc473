package srvrecords

import (
	"fmt"
	"strings"
	"unicode"
)

// maxComment limits a comment, in characters: longer than anything of ours, and
// shorter than what a server could have put into a failure.
const maxComment = 400

// Zone returns the set as text of a zone file (RFC 1035 section 5): owner names are
// absolute and each record has its TTL and class, so that it can stand anywhere in a
// zone file and does not depend on $ORIGIN or $TTL. Above each record comments say what
// it is for and who reads it; the first lines say what was left out.
func (s Set) Zone() []byte {
	var z zone
	title := "Records by which mail clients find the services of " + s.Domain
	if s.Unicode != "" {
		title += " (" + s.Unicode + ")"
	}
	z.comment(title)
	if len(s.Records) == 0 {
		z.comment("None: nothing is published that they could say.")
	}
	if len(s.Withheld) > 0 {
		z.comment("Left out:")
		for _, w := range s.Withheld {
			z.comment("- " + w.String())
		}
	}
	for _, r := range s.Records {
		z.text.WriteByte('\n')
		z.comment(r.Why)
		if len(r.Readers) > 0 {
			z.comment("Read by " + strings.Join(r.Readers, ", "))
		}
		fmt.Fprintf(&z.text, "%s %d IN %s %s\n", r.Owner, r.TTL, r.Type, r.Data)
	}
	return []byte(z.text.String())
}

// zone is the text while it is written.
type zone struct{ text strings.Builder }

// comment writes one line. What the text holds of servers and operators cannot end it:
// everything that is not printable is escaped.
func (z *zone) comment(text string) {
	z.text.WriteString("; ")
	n := 0
	for _, r := range text {
		if n++; n > maxComment {
			z.text.WriteString("…")
			break
		}
		if unicode.IsPrint(r) {
			z.text.WriteRune(r)
		} else {
			fmt.Fprintf(&z.text, "\\u%04x", r)
		}
	}
	z.text.WriteByte('\n')
}

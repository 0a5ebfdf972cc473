package srvrecords

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"github.com/miekg/dns"
)

// maxComment limits a comment, in characters: longer than anything of ours, and
// shorter than what a server could have put into a failure.
const maxComment = 400

// writer is the text of a form while it is written.
type writer struct {
	bytes.Buffer
	comments string // what a line of comment begins with
	last     Record // what the newest comment is about
}

// head writes what the set is, and what it leaves out.
func (w *writer) head(s Set) {
	title := "Records by which mail clients find the services of " + s.Domain
	switch {
	case s.Domain == Template:
		title = "Records by which mail clients find the services of any domain that this provider serves"
	case s.Unicode != "":
		title += " (" + s.Unicode + ")"
	}
	w.comment("", title)
	if s.Delegated != "" {
		w.comment("", "Aliases: the records themselves are kept at "+s.Delegated)
	}
	if len(s.Records) == 0 {
		w.comment("", "None: nothing is published that they could say.")
	}
	if len(s.Withheld) > 0 {
		w.comment("", "Left out:")
	}
	for _, withheld := range s.Withheld {
		w.comment("", "- "+withheld.String())
	}
}

// about writes what a record is for and who reads it; once for records in a row of which
// the same is to be said.
func (w *writer) about(r Record, indent string) {
	if r.Owner == w.last.Owner && r.Why == w.last.Why {
		return
	}
	w.last = r
	w.comment(indent, r.Why)
	if len(r.Readers) > 0 {
		w.comment(indent, "Read by "+strings.Join(r.Readers, ", "))
	}
}

// comment writes one line. What the text holds of servers and operators cannot end it:
// everything that is not printable is escaped.
func (w *writer) comment(indent, text string) {
	w.WriteString(indent + w.comments)
	n := 0
	for _, r := range text {
		if n++; n > maxComment {
			w.WriteString("…")
			break
		}
		if unicode.IsPrint(r) {
			w.WriteRune(r)
		} else {
			fmt.Fprintf(w, "\\u%04x", r)
		}
	}
	w.WriteByte('\n')
}

// quote writes a text as a string that JSON, JavaScript and YAML read alike.
func quote(text string) string {
	quoted, _ := json.Marshal(text) // a string can always be written
	return string(quoted)
}

// relative returns the owner of a record as seen from a zone that it is in: "@" for the
// zone's apex.
func (r Record) relative(zone string) string {
	if zone == Template {
		return r.Owner
	}
	if name, below := strings.CutSuffix(strings.TrimSuffix(r.Owner, "."), "."+zone); below {
		return name
	}
	return apex
}

// text returns what a TXT record says: its strings, joined. The escapes of zone files
// are undone.
func (r Record) text() string {
	txt, ok := r.rr.(*dns.TXT)
	if !ok {
		return ""
	}
	var text strings.Builder
	joined := strings.Join(txt.Txt, "")
	for i := 0; i < len(joined); i++ {
		c := joined[i]
		if c == '\\' && i+1 < len(joined) {
			i++
			if c = joined[i]; i+2 < len(joined) && isDigit(c) && isDigit(joined[i+1]) && isDigit(joined[i+2]) {
				c = (c-'0')*100 + (joined[i+1]-'0')*10 + joined[i+2] - '0'
				i += 2
			}
		}
		text.WriteByte(c)
	}
	return text.String()
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

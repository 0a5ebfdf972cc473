package probe

import (
	"fmt"
	"strings"

	"mailconfd/settings"
)

// smtp is submission (RFC 6409): SMTP (RFC 5321) with STARTTLS (RFC 3207) and AUTH (RFC
// 4954).
type smtp struct {
	helo string
}

// reply is an SMTP reply (RFC 5321 section 4.2).
type reply struct {
	code  int
	lines []string // without the codes
}

func (r reply) String() string { return fmt.Sprintf("%d %s", r.code, strings.Join(r.lines, " / ")) }

// read reads a reply. Every line has the same code, and all but the last a hyphen
// behind it (RFC 5321 section 4.2.1).
func (s *smtp) read(d *dialogue, doing string) (reply, error) {
	var r reply
	for {
		line, err := d.hear(doing)
		if err != nil {
			return r, err
		}
		code, text, last, ok := replyLine(line)
		if !ok || len(r.lines) > 0 && code != r.code {
			d.open = false
			return r, fail(settings.FailureProtocol, "%s: no SMTP reply: %q", doing, line)
		}
		r.code = code
		r.lines = append(r.lines, text)
		if last {
			return r, nil
		}
	}
}

// replyLine splits a line of a reply.
func replyLine(line string) (code int, text string, last, ok bool) {
	if len(line) < 3 {
		return 0, "", false, false
	}
	for _, c := range []byte(line[:3]) {
		if c < '0' || c > '9' {
			return 0, "", false, false
		}
		code = code*10 + int(c-'0')
	}
	if code < 200 || code > 559 {
		return 0, "", false, false
	}
	if len(line) == 3 {
		return code, "", true, true
	}
	return code, line[4:], line[3] == ' ', line[3] == ' ' || line[3] == '-'
}

// refusal says what a reply means that is not the one that was hoped for.
func (r reply) refusal(doing string, permanent settings.FailureKind) error {
	switch r.code / 100 {
	case 4:
		return fail(settings.FailureTemporary, "%s: %s", doing, r)
	case 5:
		return fail(permanent, "%s: %s", doing, r)
	}
	return fail(settings.FailureProtocol, "%s: a reply that has no meaning here: %s", doing, r)
}

// greeting reads 220. 554 means that no client is served (RFC 5321 section 3.1), 521 too
// (RFC 7504).
func (s *smtp) greeting(d *dialogue) error {
	r, err := s.read(d, "greeting")
	switch {
	case err != nil:
		return err
	case r.code == 220:
		return nil
	}
	d.open = true // a server that refuses waits for QUIT (RFC 5321 section 3.1)
	return r.refusal("greeting", settings.FailureGreeting)
}

// capabilities says EHLO. Without it there is no STARTTLS and no AUTH, so that falling
// back to HELO is of no use.
func (s *smtp) capabilities(d *dialogue) (capabilities, error) {
	if s.helo == "" || strings.ContainsFunc(s.helo, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return capabilities{}, fail(settings.FailureLocal, "EHLO: %q is no name to give", s.helo)
	}
	if err := d.say("EHLO " + s.helo); err != nil {
		return capabilities{}, err
	}
	r, err := s.read(d, "EHLO")
	switch {
	case err != nil:
		return capabilities{}, err
	case r.code != 250:
		return capabilities{}, r.refusal("EHLO", settings.FailureProtocol)
	}
	return s.extensions(r.lines[1:], d.secure), nil // the first line is the server's name
}

// extensions reads the lines of an EHLO reply. Keywords are case-insensitive (RFC 5321
// section 4.1.1.1); "AUTH=" is how servers before RFC 2554 wrote AUTH.
func (s *smtp) extensions(lines []string, secure bool) capabilities {
	var c capabilities
	var words []string
	for _, line := range lines {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		keyword, first, legacy := strings.Cut(strings.ToUpper(fields[0]), "=")
		switch {
		case keyword == "STARTTLS":
			c.starttls = true
		case keyword == "AUTH" && legacy:
			words = append(append(words, first), fields[1:]...)
		case keyword == "AUTH":
			words = append(words, fields[1:]...)
		case len(keyword) > 4 && strings.Trim(keyword, "X") == "" || strings.HasPrefix(keyword, "XXXXXXX"):
			// Cisco's PIX and ASA overwrite the keywords that they do not know.
			c.remark = "; " + keyword + " in the list shows that a device on the way removes what it does not know"
		}
	}
	c.auth = mechanismsOf(words)
	if !secure {
		c.cleartext = inClear(c.auth)
	}
	return c
}

// starttls asks for TLS: 220 is the go-ahead, 454 means not now (RFC 3207 section 4).
func (s *smtp) starttls(d *dialogue) error {
	if err := d.say("STARTTLS"); err != nil {
		return err
	}
	r, err := s.read(d, "STARTTLS")
	if err != nil || r.code == 220 {
		return err
	}
	return r.refusal("STARTTLS", settings.FailureNoSTARTTLS)
}

func (s *smtp) goodbye(d *dialogue) error {
	if err := d.say("QUIT"); err != nil {
		return err
	}
	_, err := s.read(d, "QUIT")
	return err
}

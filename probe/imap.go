package probe

import (
	"fmt"
	"slices"
	"strings"

	"mailconfd/settings"
)

// imap is IMAP4rev2 (RFC 9051) or IMAP4rev1 (RFC 3501).
type imap struct {
	commands int
}

// status is a status response (RFC 9051 section 7.1).
type status struct {
	word string // OK, NO, BAD, PREAUTH, BYE
	code string // the first word in brackets, or ""
	text string // all behind the word
}

func (s status) String() string { return strings.TrimSpace(s.word + " " + s.text) }

// statusOf reads what stands behind "* " or a tag.
func statusOf(line string) status {
	word, text, _ := strings.Cut(line, " ")
	s := status{word: strings.ToUpper(word), text: text}
	if code, _, ok := strings.Cut(text, "]"); ok && strings.HasPrefix(code, "[") {
		s.code, _, _ = strings.Cut(code[1:], " ")
	}
	return s
}

// greeting reads OK, PREAUTH or BYE (RFC 9051 section 7.1.4 and 7.1.5). What it says about
// capabilities is not used.
func (i *imap) greeting(d *dialogue) error {
	parts, err := d.phrase("greeting")
	if err != nil {
		return err
	}
	line, untagged := strings.CutPrefix(parts[0], "* ")
	s := statusOf(line)
	switch {
	case untagged && s.word == "OK":
		return nil
	case untagged && s.word == "BYE" && later(s.code, s.text):
		return fail(settings.FailureTemporary, "greeting: %s", s)
	case untagged && s.word == "BYE":
		return fail(settings.FailureGreeting, "greeting: %s", s)
	case untagged && s.word == "PREAUTH" && d.secure:
		d.warn(settings.WarnPreauth, "greeting: "+s.String()) // legal (RFC 8314 section 4.2), and odd
		return nil
	case untagged && s.word == "PREAUTH":
		// In the authenticated state STARTTLS is not allowed (RFC 9051 section 6.2.1):
		// whoever is on the way could keep TLS off with this greeting.
		return fail(settings.FailureProtocol, "greeting: %s: a client that took it could not use STARTTLS any more", s)
	}
	return fail(settings.FailureProtocol, "greeting: no IMAP greeting: %q", parts[0])
}

// command sends a command and reads up to its tagged answer. It returns the capabilities
// that were listed on the way; all else that comes unasked, alerts among it, is
// passed over.
func (i *imap) command(d *dialogue, verb string) (listed []string, s status, err error) {
	i.commands++
	tag := fmt.Sprintf("a%d", i.commands)
	if err := d.say(tag + " " + verb); err != nil {
		return nil, s, err
	}
	for {
		parts, err := d.phrase(verb)
		if err != nil {
			return nil, s, err
		}
		if line, tagged := strings.CutPrefix(parts[0], tag+" "); tagged {
			return listed, statusOf(line), nil
		}
		line, untagged := strings.CutPrefix(parts[0], "* ")
		if !untagged {
			d.open = false
			return nil, s, fail(settings.FailureProtocol, "%s: no IMAP response: %q", verb, parts[0])
		}
		switch s := statusOf(line); s.word {
		case "CAPABILITY":
			listed = append(listed, strings.Fields(strings.ToUpper(s.text))...)
		case "BYE":
			if verb != "LOGOUT" {
				return nil, s, i.thrownOut(d, verb, s)
			}
		}
	}
}

// thrownOut says what a BYE in the middle means.
func (i *imap) thrownOut(d *dialogue, verb string, s status) error {
	d.open = false
	kind := settings.FailureReset
	if later(s.code, s.text) {
		kind = settings.FailureTemporary
	}
	return fail(kind, "%s: the server ends the connection: %s", verb, s)
}

// capabilities asks for them (RFC 9051 section 6.1.1).
func (i *imap) capabilities(d *dialogue) (capabilities, error) {
	words, s, err := i.command(d, "CAPABILITY")
	switch {
	case err != nil:
		return capabilities{}, err
	case s.word != "OK":
		return capabilities{}, fail(settings.FailureProtocol, "CAPABILITY: %s", s)
	case !slices.Contains(words, "IMAP4REV1") && !slices.Contains(words, "IMAP4REV2"):
		return capabilities{}, fail(settings.FailureProtocol, "CAPABILITY: neither IMAP4rev1 nor IMAP4rev2: %s", strings.Join(words, " "))
	}
	disabled := slices.Contains(words, "LOGINDISABLED")
	c := capabilities{starttls: slices.Contains(words, "STARTTLS"), auth: loginWays(words, disabled)}
	if !d.secure {
		c.cleartext = inClear(c.auth)
		if !disabled {
			// RFC 9051 section 7.2.2: without it LOGIN is accepted.
			c.cleartext = "LOGINDISABLED is missing before TLS"
		}
	}
	return c, nil
}

// loginWays returns the SASL mechanisms, and LOGIN where the LOGIN command is the only
// way that is left. Beside other mechanisms the command is no evidence: servers that
// take OAuth only forget to list LOGINDISABLED.
func loginWays(words []string, disabled bool) settings.Mechanisms {
	var names []string
	for _, word := range words {
		if name, ok := strings.CutPrefix(word, "AUTH="); ok {
			names = append(names, name)
		}
	}
	if len(names) == 0 && !disabled {
		names = []string{"LOGIN"}
	}
	return mechanismsOf(names)
}

// starttls asks for TLS (RFC 9051 section 6.2.1).
func (i *imap) starttls(d *dialogue) error {
	_, s, err := i.command(d, "STARTTLS")
	switch {
	case err != nil:
		return err
	case s.word == "OK":
		return nil
	case s.word == "NO" && later(s.code, s.text):
		return fail(settings.FailureTemporary, "STARTTLS: %s", s)
	case s.word == "NO" || s.word == "BAD":
		return fail(settings.FailureNoSTARTTLS, "STARTTLS: %s", s)
	}
	return fail(settings.FailureProtocol, "STARTTLS: %s", s)
}

func (i *imap) goodbye(d *dialogue) error {
	_, _, err := i.command(d, "LOGOUT")
	return err
}

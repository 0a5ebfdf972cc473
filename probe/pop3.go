package probe

import (
	"strings"

	"mailconfd/settings"
)

// pop3 is POP3 (RFC 1939) with CAPA (RFC 2449), STLS (RFC 2595) and SASL (RFC 5034).
type pop3 struct{}

// answer is the first line of a response (RFC 1939 section 3).
type answer struct {
	ok   bool
	code string // the response code in brackets (RFC 2449 section 8), or ""
	line string
}

func (p *pop3) read(d *dialogue, doing string) (answer, error) {
	line, err := d.hear(doing)
	if err != nil {
		return answer{}, err
	}
	indicator, text, _ := strings.Cut(line, " ")
	a := answer{ok: indicator == "+OK", line: line}
	if !a.ok && indicator != "-ERR" {
		d.open = false
		return answer{}, fail(settings.FailureProtocol, "%s: no POP3 response: %q", doing, line)
	}
	if code, _, ok := strings.Cut(text, "]"); ok && strings.HasPrefix(code, "[") {
		a.code = code[1:]
	}
	return a, nil
}

// greeting reads +OK. A time stamp in it offers APOP, which is MD5 and not for us.
func (p *pop3) greeting(d *dialogue) error {
	a, err := p.read(d, "greeting")
	switch {
	case err != nil || a.ok:
		return err
	case later(a.code, a.line):
		return fail(settings.FailureTemporary, "greeting: %s", a.line)
	}
	return fail(settings.FailureGreeting, "greeting: %s", a.line)
}

// capabilities asks for them (RFC 2449 section 5). A server without CAPA has USER and
// PASS, and STLS only shows when it is tried.
func (p *pop3) capabilities(d *dialogue) (capabilities, error) {
	if err := d.say("CAPA"); err != nil {
		return capabilities{}, err
	}
	a, err := p.read(d, "CAPA")
	if err != nil {
		return capabilities{}, err
	}
	if !a.ok && later(a.code, a.line) {
		return capabilities{}, fail(settings.FailureTemporary, "CAPA: %s", a.line)
	}
	if !a.ok {
		return capabilities{unlisted: true, auth: settings.Mechanisms{"USER"}}, nil
	}
	var c capabilities
	var names []string
	for {
		line, err := d.hear("CAPA")
		if err != nil {
			return capabilities{}, err
		}
		if line == "." {
			break
		}
		words := strings.Fields(strings.ToUpper(strings.TrimPrefix(line, ".")))
		switch {
		case len(words) == 0:
		case words[0] == "STLS":
			c.starttls = true
		case words[0] == "USER":
			names = append(names, "USER")
		case words[0] == "SASL":
			names = append(names, words[1:]...)
		}
	}
	c.auth = mechanismsOf(names)
	if !d.secure {
		c.cleartext = inClear(c.auth)
	}
	return c, nil
}

// starttls asks for TLS (RFC 2595 section 4).
func (p *pop3) starttls(d *dialogue) error {
	if err := d.say("STLS"); err != nil {
		return err
	}
	a, err := p.read(d, "STLS")
	switch {
	case err != nil || a.ok:
		return err
	case later(a.code, a.line):
		return fail(settings.FailureTemporary, "STLS: %s", a.line)
	}
	return fail(settings.FailureNoSTARTTLS, "STLS: %s", a.line)
}

func (p *pop3) goodbye(d *dialogue) error {
	if err := d.say("QUIT"); err != nil {
		return err
	}
	_, err := p.read(d, "QUIT")
	return err
}

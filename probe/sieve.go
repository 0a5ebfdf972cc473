package probe

import (
	"strings"
	"time"

	"mailconfd/settings"
)

// sieveUnasked is how long a server has after STARTTLS to send its capabilities unasked,
// as RFC 5804 section 2.2 demands. Some old ones do not.
const sieveUnasked = 5 * time.Second

// sieve is ManageSieve (RFC 5804).
type sieve struct {
	listed map[string]string // what the greeting said; nil once it was used
}

// response is what a server says up to OK, NO or BYE (RFC 5804 section 1.3), with the
// capabilities before it by their names in upper case.
type response struct {
	word   string
	code   string // the first word in parentheses, or ""
	text   string
	listed map[string]string
}

func (r response) String() string { return strings.TrimSpace(r.word + " " + r.text) }

func (s *sieve) read(d *dialogue, doing string) (response, error) {
	r := response{listed: map[string]string{}}
	for {
		parts, err := d.phrase(doing)
		if err != nil {
			return r, err
		}
		words, ok := sieveWords(parts)
		switch {
		case !ok || len(words) == 0:
		case words[0].quoted:
			value := ""
			if len(words) > 1 {
				value = words[1].text
			}
			r.listed[strings.ToUpper(words[0].text)] = value
			continue
		default:
			if r.finish(words) {
				return r, nil
			}
		}
		d.open = false
		return r, fail(settings.FailureProtocol, "%s: no ManageSieve response: %q", doing, parts[0])
	}
}

// finish takes the last line of a response, and tells whether it is one.
func (r *response) finish(words []sieveWord) bool {
	r.word = strings.ToUpper(words[0].text)
	if r.word != "OK" && r.word != "NO" && r.word != "BYE" {
		return false
	}
	if len(words) > 2 && words[1].text == "(" && !words[1].quoted {
		r.code = words[2].text
	}
	for _, w := range words[1:] {
		r.text = strings.TrimSpace(r.text + " " + w.text)
	}
	return true
}

// sieveWord is an atom, a parenthesis or a string.
type sieveWord struct {
	text   string
	quoted bool // a string, quoted or literal
}

// sieveWords splits a line into words (RFC 5804 section 4). It is not ok where a quoted
// string does not end.
func sieveWords(parts []string) (words []sieveWord, ok bool) {
	for i, part := range parts {
		if i%2 == 1 {
			words = append(words, sieveWord{part, true})
			continue
		}
		for rest := strings.TrimLeft(part, " \t"); rest != ""; rest = strings.TrimLeft(rest, " \t") {
			var w sieveWord
			if w, rest, ok = sieveNext(rest); !ok {
				return nil, false
			}
			words = append(words, w)
		}
	}
	return words, true
}

// sieveNext takes one word off a text that does not begin with a blank.
func sieveNext(text string) (w sieveWord, rest string, ok bool) {
	switch text[0] {
	case '(', ')':
		return sieveWord{text: text[:1]}, text[1:], true
	case '"':
		return sieveQuoted(text[1:])
	}
	end := strings.IndexAny(text, " \t()\"")
	if end < 0 {
		end = len(text)
	}
	return sieveWord{text: text[:end]}, text[end:], true
}

// sieveQuoted takes a quoted string whose first quote is off already.
func sieveQuoted(text string) (w sieveWord, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"':
			return sieveWord{b.String(), true}, text[i+1:], true
		case c == '\\' && i+1 < len(text):
			i++
			b.WriteByte(text[i])
		default:
			b.WriteByte(c)
		}
	}
	return sieveWord{}, "", false
}

// refusal says what a NO or BYE means.
func (r response) refusal(doing string, permanent settings.FailureKind) error {
	if later(r.code, r.text) {
		return fail(settings.FailureTemporary, "%s: %s", doing, r)
	}
	return fail(permanent, "%s: %s", doing, r)
}

// greeting reads the capabilities that the server begins with (RFC 5804 section 1.7). A
// BYE may name another server; it is not followed.
func (s *sieve) greeting(d *dialogue) error {
	r, err := s.read(d, "greeting")
	switch {
	case err != nil:
		return err
	case r.word != "OK":
		return r.refusal("greeting", settings.FailureGreeting)
	}
	if _, known := r.listed["IMPLEMENTATION"]; !known { // RFC 5804 section 1.7: always listed
		return fail(settings.FailureProtocol, "greeting: no capabilities of ManageSieve before %q", r)
	}
	s.listed = r.listed
	return nil
}

// capabilities returns what the greeting said; inside TLS it waits for the server to say
// it again, and asks if it does not.
func (s *sieve) capabilities(d *dialogue) (capabilities, error) {
	if s.listed == nil {
		silent := d.silent(sieveUnasked)
		d.rest()
		if silent {
			if err := d.say("CAPABILITY"); err != nil {
				return capabilities{}, err
			}
		}
		r, err := s.read(d, "capabilities")
		switch {
		case err != nil:
			return capabilities{}, err
		case r.word != "OK":
			return capabilities{}, r.refusal("capabilities", settings.FailureProtocol)
		}
		s.listed = r.listed
	}
	_, starttls := s.listed["STARTTLS"]
	c := capabilities{starttls: starttls, auth: mechanismsOf(strings.Fields(s.listed["SASL"]))}
	if !d.secure {
		c.cleartext = inClear(c.auth)
	}
	return c, nil
}

// starttls asks for TLS (RFC 5804 section 2.2).
func (s *sieve) starttls(d *dialogue) error {
	s.listed = nil
	if err := d.say("STARTTLS"); err != nil {
		return err
	}
	r, err := s.read(d, "STARTTLS")
	if err != nil || r.word == "OK" {
		return err
	}
	return r.refusal("STARTTLS", settings.FailureNoSTARTTLS)
}

func (s *sieve) goodbye(d *dialogue) error {
	if err := d.say("LOGOUT"); err != nil {
		return err
	}
	_, err := s.read(d, "LOGOUT")
	return err
}

package probe

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"mailconfd/settings"
)

// request sends a request and reads the head of the answer; of the body, only what could
// be a JMAP session.
func (c *conversation) request(r *http.Request) (p page, err error) {
	doing := doing(r)
	c.transcript.said(doing)
	c.allow(time.Now(), c.visit.prober.options.Timeouts.Greeting)
	var request bytes.Buffer
	if err := r.Write(&request); err != nil {
		return p, fail(settings.FailureLocal, "%s: %v", doing, err)
	}
	if _, err := c.conn.Write(request.Bytes()); err != nil {
		return p, c.broken(doing, err)
	}
	source := &limited{dialogue: c.dialogue}
	text := bufio.NewReader(source)
	for p.Response == nil || p.StatusCode < 200 && p.StatusCode != http.StatusSwitchingProtocols {
		p.Response, err = http.ReadResponse(text, r)
		switch {
		case err != nil && source.err != nil:
			return p, c.broken(doing, source.err)
		case err != nil:
			return p, fail(settings.FailureProtocol, "%s: no answer of HTTP/1.1: %v", doing, err)
		}
		c.spoken = true
		c.transcript.heard(p.Proto + " " + p.Status)
		for _, name := range []string{"Location", "WWW-Authenticate", "Content-Type"} {
			for _, value := range p.Header.Values(name) {
				c.transcript.heard(name + ": " + value)
			}
		}
	}
	if err := c.refused(doing, p.Response); err != nil {
		return p, err
	}
	if c.visit.service.Role() == settings.RoleJMAP && p.StatusCode == http.StatusOK && isJSON(p.Response) {
		body, err := io.ReadAll(p.Body)
		if err != nil && source.err != nil {
			return p, c.broken(doing, source.err)
		}
		p.session = sessionAPI(body)
	}
	return p, nil
}

// isJSON tells what may be a JMAP session from a web page.
func isJSON(r *http.Response) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// sessionAPI returns the address of the API that a JMAP session tells (RFC 8620 section 2),
// or "" where it is none.
func sessionAPI(body []byte) string {
	var session struct {
		Capabilities map[string]json.RawMessage `json:"capabilities"`
		APIURL       string                     `json:"apiUrl"`
	}
	if json.Unmarshal(body, &session) != nil || session.Capabilities["urn:ietf:params:jmap:core"] == nil {
		return ""
	}
	return session.APIURL
}

// limited is the text of a dialogue, as much of it as may come.
type limited struct {
	*dialogue
	err error // what ended it
}

// Read reads what is left.
func (l *limited) Read(p []byte) (n int, err error) {
	if l.left <= 0 {
		l.err = errTooLong
		return 0, l.err
	}
	n, err = l.text.Read(p[:min(len(p), l.left)])
	l.left -= n
	l.err = err
	return n, err
}

// refused is the failure of an answer that says nothing about the path that was asked
// for, or nil.
func (c *conversation) refused(doing string, answer *http.Response) error {
	switch code := answer.StatusCode; {
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		return fail(settings.FailureTemporary, "%s: %s", doing, answer.Status)
	case code == http.StatusBadRequest && c.asked: // nginx
		return fail(settings.FailureClientCertificate, "%s: %s, and the server asked for a client certificate", doing, answer.Status)
	case code >= 500 && code != http.StatusNotImplemented:
		return fail(settings.FailureProtocol, "%s: %s", doing, answer.Status)
	}
	return nil
}

// challenges returns the authentication schemes of WWW-Authenticate fields (RFC 9110
// section 11.6.1): a word at the beginning or behind a comma that no "=" follows.
func challenges(fields []string) []string {
	var schemes []string
	for rest := range slices.Values(fields) {
		first := true // of what a comma begins
		for rest != "" {
			n := strings.IndexAny(rest, " \t,=\"")
			switch {
			case n < 0:
				n = len(rest)
			case n == 0:
				first = first && rest[0] != '"' && rest[0] != '=' || rest[0] == ','
				rest = behind(rest)
				continue
			}
			word := rest[:n]
			rest = rest[n:]
			if first && !strings.HasPrefix(strings.TrimLeft(rest, " \t"), "=") {
				schemes = append(schemes, word)
			}
			first = false
		}
	}
	return schemes
}

// behind returns what stands behind a separator or a quoted string (RFC 9110 section 5.6.4).
func behind(text string) string {
	if text[0] != '"' {
		return text[1:]
	}
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return text[i+1:]
		}
	}
	return ""
}

package doctor

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"mailconfd/settings"
)

// What several simulators do alike.

// newSetting makes a setting of what a client has read. It refuses what nobody can
// connect to: a host that is no name or a port that is none.
func newSetting(role settings.Role, host string, port int, security Security, user string) (Setting, bool) {
	name, err := settings.ParseHost(strings.TrimSpace(host))
	if err != nil || port < 1 || port > 65535 {
		return Setting{}, false
	}
	return Setting{Role: role, Host: name, Port: uint16(port), Security: security, Username: user}, true
}

// leadingInt reads a number as PHP's (int) does: what stands in front, or 0.
func leadingInt(text string) int {
	text = strings.TrimLeft(text, " \t\n\r\v\f")
	text, negative := strings.CutPrefix(text, "-")
	if !negative {
		text = strings.TrimPrefix(text, "+")
	}
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' || n > 1<<20 {
			break
		}
		n = n*10 + int(c-'0')
	}
	if negative {
		return -n
	}
	return n
}

// wholeInt reads a number as JavaScript and serde do, spaces around it aside, or returns 0.
func wholeInt(text string) int {
	n, err := strconv.ParseUint(strings.TrimSpace(text), 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
}

// rawAddress is an address as clients send it that paste it into a URL: only what a
// URL cannot hold at all is encoded, so that a "+" stays one and a "#" cuts it off.
func rawAddress(address string) string {
	var b strings.Builder
	for i := range len(address) {
		if c := address[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	text, _, _ := strings.Cut(b.String(), "#")
	return text
}

// passOver notes that a client makes nothing of an answer and goes on. That is a finding
// if the answer was meant to be a configuration.
func (v *visit) passOver(p page, why string) {
	if p.Status/100 == 2 && (bytes.Contains(p.Body, []byte("<clientConfig")) || bytes.Contains(p.Body, []byte("<Autodiscover"))) {
		v.reject(p, why)
		return
	}
	v.note("read the document", why+"; it goes on", 0)
}

// noIMAP notes that a client has nothing to read mail with because it does not speak
// POP3, which is all that is offered.
func (v *visit) noIMAP(source string) {
	f := finding(KindNothingFound, fmt.Sprintf("%s reads mail by IMAP only, and %s offers POP3 only", v.client.title, source), "offer IMAP too")
	f.Weight = Note // its own inability
	v.find(f)
}

// popOnly tells whether a document offers POP3 and no IMAP.
func popOnly(provider *node) bool {
	pop3 := false
	for _, n := range provider.all("incomingServer") {
		if n.attrs["type"] == "imap" {
			return false
		}
		pop3 = pop3 || n.attrs["type"] == "pop3"
	}
	return pop3
}

// compareLogin notes that a client logs in with another name than was published.
func (v *visit) compareLogin(published, made string) {
	if published == "" || v.address.Local == "" || fill(published, v.address) == made {
		return
	}
	saw := "logs in as " + made
	if made == "" {
		saw = "asks its user for the user name"
	}
	f := finding(KindUsername, fmt.Sprintf("%s %s; %s was published", v.client.title, saw, fill(published, v.address)), "let the full address log in too, or tell users of "+v.client.title+" what to type").of("login " + made).from(aboutLogin)
	f.Weight = Note // its own inability
	v.find(f)
}

// maxTries is how many servers of one list are connected to in a client's stead: a
// document can name hundreds.
const maxTries = 10

// opens tells whether a port takes connections, which is all that some clients look at
// before they settle on it.
func (v *visit) opens(s settings.Service) bool {
	f := v.probe(s).Verdict().Failure
	saw, open := "open", f == nil || !f.Kind.Connecting()
	if !open {
		saw = f.String()
	}
	v.note(fmt.Sprintf("connect to %s port %d", s.Host, s.Port), saw, 0)
	return open
}

// guessHosts keeps of the two hosts that a client fills in by itself, at the ports for
// implicit TLS, those that work.
func (v *visit) guessHosts(imap, smtp string) []Setting {
	var found []Setting
	for _, service := range []settings.Service{
		{Scheme: settings.SchemeIMAPS, Host: imap, Port: settings.SchemeIMAPS.DefaultPort()},
		{Scheme: settings.SchemeSubmissions, Host: smtp, Port: settings.SchemeSubmissions.DefaultPort()},
	} {
		if s, ok := v.firstWorking([]Setting{settingOf(service, v.address.String(), guess)}); ok {
			found = append(found, s)
		}
	}
	return v.guessed(found)
}

// guessed notes that what a client found is a guess, and what it came from: that nothing
// is published, that it cannot read what is, or that this does not work.
func (v *visit) guessed(found []Setting) []Setting {
	if len(found) == 0 {
		return found
	}
	f := finding(KindGuess, v.client.title+" finds nothing published and guesses", "")
	for _, g := range v.findings {
		if g.Kind == KindRejected {
			f.Detail, f.Remedy = v.client.title+" cannot read what is published and guesses", "mend the document that it rejects"
			f.follows = append(f.follows, g.subject())
		}
	}
	if len(v.broken) > 0 {
		f.Detail, f.Remedy = v.client.title+" cannot use what is published ("+list(v.broken)+") and guesses", mendPublished
		f.follows = append(f.follows, subjects(v.broken)...)
	}
	v.find(f)
	return found
}

// mendPublished is what to do where a client could not use what it was told.
const mendPublished = "mend the service that does not work"

// srv looks up one label of RFC 6186 and returns the records in the resolver's order,
// without those that say "not offered".
func (v *visit) srv(label string) []Record {
	var offered []Record
	for _, r := range v.dns("_"+label+"._tcp."+v.address.Domain, TypeSRV).Records {
		if r.Host != "" {
			offered = append(offered, r)
		}
	}
	return offered
}

package server

import (
	"errors"
	"strings"

	"mailconfd/settings"
)

// parameter is how the address is called in a query, in any letter case.
const parameter = "emailaddress"

// queryAddress returns the address in a raw query, decoded, or "". It reads the
// query by hand: FairEmail, GNOME Online Accounts, Nextcloud and Himalaya paste the
// address in as it is, so that url.ParseQuery would make a space of its "+" and drop
// all of it for a ";".
func queryAddress(raw string) string {
	for raw != "" {
		pair := raw
		if i := strings.IndexAny(raw, "&;"); i >= 0 {
			pair, raw = raw[:i], raw[i+1:]
		} else {
			raw = ""
		}
		name, value, _ := strings.Cut(pair, "=")
		if value != "" && strings.EqualFold(name, parameter) {
			return plus(strings.TrimSpace(unescape(value)))
		}
	}
	return ""
}

// unescape decodes percent signs and leaves alone those that encode nothing: a client
// that sends the literal %EMAILADDRESS%, or pastes in 50%off@example.org, means them.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	decoded := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			decoded = append(decoded, hexValue(s[i+1])<<4|hexValue(s[i+2]))
			i += 2
			continue
		}
		decoded = append(decoded, s[i])
	}
	return string(decoded)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

func hexValue(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// plus gives back the "+" of an address from which somebody on the way made a space;
// an unquoted local part holds none (RFC 5321 section 4.1.2).
func plus(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 || address[0] == '"' || strings.IndexByte(address[:at], ' ') < 0 {
		return address
	}
	return strings.ReplaceAll(address[:at], " ", "+") + address[at:]
}

// parseAddress reads what a client sent as address. Something without an "@", or with
// nothing before it, is none: a placeholder that was never filled in, a bare login name.
// Then ok is false and Host decides. Something with an "@" that is no address is an
// error: it names a domain that is not served here, and answering for Host instead
// would hand out the settings of another.
func parseAddress(text string) (a settings.Address, ok bool, err error) {
	if text == "" {
		return a, false, nil
	}
	a, err = settings.ParseAddress(text)
	if errors.Is(err, settings.ErrNoAddress) {
		return a, false, nil
	}
	return a, err == nil, err
}

// services are the labels under which clients look for the settings of a domain.
var services = []string{"autoconfig.", "autodiscover.", "ua-auto-config."}

// hostName returns the name in a Host header, canonical, or "" where there is none
// that a mail domain could have.
func hostName(host string) string {
	host, _, _ = strings.Cut(host, ":") // the port; an IPv6 address is no name anyway
	name, err := settings.ParseDomain(host)
	if err != nil {
		return ""
	}
	return name
}

// readings returns the domains that a host name may stand for: itself, then without
// the label of a service. A top-level domain is none of them: clients that back off
// to autodiscover.TLD would get the answer of a stranger.
func readings(name string) []string {
	if name == "" {
		return nil
	}
	for _, label := range services {
		if domain, cut := strings.CutPrefix(name, label); cut && strings.IndexByte(domain, '.') > 0 {
			return []string{name, domain}
		}
	}
	return []string{name}
}

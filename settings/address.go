package settings

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// names is the profile by which names become A-labels. idna.Lookup is not strict
// enough: it takes "", "a..b" and leading dots.
var names = idna.New(
	idna.MapForLookup(), idna.StrictDomainName(true), idna.Transitional(false),
	idna.BidiRule(), idna.CheckJoiners(true), idna.VerifyDNSLength(true))

// longestName is 253 characters of at most four octets in UTF-8.
const longestName = 4 * 253

// asciiName puts a name into lower-case A-labels without the final dot.
func asciiName(what, text string) (string, error) {
	// Before anything else: Punycode takes time by the square of the length.
	if len(text) > longestName {
		return "", fmt.Errorf("%s %q: more than 253 characters (RFC 1035 section 2.3.4)", what, clip(text))
	}
	name, err := names.ToASCII(strings.TrimSuffix(text, "."))
	if err != nil || !utf8.ValidString(text) || strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") {
		return "", fmt.Errorf("%s %q: %s", what, clip(text), whatIsWrong(text))
	}
	return name, nil
}

// whatIsWrong says why a text is no name.
func whatIsWrong(text string) string {
	labels := strings.Split(strings.TrimSuffix(text, "."), ".")
	switch {
	case text == "":
		return "nothing is there; want a name such as mail.example.org"
	case slices.Contains(labels, ""):
		return "two dots with nothing between them, or one at the beginning"
	case slices.ContainsFunc(labels, func(l string) bool { return len(l) > 63 }):
		return "a label between dots has more than 63 characters (RFC 1035 section 2.3.4)"
	case len(text) > 253:
		return "more than 253 characters (RFC 1035 section 2.3.4)"
	case slices.ContainsFunc(labels, func(l string) bool { return strings.HasPrefix(strings.ToLower(l), "xn--") }):
		return "a label that begins with xn-- is not what an internationalised name is written as (RFC 5891)"
	}
	return "not a name of letters, digits and hyphens such as mail.example.org"
}

// ParseDomain puts a mail domain into canonical form: lower-case A-labels of at
// least two labels, without the final dot. It refuses IP addresses.
func ParseDomain(text string) (string, error) {
	name, err := asciiName("domain", text)
	if err != nil {
		return "", err
	}
	if _, err := netip.ParseAddr(name); err == nil {
		return "", fmt.Errorf("domain %q: an IP address is no mail domain", text)
	}
	if !strings.Contains(name, ".") {
		return "", fmt.Errorf("domain %q: a mail domain has at least two labels, such as example.org", text)
	}
	return name, nil
}

// Address is whom a client asks for. The local part is empty where only the
// domain is known: most clients do not send an address.
type Address struct {
	Local  string // as it was written: letter case matters to some servers (RFC 5321 section 2.4)
	Domain string // canonical, as ParseDomain gives it
}

// String returns LOCAL@DOMAIN, or the domain where only that is known.
func (a Address) String() string {
	if a.Local == "" {
		return a.Domain
	}
	return a.Local + "@" + a.Domain
}

// Limits of RFC 5321 section 4.5.3.1, in octets; 254 is what fits a path with its
// angle brackets (RFC 3696, erratum 1690).
const (
	maxLocalPart = 64
	maxAddress   = 254
)

// ErrNoAddress means that a text holds no "@" or nothing before it.
var ErrNoAddress = errors.New("want an address such as jane@example.org")

// ParseAddress splits an address at its last "@" and puts the domain into
// canonical form. The local part may be internationalised (RFC 6531) or quoted and
// is kept as it is; what could break a document, a log line or a header is refused:
// control characters, unquoted spaces, characters that XML 1.0 cannot carry.
func ParseAddress(text string) (Address, error) {
	at := strings.LastIndexByte(text, '@')
	if at <= 0 {
		return Address{}, fmt.Errorf("address %q: %w", clip(text), ErrNoAddress)
	}
	local := text[:at]
	if len(text) > maxAddress || len(local) > maxLocalPart {
		return Address{}, fmt.Errorf("address %q: longer than %d octets, or than %d before the @", clip(text), maxAddress, maxLocalPart)
	}
	domain, err := ParseDomain(text[at+1:])
	switch {
	case err != nil:
		return Address{}, fmt.Errorf("address %q: %w", clip(text), err)
	case !utf8.ValidString(local):
		return Address{}, fmt.Errorf("address %q: not UTF-8", clip(text))
	}
	if bad := strings.IndexFunc(local, unusable); bad >= 0 {
		return Address{}, fmt.Errorf("address %q: a control character or one that no document can carry", clip(text))
	}
	quoted := len(local) > 2 && local[0] == '"' && local[len(local)-1] == '"'
	if !quoted && strings.ContainsAny(local, " <>()[]:;,\\\"@") {
		return Address{}, fmt.Errorf("address %q: a space or special character before the @ must be quoted", clip(text))
	}
	return Address{local, domain}, nil
}

// unusable tells the characters that may stand in no text of ours: controls,
// line and paragraph separators, and what XML 1.0 section 2.2 excludes.
func unusable(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == utf8.RuneError || r&0xfffe == 0xfffe || (r >= 0xfdd0 && r <= 0xfdef)
}

// clip shortens a text for an error message.
func clip(text string) string {
	if len(text) > maxAddress {
		return strings.ToValidUTF8(text[:maxAddress], "") + "…"
	}
	return text
}

// Username says how the users of a provider log in.
type Username string

// The two forms. Composite templates such as LOCAL.DOMAIN are not offered: Thunderbird
// takes them, but FairEmail, aerc, Mailspring, GNOME Online Accounts and Horde do not.
const (
	UsernameAddress   Username = "address"   // the whole address
	UsernameLocalPart Username = "localpart" // what stands before the @
)

// Placeholder returns what stands for the user name in a document that serves
// everybody: %EMAILADDRESS% or %EMAILLOCALPART% (draft-ietf-mailmaint-autoconfig-06).
func (u Username) Placeholder() string {
	if u == UsernameLocalPart {
		return "%EMAILLOCALPART%"
	}
	return "%EMAILADDRESS%"
}

// Login returns the user name of an address, or "" where it is not known or
// cannot be written out: Thunderbird 153 reads the text of an XML element as a
// JavaScript value, so that it logs "00123" in as 123 and "true" as a boolean.
func (u Username) Login(a Address) string {
	if a.Local == "" {
		return ""
	}
	if u != UsernameLocalPart {
		return a.String()
	}
	if readsAsValue(a.Local) {
		return ""
	}
	return a.Local
}

// readsAsValue tells whether JavaScript turns the text into a boolean, or into a
// number that is not written the same way again.
func readsAsValue(text string) bool {
	if text == "true" || text == "false" {
		return true
	}
	if !strings.ContainsAny(text[:1], "+-.0123456789") {
		return false // the usual case, told without the allocations of an error
	}
	if strings.ContainsAny(text, "_pP") {
		return false // 1_000 and 0x1p4 are numbers in Go only
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		// ParseFloat wants an exponent behind a hexadecimal number and takes no 0b and 0o.
		_, err := strconv.ParseUint(text, 0, 64)
		return err == nil
	}
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return false
	}
	return math.Abs(f) >= 1e21 || strconv.FormatFloat(f, 'f', -1, 64) != text
}

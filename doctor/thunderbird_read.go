package doctor

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"mailconfd/settings"
)

// thunderbirdRead reads an autoconfig document as readFromXML does. A server that it
// cannot use is skipped; without one of each direction all is refused. Of several the
// first is used; the others are alternatives that the user may choose.
func thunderbirdRead(body []byte, a settings.Address) ([]Setting, error) {
	root, err := parseXML(body)
	if err != nil {
		return nil, fmt.Errorf("not well-formed: %w", err)
	}
	provider := root.child("emailProvider")
	if root.name != "clientConfig" || provider == nil {
		return nil, fmt.Errorf("the root is %s, with no emailProvider in a clientConfig", root.name)
	}
	id, hasID := provider.attrs["id"]
	if _, ok := jxText(id).hostname(); !hasID || !ok {
		return nil, fmt.Errorf("emailProvider has the id %q", id)
	}
	usable := false
	for _, n := range provider.all("domain") {
		_, ok := jxElement(n).hostname()
		usable = usable || ok
	}
	if !usable {
		return nil, errors.New("no usable domain")
	}
	incoming, why := thunderbirdServers(provider.all("incomingServer"), a)
	if incoming == nil {
		return nil, fmt.Errorf("no usable incomingServer%s", why)
	}
	outgoing, why := thunderbirdServers(provider.all("outgoingServer"), a)
	if outgoing == nil {
		return nil, fmt.Errorf("no usable outgoingServer%s", why)
	}
	return []Setting{*incoming, *outgoing}, nil
}

// thunderbirdServers returns the first server that it can use, or why there is none.
func thunderbirdServers(nodes []*node, a settings.Address) (first *Setting, why string) {
	for _, n := range nodes {
		s, err := thunderbirdServer(n, a)
		if err == nil {
			return &s, ""
		}
		why += ": " + err.Error()
	}
	return nil, why
}

func thunderbirdServer(n *node, a settings.Address) (s Setting, err error) {
	roles := map[string]settings.Role{"imap": settings.RoleIMAP, "pop3": settings.RolePOP3}
	if n.name == "outgoingServer" {
		roles = map[string]settings.Role{"smtp": settings.RoleSubmission}
	}
	role := roles[n.attrs["type"]]
	if role == "" { // also those of Exchange, which are not ours to follow
		return s, fmt.Errorf("type %q", n.attrs["type"])
	}
	host, port := jxElement(n.child("hostname")), jxElement(n.child("port"))
	name, named := host.hostname()
	number, numbered := port.port()
	if !numbered {
		return s, fmt.Errorf("port %q", port.text)
	}
	s, usable := newSetting(role, fillOnce(name, a), int(number), SecurityNone, "")
	if !named || !usable {
		return s, fmt.Errorf("hostname %q", host.text)
	}
	if s.Security, err = thunderbirdSocket(n.all("socketType")); err != nil {
		return s, err
	}
	if s.needs, err = thunderbirdAuth(n.all("authentication"), s.Role); err != nil {
		return s, err
	}
	if n.child("username") != nil || s.needs != nil { // without an element: "undefined"
		name := jxElement(n.child("username"))
		s.Username, s.meant = fillOnce(name.text, a), name.mangled(n.child("username"))
	}
	return s, nil
}

// thunderbirdSocket takes the first value that it knows; letter case and spaces count.
func thunderbirdSocket(nodes []*node) (Security, error) {
	var seen []string
	for _, n := range nodes {
		value := jxElement(n)
		switch value.text {
		case "SSL":
			return SecurityTLS, nil
		case "STARTTLS":
			return SecuritySTARTTLS, nil
		case "plain":
			return SecurityNone, nil
		}
		seen = append(seen, value.text)
	}
	return "", fmt.Errorf("socketType %q", seen)
}

// thunderbirdAuth takes the first method that it knows and returns what that can mean.
// OAuth2 counts only for hosts built into it, of which a domain that needs a doctor is
// none.
func thunderbirdAuth(nodes []*node, role settings.Role) (settings.Mechanisms, error) {
	var seen []string
	for _, n := range nodes {
		value := jxElement(n)
		switch value.text {
		case "password-cleartext", "plain":
			return settings.Mechanisms{"PLAIN", "LOGIN", "USER"}, nil
		case "password-encrypted", "secure":
			return settings.Mechanisms{"CRAM-MD5"}, nil
		case "GSSAPI", "NTLM":
			return settings.Mechanisms{value.text}, nil
		case "none", "client-IP-address", "smtp-after-pop":
			if role == settings.RoleSubmission {
				return nil, nil
			}
		}
		seen = append(seen, value.text)
	}
	return nil, fmt.Errorf("authentication %q", seen)
}

// fillOnce expands the placeholders as String.replace does: the first of each.
func fillOnce(text string, a settings.Address) string {
	for _, p := range [][2]string{{"%EMAILADDRESS%", a.String()}, {"%EMAILLOCALPART%", a.Local}, {"%EMAILDOMAIN%", a.Domain}} {
		text = strings.Replace(text, p[0], p[1], 1)
	}
	return text
}

// jxValue is what Thunderbird's JXON makes of a text: a number or a boolean where it
// looks like one, true where an element is empty, an object where it has attributes,
// children or nothing but a comment. (It also takes some texts for dates.)
type jxValue struct {
	text string // as JavaScript writes it
	kind jxKind
}

type jxKind int

const (
	jxUndefined jxKind = iota
	jxString
	jxNumber
	jxBool
	jxObject
)

func jxElement(n *node) jxValue {
	switch {
	case n == nil:
		return jxValue{"undefined", jxUndefined}
	case len(n.attrs) > 0 || len(n.children) > 0 || n.comment && n.text == "":
		return jxValue{"[object Object]", jxObject}
	case n.text == "":
		return jxValue{"true", jxBool}
	default:
		return jxText(n.text)
	}
}

// jsNumber is what JavaScript's isFinite takes, and jsFloat what parseFloat reads of it:
// of "0x10" only the 0.
var (
	jsNumber = regexp.MustCompile(`^(0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)$`)
	jsFloat  = regexp.MustCompile(`^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?`)
	jsInt    = regexp.MustCompile(`^[+-]?[0-9]+`)
)

func jxText(text string) jxValue {
	trimmed := strings.TrimSpace(text)
	switch {
	case strings.EqualFold(text, "true") || strings.EqualFold(text, "false"):
		return jxValue{strings.ToLower(text), jxBool}
	case trimmed == "":
		return jxValue{"NaN", jxNumber}
	case jsNumber.MatchString(trimmed):
		if f, err := strconv.ParseFloat(jsFloat.FindString(trimmed), 64); err == nil {
			return jxValue{strconv.FormatFloat(f, 'f', -1, 64), jxNumber}
		}
	}
	return jxValue{text, jxString}
}

// placeholderHost is a host name with placeholders in it (Sanitizer.hostname).
var placeholderHost = regexp.MustCompile(`^[a-zA-Z0-9.-]*(%[A-Z0-9]+%[a-zA-Z0-9.-]*)+$`)

// hostname returns the value as a host name, if it can be one.
func (v jxValue) hostname() (string, bool) {
	text := strings.TrimSpace(v.text)
	switch {
	case v.falsy():
		return "", false
	case placeholderHost.MatchString(text):
		return text, true
	}
	return strings.ToLower(text), legalHost(text)
}

// port returns the value as parseInt reads it, if that is a port.
func (v jxValue) port() (uint16, bool) {
	n, err := strconv.ParseUint(strings.TrimPrefix(jsInt.FindString(strings.TrimSpace(v.text)), "+"), 10, 16)
	if v.kind != jxString && v.kind != jxNumber || err != nil || n == 0 {
		return 0, false
	}
	return uint16(n), true
}

// mangled returns what was written, if the value is not that.
func (v jxValue) mangled(n *node) string {
	switch {
	case n == nil:
		return "no user name"
	case v.kind == jxString || v.text == n.text:
		return ""
	default:
		return strconv.Quote(n.text)
	}
}

// falsy tells the values that JavaScript takes for false.
func (v jxValue) falsy() bool {
	return v.kind == jxUndefined || v.kind == jxBool && v.text == "false" || v.kind == jxNumber && (v.text == "0" || v.text == "NaN")
}

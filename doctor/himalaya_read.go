package doctor

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"mailconfd/settings"
)

// himalayaRead reads an autoconfig document as serde does into its types: one thing
// that does not fit, and all is lost.
func himalayaRead(body []byte, a settings.Address) ([]himalayaConfig, error) {
	if !utf8.Valid(body) {
		return nil, errors.New("not UTF-8")
	}
	root, err := parseXML(body) // the name of the root does not matter
	if err != nil {
		return nil, fmt.Errorf("not well-formed: %w", err)
	}
	if _, ok := root.attrs["version"]; !ok {
		return nil, errors.New("the root has no version")
	}
	providers := root.all("emailProvider")
	if len(providers) != 1 {
		return nil, fmt.Errorf("%d emailProvider", len(providers))
	}
	for _, n := range append(root.all("oAuth2"), root.all("oauth2")...) {
		if err := himalayaOAuth(n); err != nil {
			return nil, err
		}
	}
	return himalayaServers(providers[0], a)
}

func himalayaServers(provider *node, a settings.Address) ([]himalayaConfig, error) {
	if _, ok := provider.attrs["id"]; !ok {
		return nil, errors.New("emailProvider has no id")
	}
	for _, name := range []string{"displayName", "displayShortName"} {
		if _, err := serdeText(provider, name); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"domain", "incomingServer", "outgoingServer", "documentation"} {
		if !adjacent(provider, name) {
			return nil, fmt.Errorf("the %s elements do not stand together", name)
		}
	}
	for _, n := range provider.all("documentation") {
		if _, ok := n.attrs["url"]; !ok {
			return nil, errors.New("documentation has no url")
		}
	}
	var found []himalayaConfig
	for _, n := range append(provider.all("incomingServer"), provider.all("outgoingServer")...) {
		c, ok, err := himalayaServer(n, a)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.name, err)
		}
		if ok {
			found = append(found, c)
		}
	}
	return found, nil
}

func himalayaServer(n *node, a settings.Address) (c himalayaConfig, ok bool, err error) {
	role := map[string]settings.Role{"imap": settings.RoleIMAP, "pop3": settings.RolePOP3, "smtp": settings.RoleSubmission}[n.attrs["type"]]
	if role == "" {
		return c, false, fmt.Errorf("type %q", n.attrs["type"])
	}
	texts := map[string]string{}
	for _, name := range []string{"hostname", "port", "socketType", "username"} {
		if texts[name], err = serdeText(n, name); err != nil {
			return c, false, err
		}
	}
	security, known := map[string]Security{
		"SSL": SecurityTLS, "tls": SecurityTLS, "STARTTLS": SecuritySTARTTLS, "starttls": SecuritySTARTTLS, "plain": SecurityNone,
	}[texts["socketType"]]
	if n.child("socketType") == nil {
		security, known = SecurityTLS, true
	}
	if !known {
		return c, false, fmt.Errorf("socketType %q", texts["socketType"])
	}
	if err := himalayaAuth(n); err != nil {
		return c, false, err
	}
	port := wholeInt(texts["port"])
	if n.child("port") == nil {
		port = himalayaPort(role, security)
	} else if port == 0 {
		return c, false, fmt.Errorf("port %q", texts["port"])
	}
	s, ok := newSetting(role, fill(texts["hostname"], a), port, security, "")
	return himalayaConfig{Setting: s, user: fill(texts["username"], a)}, ok, nil
}

func himalayaPort(role settings.Role, security Security) int {
	implicit := map[settings.Role]int{settings.RoleIMAP: 993, settings.RolePOP3: 995, settings.RoleSubmission: 465}
	other := map[settings.Role]int{settings.RoleIMAP: 143, settings.RolePOP3: 110, settings.RoleSubmission: 587}
	if security == SecurityTLS {
		return implicit[role]
	}
	return other[role]
}

// himalayaAuth knows a closed set of methods; "GSSAPI" is misspelt in it.
func himalayaAuth(n *node) error {
	if !adjacent(n, "authentication") {
		return errors.New("the authentication elements do not stand together")
	}
	known := []string{
		"password-cleartext", "passwordCleartext", "password-encrypted", "passwordEncrypted", "NTLM", "ntlm", "GSAPI", "gsApi",
		"client-IP-address", "clientIPAddress", "TLS-client-cert", "tlsClientCert", "OAuth2", "oAuth2", "none",
	}
	for _, c := range n.all("authentication") {
		if text := strings.TrimSpace(c.text); !slices.Contains(known, text) {
			return fmt.Errorf("authentication %q", text)
		}
	}
	return nil
}

func himalayaOAuth(n *node) error {
	for _, names := range [][]string{{"issuer"}, {"scope"}, {"authURL", "authUrl"}, {"tokenURL", "tokenUrl"}} {
		if !slices.ContainsFunc(names, func(name string) bool { return n.child(name) != nil }) {
			return fmt.Errorf("oAuth2 has no %s", names[0])
		}
	}
	return nil
}

// serdeText returns the trimmed text of an element that may stand there once.
func serdeText(n *node, name string) (string, error) {
	some := n.all(name)
	switch {
	case len(some) > 1:
		return "", fmt.Errorf("%d %s", len(some), name)
	case len(some) == 0:
		return "", nil
	case len(some[0].children) > 0:
		return "", fmt.Errorf("%s holds an element", name)
	}
	return strings.TrimSpace(some[0].text), nil
}

// adjacent tells whether no other element stands between those of a name.
func adjacent(n *node, name string) bool {
	runs, inside := 0, false
	for _, c := range n.children {
		if c.name == name && !inside {
			runs++
		}
		inside = c.name == name
	}
	return runs <= 1
}

// himalayaPACC reads the PACC document, in the form of draft-ietf-mailmaint-pacc-02, if a
// TXT record vouches for its bytes.
func (v *visit) himalayaPACC() (found []himalayaConfig, source string) {
	domain := v.address.Domain
	p := v.get("https://ua-auto-config." + domain + "/.well-known/user-agent-configuration.json")
	if !p.taken {
		return nil, p.from
	}
	if !vouched(v.dns("_ua-auto-config."+domain, TypeTXT).Records, p.Body) {
		v.reject(p, "no TXT record at _ua-auto-config."+domain+" holds its digest")
		return nil, p.from
	}
	found, err := himalayaReadPACC(p.Body)
	if err != nil {
		v.reject(p, err.Error())
	}
	return found, p.from
}

// vouched tells whether one of the records holds the digest of a document.
func vouched(records []Record, body []byte) bool {
	digest := sha256.Sum256(body)
	for _, r := range records {
		tags := map[string]string{}
		for tag := range strings.SplitSeq(r.Text, ";") {
			if name, value, ok := strings.Cut(tag, "="); ok {
				tags[strings.ToLower(strings.TrimSpace(name))] = strings.TrimSpace(value)
			}
		}
		sum, err := base64.StdEncoding.DecodeString(tags["d"])
		if strings.EqualFold(tags["v"], "UAAC1") && strings.EqualFold(tags["a"], "sha256") && err == nil && slices.Equal(sum, digest[:]) {
			return true
		}
	}
	return false
}

// himalayaReadPACC reads the hosts, which mean implicit TLS on the default ports. The
// newer name of smtp, submit, is not known.
func himalayaReadPACC(body []byte) (found []himalayaConfig, err error) {
	var document map[string]json.RawMessage // a struct would not tell letter case
	if err := json.Unmarshal(body, &document); err != nil {
		return nil, fmt.Errorf("not the JSON that is expected: %w", err)
	}
	protocols, err := jsonObject(document, "protocols")
	if err != nil {
		return nil, err
	}
	if err := himalayaRequired(document); err != nil {
		return nil, err
	}
	for _, want := range []struct {
		name string
		role settings.Role
	}{{"imap", settings.RoleIMAP}, {"pop3", settings.RolePOP3}, {"smtp", settings.RoleSubmission}} {
		if raw := protocols[want.name]; raw == nil || string(raw) == "null" {
			continue
		}
		protocol, err := jsonObject(protocols, want.name)
		if err != nil {
			return nil, err
		}
		var host *string
		if err := json.Unmarshal(protocol["host"], &host); protocol["host"] == nil || err != nil || host == nil {
			return nil, fmt.Errorf("protocols.%s has no host", want.name)
		}
		if s, ok := newSetting(want.role, *host, himalayaPort(want.role, SecurityTLS), SecurityTLS, ""); ok {
			found = append(found, himalayaConfig{Setting: s})
		}
	}
	return found, nil
}

// himalayaRequired checks what a PACC document must hold besides protocols.
func himalayaRequired(document map[string]json.RawMessage) error {
	if _, err := jsonObject(document, "authentication"); err != nil {
		return err
	}
	info, err := jsonObject(document, "info")
	if err != nil {
		return err
	}
	provider, err := jsonObject(info, "provider")
	if err == nil && !strings.HasPrefix(string(provider["name"]), `"`) {
		err = errors.New("info.provider has no name")
	}
	return err
}

// jsonObject returns a member that must be an object.
func jsonObject(within map[string]json.RawMessage, name string) (map[string]json.RawMessage, error) {
	var object map[string]json.RawMessage
	if err := json.Unmarshal(within[name], &object); within[name] == nil || err != nil || object == nil {
		return nil, fmt.Errorf("%s is no object", name)
	}
	return object, nil
}

package doctor

import (
	"fmt"
	"slices"
	"strings"

	"mailconfd/settings"
)

// values finds what means nothing to clients, or not what was meant (A3.1, A4.1, pair).
func (c *comparison) values() {
	for _, f := range c.docs {
		for _, o := range f.offers {
			c.value(f, o)
		}
		switch f.format {
		case formatAutoconfig:
			c.autoconfigDocument(f)
		case formatAutodiscover:
			c.autodiscoverDocument(f)
		}
	}
}

// value looks at one service of a document.
func (c *comparison) value(f *file, o offer) {
	where := bare(f.url) + ": " + o.String()
	switch {
	case o.host == "" || strings.Contains(o.host, "%") && o.format != formatAutoconfig:
		c.blame(KindMeaningless, f, o, where, "write the server's host name: nothing is filled in there")
	case o.port == 0:
		c.blame(KindMeaningless, f, o, where, "write the port as a number")
	case o.security == "":
		c.blame(KindMeaningless, f, o, where, c.correct(o))
	case o.security == SecurityNone:
		c.blame(KindPlaintextOffered, f, o, where, c.correct(o))
	}
	if o.role == settings.RoleSubmission && o.port == 25 {
		c.find(KindPort25, where, "", c.readers(f.urls...)...)
	}
}

// blame finds what is wrong with a document. That clients reject the document, do not
// encrypt at the place of an offer, or cannot log in, follows from it.
func (c *comparison) blame(k Kind, f *file, o offer, detail, remedy string) {
	found := finding(k, detail, remedy)
	found.explains = []string{o.place()}
	switch k {
	case KindAuthentication:
		s, _ := o.service()
		found.explains = append(found.explains, s.String())
	case KindMeaningless:
		found.explains = append(found.explains, aboutLogin)
		if truth := c.truth(o.role, o.host, o.port); truth != "" {
			other := o // what clients take the words for is not how the port encrypts
			other.security = map[Security]Security{SecurityTLS: SecuritySTARTTLS, SecuritySTARTTLS: SecurityTLS}[truth]
			s, _ := other.service()
			found.explains = append(found.explains, s.String())
		}
	}
	for _, u := range f.urls {
		found.explains = append(found.explains, bare(u))
	}
	c.add(found, c.those(func(r ClientReport) bool {
		return slices.ContainsFunc(r.Findings, func(g Finding) bool { return explained(g, []Finding{found}) })
	})...)
}

// correct returns the line that says how the port of an offer really encrypts, or "".
func (c *comparison) correct(o offer) string {
	if security := c.truth(o.role, o.host, o.port); security != "" {
		return fmt.Sprintf("write %s for %s port %d", line(o.format, security), o.host, o.port)
	}
	return ""
}

// truth tries how a port encrypts; "": in no way that works.
func (e *examination) truth(role settings.Role, host string, port uint16) Security {
	for _, security := range []Security{SecurityTLS, SecuritySTARTTLS} {
		if s, ok := (offer{role: role, host: host, port: port, security: security}).service(); ok && e.probe(s).Verdict().Verified {
			return security
		}
	}
	return ""
}

// line is how a document says what is encrypted how.
func line(f format, s Security) string {
	words := "SSL"
	switch {
	case f == formatAutodiscover && s == SecuritySTARTTLS:
		words = "TLS"
	case s == SecuritySTARTTLS:
		words = "STARTTLS"
	}
	if f == formatAutodiscover {
		return "<SSL>on</SSL><Encryption>" + words + "</Encryption>"
	}
	return "<socketType>" + words + "</socketType>"
}

// autodiscoverDocument looks at what only Autodiscover has.
func (c *comparison) autodiscoverDocument(f *file) {
	if accounts := f.root.child("Response").all("Account"); len(accounts) > 1 {
		c.find(KindAccounts, fmt.Sprintf("%s has %d", bare(f.url), len(accounts)), "", c.readers(f.urls...)...)
	}
	for _, n := range limit(protocols(f.root), maxOffers) {
		where := fmt.Sprintf("%s: %s %s port %s", bare(f.url), textOf(n.child("Type")), textOf(n.child("Server")), textOf(n.child("Port")))
		c.autodiscoverWords(f, n, where)
		if autodiscoverRoles[field(n, "Type")] != "" {
			c.pair(f, n, where)
			c.outlookLogin(f, n, where)
		}
	}
}

// knownTypes are all that some reader knows; those of Exchange and eM Client too.
var knownTypes = []string{"IMAP", "POP3", "SMTP", "DAV", "WEB", "NNTP", "EXCH", "EXPR", "EXHTTP", "CalDAV", "CardDAV", absent}

// autodiscoverWords finds values and elements that no reader knows.
func (c *comparison) autodiscoverWords(f *file, n *node, where string) {
	complain := func(what, remedy string) {
		c.blame(KindMeaningless, f, protocolOffer(n), where+": "+what, remedy)
	}
	if kind := textOf(n.child("Type")); !slices.Contains(knownTypes, kind) {
		complain("Type "+kind, "write IMAP, POP3 or SMTP")
		return
	}
	if ssl := n.child("SSL"); ssl != nil && !slices.Contains([]string{"on", "off"}, strings.ToLower(textOf(ssl))) && protocolOffer(n).security != "" {
		complain(fmt.Sprintf("SSL %q", textOf(ssl)), "write <SSL>on</SSL>") // Thunderbird passes over "true"
	}
	if n.child("TLS") != nil {
		complain("an element TLS, which no schema has", "write <Encryption> in its place")
	}
	if login := n.child("LoginName"); login != nil && textOf(login) == "" {
		complain("an empty LoginName: Thunderbird logs in as \"true\"", "write the full user name, or leave the element out")
	}
}

// pair looks at SSL and Encryption together.
func (c *comparison) pair(f *file, n *node, where string) {
	ssl, encryption := n.child("SSL"), strings.ToLower(textOf(n.child("Encryption")))
	security := map[string]Security{"ssl": SecurityTLS, "tls": SecuritySTARTTLS}[encryption]
	if security == "" {
		return
	}
	o := protocolOffer(n)
	remedy := "write " + line(formatAutodiscover, security)
	switch {
	case ssl == nil:
		c.blame(KindPair, f, o, where, remedy)
	case strings.EqualFold(textOf(ssl), "off"):
		c.blame(KindPairOff, f, o, where, remedy)
	}
}

// outlookLogin looks at what Outlook makes of SPA, whose default is on, and of
// DomainRequired (cc511507).
func (c *comparison) outlookLogin(file *file, n *node, where string) {
	outlook := slices.DeleteFunc(c.readers(file.urls...), func(title string) bool { return !strings.HasPrefix(title, "Outlook") })
	if spa := textOf(n.child("SPA")); !strings.EqualFold(spa, "off") && !c.offersNTLM(n) {
		f := finding(KindOutlookLogin, where+": SPA "+spa, "add <SPA>off</SPA>; its default is on")
		if s, ok := protocolOffer(n).service(); ok {
			f.explains = []string{s.String() + " NTLM"}
		}
		c.add(f, outlook...)
	}
	if required := textOf(n.child("DomainRequired")); strings.EqualFold(required, "on") {
		c.findLess(Warning, KindOutlookLogin, where+": DomainRequired on", "write <DomainRequired>off</DomainRequired>", outlook...)
	}
}

func (c *comparison) offersNTLM(n *node) bool {
	s, ok := protocolOffer(n).service()
	return ok && slices.Contains(c.probe(s).Verdict().Auth, "NTLM")
}

// autoconfigDocument looks at what only autoconfig has.
func (c *comparison) autoconfigDocument(f *file) {
	for _, n := range limit(servers(f.root), maxOffers) {
		where := fmt.Sprintf("%s: %s %s port %s", bare(f.url), shown(n.attrs["type"]), textOf(n.child("hostname")), textOf(n.child("port")))
		if autoconfigRoles[n.attrs["type"]] != "" {
			c.username(f, n, where)
			c.authentication(f, n, where)
		}
	}
}

// username finds placeholders that only some clients fill in. One that the whole
// address, or its local part, can stand for is easily mended.
func (c *comparison) username(file *file, n *node, where string) {
	o := serverOffer(n)
	const address, local, domain = "%EMAILADDRESS%", "%EMAILLOCALPART%", "%EMAILDOMAIN%"
	name := n.value("username")
	rest := strings.NewReplacer(address, "", local, "", domain, "").Replace(name)
	switch {
	case name == address || name == local:
	case n.child("username") != nil && name == "":
		c.blame(KindMeaningless, file, o, where+": an empty username: Thunderbird logs in as \"true\"", "write <username>%EMAILADDRESS%</username>")
	case strings.Contains(rest, "%"):
		c.blame(KindMeaningless, file, o, fmt.Sprintf("%s: username %q", where, shown(name)), "write <username>%EMAILADDRESS%</username>")
	case rest != name && fill(name, c.address) == c.address.String():
		f := finding(KindUsername, fmt.Sprintf("%s: username %q", where, shown(name)), "write <username>%EMAILADDRESS%</username>, which means the same")
		f.explains = []string{aboutLogin}
		c.add(f, c.strangers()...)
	case rest != name:
		f := finding(KindUsername, fmt.Sprintf("%s: username %q", where, shown(name)), "let the full address log in too, and write <username>%EMAILADDRESS%</username>")
		f.Weight, f.explains = Warning, []string{aboutLogin}
		c.add(f, c.strangers()...)
	}
}

// strangers are the clients that make another user name than was published.
func (c *comparison) strangers() []string {
	return c.those(func(r ClientReport) bool {
		return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Kind == KindUsername })
	})
}

// authenticationWords are what clients take each method for.
var authenticationWords = map[string][]string{
	"password-cleartext": {"PLAIN", "LOGIN", "USER"}, "plain": {"PLAIN", "LOGIN", "USER"},
	"password-encrypted": {"CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"}, "secure": {"CRAM-MD5", "DIGEST-MD5", "SCRAM-SHA-1", "SCRAM-SHA-256"},
	"NTLM": {"NTLM"}, "GSSAPI": {"GSSAPI"}, "OAuth2": {"OAUTHBEARER", "XOAUTH2"}, "TLS-client-cert": {"EXTERNAL"},
}

// authentication compares the methods of a document with those of the server.
func (c *comparison) authentication(f *file, n *node, where string) {
	var methods, mechanisms []string
	for _, m := range n.all("authentication") {
		if m.attrs["system"] == "" { // a SASL mechanism by its own name stands beside a method
			methods = append(methods, textOf(m))
			mechanisms = append(mechanisms, authenticationWords[m.text]...)
		}
	}
	o := serverOffer(n)
	s, ok := o.service()
	said := strings.Join(methods, ", ")
	switch {
	case len(methods) == 0:
		c.blame(KindMeaningless, f, o, where+": no authentication: Thunderbird passes over the server", "add <authentication>password-cleartext</authentication>")
	case len(mechanisms) == 0 && !slices.Contains(methods, "none") && !slices.Contains(methods, "client-IP-address") && !slices.Contains(methods, "smtp-after-pop"):
		c.blame(KindMeaningless, f, o, where+": authentication "+said, "write <authentication>password-cleartext</authentication>")
	case !ok || !c.works(s) || len(mechanisms) == 0:
	case !slices.ContainsFunc(mechanisms, func(m string) bool { return slices.Contains(c.probe(s).Verdict().Auth, m) }):
		c.blame(KindAuthentication, f, o, fmt.Sprintf("%s: authentication %s; the server offers %s", where, said, strings.Join(c.probe(s).Verdict().Auth, " ")), "")
	case said == "password-encrypted":
		c.find(KindEncryptedOnly, where, "", c.readers(f.urls...)...)
	}
}

// works tells whether a service does what a client needs.
func (e *examination) works(s settings.Service) bool { return e.probe(s).Verdict().Verified }

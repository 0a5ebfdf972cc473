// Package autoconfig writes the document by which Thunderbird and a dozen other mail
// clients set themselves up: Mozilla's config-v1.1.xml, which
// draft-ietf-mailmaint-autoconfig-06 describes and extends to version 1.2.
//
// The document is the part of version 1.1 that every client read for it takes the
// same way: at most one server of each kind, IMAP before POP3, no value that only
// some of them know. docs/autoconfig.md says which client needs what.
//
// The address that a client sends is never written into the document: placeholders
// stand in its place, which the client fills in itself. Evolution asks as
// EVOLUTIONUSER, whoever the user is.
//
// Nothing here reads a clock, a file or the network: the same settings and the same
// domain give the same bytes, for ever.
package autoconfig

import (
	"fmt"
	"slices"

	"mailconfd/settings"
)

// Document is the answer of one provider for all of its domains. Compile makes it; it
// is immutable and safe for concurrent use. The zero Document names no server.
type Document struct {
	provider settings.Provider
	services []settings.Service
	servers  []byte // the server elements, which are the same for every domain
}

// Compile makes the document of what is verified: the first service published for
// IMAP, for POP3 and for submission, whatever its port. It needs a way in and a way
// out, because Thunderbird 153 and Thunderbird for Android reject a document that
// lacks either; the error is then a *settings.Unsayable.
func Compile(v settings.Verified) (Document, error) {
	d := Document{provider: v.Provider()}
	// IMAP first: Geary 43 and FairEmail read only the first incoming server.
	for _, role := range []settings.Role{settings.RoleIMAP, settings.RolePOP3} {
		d.addFirst(v.Services(role))
	}
	if len(d.services) == 0 {
		return Document{}, unsayable("an incoming service")
	}
	incoming := len(d.services)
	d.addFirst(v.Services(settings.RoleSubmission))
	if len(d.services) == incoming {
		return Document{}, unsayable("an outgoing service")
	}
	return d, nil
}

// unsayable has no reasons to give: the format can say every service, so that what it
// lacks is not verified.
func unsayable(needs string) error {
	return &settings.Unsayable{Format: "autoconfig", Needs: needs}
}

// addFirst adds the first of the services of a role, and no other: of two outgoing servers
// Thunderbird takes the first, Evolution 3.46 and aerc the last, and KMail the one with
// STARTTLS.
func (d *Document) addFirst(published []settings.Published) {
	if len(published) == 0 {
		return
	}
	p := published[0]
	d.services = append(d.services, p.Service)
	d.servers = appendServer(d.servers, p, d.provider.Username)
}

// Services returns what the document tells clients, in the order of the document.
func (d Document) Services() []settings.Service { return slices.Clone(d.services) }

// Append appends the document for the domain of an address and returns the extended
// slice. What stands before the @ does not matter. The address must be as
// settings.ParseAddress or ParseDomain makes it.
func (d Document) Append(dst []byte, a settings.Address) []byte {
	display, short := d.provider.Names(a.Domain)
	// No client read looks at the version, and 1.1 holds all that is written here.
	dst = append(dst, `<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1">
  <emailProvider id="`...)
	// Mailspring takes a provider only when its id is the mail domain.
	dst = settings.AppendXML(dst, a.Domain)
	dst = append(dst, "\">\n    <domain>"...)
	dst = settings.AppendXML(dst, a.Domain)
	dst = append(dst, "</domain>\n    <displayName>"...)
	dst = settings.AppendXML(dst, display)
	dst = append(dst, "</displayName>\n    <displayShortName>"...)
	dst = settings.AppendXML(dst, short)
	dst = append(dst, "</displayShortName>\n"...)
	dst = append(dst, d.servers...)
	return append(dst, "  </emailProvider>\n</clientConfig>\n"...)
}

// appendServer appends one server. The order matters to FairEmail: it guesses the
// security from the port and lets a later socketType correct the guess. There is no
// attribute but type, which is all that Evolution takes.
func appendServer(dst []byte, p settings.Published, u settings.Username) []byte {
	element, kind := names(p.Service.Role())
	return fmt.Appendf(dst, `    <%[1]s type="%[2]s">
      <hostname>%[3]s</hostname>
      <port>%[4]d</port>
      <socketType>%[5]s</socketType>
      <authentication>%[6]s</authentication>
      <username>%[7]s</username>
    </%[1]s>
`, element, kind, settings.AppendXML(nil, p.Service.Host), p.Service.Port, socketType(p.Service.Security()), p.Password, u.Placeholder())
}

// names returns the element and the type of a server (draft-ietf-mailmaint-autoconfig-06,
// the registry of types). Both are compared with their letter case.
func names(r settings.Role) (element, kind string) {
	switch r {
	case settings.RoleSubmission:
		return "outgoingServer", "smtp"
	case settings.RolePOP3:
		return "incomingServer", "pop3"
	default:
		return "incomingServer", "imap"
	}
}

// socketType returns the word for a security: SSL is implicit TLS, of whatever version.
// "TLS" is none of the words; Geary takes it for no encryption at all.
func socketType(s settings.Security) string {
	if s == settings.ImplicitTLS {
		return "SSL"
	}
	return "STARTTLS"
}

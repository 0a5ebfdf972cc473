// Package autodiscover speaks the XML form of Microsoft's Autodiscover ("POX"), by
// which classic Outlook for Windows sets itself up, and which Thunderbird, Delta Chat,
// FairEmail, SnappyMail and eM Client read as well. ParseRequest reads what a client
// posts, Compile and Append write the settings, AppendError writes a refusal.
//
// The envelope is that of [MS-OXDSCLI] revision 24.1; what the elements mean for IMAP,
// POP3 and SMTP stands only in "Plan to automatically configure user accounts in
// Outlook 2010" (Microsoft Learn, cc511507). docs/autodiscover.md says which client
// reads what in which way.
//
// It says nothing about Exchange, never that a connection may stay in clear, and never
// a service that one of its readers would take for another. Nothing here reads a clock,
// a file or the network: the same settings and the same address give the same bytes,
// for ever.
package autodiscover

import (
	"fmt"
	"slices"

	"mailconfd/settings"
)

// Document is the answer of one provider for all of its users. Compile makes it; it is
// immutable and safe for concurrent use. The zero Document names no server.
type Document struct {
	username  settings.Username
	services  []settings.Service
	protocols []protocol
}

// protocol is one Protocol element, apart from its LoginName.
type protocol struct{ before, after []byte }

// Compile makes the document of what is verified: for IMAP, for POP3 and for submission
// the first published service that Autodiscover can say. It needs a way in and a way
// out; the error is then a *settings.Unsayable with the reason for each service.
func Compile(v settings.Verified) (Document, error) {
	d := Document{username: v.Provider().Username}
	// In order of preference (cc511507): IMAP first, one of each. FairEmail takes the
	// last IMAP and the last SMTP, Thunderbird the first.
	reasons := d.addFirst(v, settings.RoleIMAP)
	reasons = append(reasons, d.addFirst(v, settings.RolePOP3)...)
	if len(d.services) == 0 {
		return Document{}, &settings.Unsayable{Format: "autodiscover", Needs: "an incoming service", Why: reasons}
	}
	incoming := len(d.services)
	reasons = d.addFirst(v, settings.RoleSubmission)
	if len(d.services) == incoming {
		return Document{}, &settings.Unsayable{Format: "autodiscover", Needs: "an outgoing service", Why: reasons}
	}
	return d, nil
}

// addFirst adds the first service of the role that can be said, or returns why none can.
func (d *Document) addFirst(v settings.Verified, r settings.Role) []string {
	p, reasons, ok := v.Choose(r, cannotSay)
	if !ok {
		return reasons
	}
	d.services = append(d.services, p.Service)
	d.protocols = append(d.protocols, newProtocol(p.Service))
	return nil
}

// cannotSay returns why Autodiscover cannot say a service so that every client read
// for it takes it rightly, or "". There is a word for the security, Encryption, but
// most clients guess from the port instead.
func cannotSay(p settings.Published) string {
	port := p.Service.Port
	switch startTLS := p.Service.Security() == settings.STARTTLS; {
	case p.Password == settings.PasswordEncrypted:
		return "Autodiscover has no word for a login by challenge and response: its SPA means NTLM"
	case startTLS && !p.Service.OnDefaultPort():
		return fmt.Sprintf("STARTTLS can be said on port %d only: on others Thunderbird, FairEmail or SnappyMail guess implicit TLS", p.Service.Scheme.DefaultPort())
	case !startTLS && slices.Contains([]uint16{25, 110, 143, 587}, port):
		return fmt.Sprintf("Thunderbird takes port %d for STARTTLS", port)
	case !startTLS && p.Service.Role() == settings.RoleIMAP && !p.Service.OnDefaultPort():
		return "SnappyMail takes every IMAP port but 993 for STARTTLS"
	}
	return ""
}

// newProtocol writes a Protocol element in the order of Microsoft's examples. What has a
// default is said all the same: the default of SPA is "on", which means NTLM, and that of
// SSL is not the same for all readers. No element is ever empty, because Thunderbird 153
// reads an empty one as true.
func newProtocol(s settings.Service) protocol {
	var p protocol
	p.before = fmt.Appendf(nil, `      <Protocol>
        <Type>%s</Type>
        <Server>%s</Server>
        <Port>%d</Port>
        <DomainRequired>off</DomainRequired>
`, protocolType(s.Role()), settings.AppendXML(nil, s.Host), s.Port)
	// SSL stays on for STARTTLS: with "off" Thunderbird 153, Delta Chat and SnappyMail
	// would log in without encryption, whatever Encryption says.
	p.after = fmt.Appendf(nil, `        <SPA>off</SPA>
        <SSL>on</SSL>
        <Encryption>%s</Encryption>
        <AuthRequired>on</AuthRequired>
`, encryption(s.Security()))
	if s.Role() == settings.RoleSubmission {
		// The login is that of the incoming server, so Outlook need not ask for it again.
		p.after = append(p.after, "        <UsePOPAuth>on</UsePOPAuth>\n"...)
	}
	p.after = append(p.after, "      </Protocol>\n"...)
	return p
}

// protocolType returns the word for a role. Thunderbird 153 and FairEmail compare it
// with its letter case.
func protocolType(r settings.Role) string {
	switch r {
	case settings.RoleSubmission:
		return "SMTP"
	case settings.RolePOP3:
		return "POP3"
	default:
		return "IMAP"
	}
}

// encryption returns the word for a security ([MS-OXDSCLI] section 2.2.4.1.1.2.6.22):
// "SSL" is implicit TLS and "TLS" is STARTTLS. The other way round Outlook waits for
// ever for a greeting in clear.
func encryption(s settings.Security) string {
	if s == settings.ImplicitTLS {
		return "SSL"
	}
	return "TLS"
}

// Services returns what the document tells clients, in the order of the document.
func (d Document) Services() []settings.Service { return slices.Clone(d.services) }

// Append appends the document for an address and returns the extended slice. Where only
// the domain is known, as for Delta Chat's GET, no user and no login name is told. The
// address must be as settings.ParseAddress or ParseDomain makes it.
func (d Document) Append(dst []byte, a settings.Address) []byte {
	dst = append(dst, `<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006">
  <Response xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a">
`...)
	if a.Local != "" {
		dst = append(dst, "    <User>\n      <DisplayName>"...)
		dst = appendAddress(dst, a)
		dst = append(dst, "</DisplayName>\n    </User>\n"...)
	}
	// FairEmail reads a Protocol only behind these two. There is one Account: several
	// confuse Outlook.
	dst = append(dst, `    <Account>
      <AccountType>email</AccountType>
      <Action>settings</Action>
`...)
	for _, p := range d.protocols {
		dst = append(dst, p.before...)
		dst = d.appendLogin(dst, a)
		dst = append(dst, p.after...)
	}
	return append(dst, "    </Account>\n  </Response>\n</Autodiscover>\n"...)
}

// appendLogin appends the login name, where settings.Username.Login knows one. Without
// it Outlook logs in with the local part and Thunderbird 153 with the address.
func (d Document) appendLogin(dst []byte, a settings.Address) []byte {
	local := d.username == settings.UsernameLocalPart
	if a.Local == "" || local && d.username.Login(a) == "" {
		return dst
	}
	dst = append(dst, "        <LoginName>"...)
	if local {
		dst = settings.AppendXML(dst, a.Local)
	} else {
		dst = appendAddress(dst, a) // in pieces: Login would put together a new string
	}
	return append(dst, "</LoginName>\n"...)
}

func appendAddress(dst []byte, a settings.Address) []byte {
	dst = settings.AppendXML(dst, a.Local)
	dst = append(dst, '@')
	return settings.AppendXML(dst, a.Domain)
}

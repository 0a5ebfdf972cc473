package autodiscover_test

import (
	"encoding/xml"
	"errors"
	"fmt"
	"strings"

	"mailconfd/settings"
)

// This file reads documents by the rules of the clients themselves, each as far as it
// bears on which servers it would set up. The rules were read in the clients' sources;
// docs/autodiscover.md names the versions.

// server is what a client would set up. User is empty where the client does not read it.
type server struct {
	kind, host, port string
	security         settings.Security // "": none
	user             string
}

// reader is one client. Those without pop3 take IMAP and SMTP only.
type reader struct {
	name string
	pop3 bool
	read func(account, settings.Address) []server
}

var readers = []reader{
	{"Outlook", true, outlookReads},
	{"Thunderbird", true, thunderbirdReads},
	{"Delta Chat", false, deltaChatReads},
	{"FairEmail", false, fairEmailReads},
	{"SnappyMail", false, snappyMailReads},
}

type account struct {
	displayName string
	protocols   []map[string]string
}

// document is the envelope, namespaces and all.
type document struct {
	XMLName  xml.Name `xml:"http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006 Autodiscover"`
	Response []struct {
		XMLName xml.Name `xml:"http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a Response"`
		User    []struct {
			DisplayName string
		}
		Account []struct {
			Children []child `xml:",any"`
		}
	} `xml:"Response"`
}

type child struct {
	XMLName  xml.Name
	Text     string     `xml:",chardata"`
	Attrs    []xml.Attr `xml:",any,attr"`
	Children []child    `xml:",any"`
}

// parse holds a document to its schema: one Response, one Account, AccountType and Action
// before at least two Protocols, no empty value, no element twice.
func parse(doc []byte) (account, error) {
	var d document
	if err := xml.Unmarshal(doc, &d); err != nil {
		return account{}, err
	}
	if !strings.HasPrefix(string(doc), "<?xml ") || strings.Contains(string(doc), "<!") {
		return account{}, errors.New("want <?xml first, and no comment, CDATA or DOCTYPE")
	}
	if len(d.Response) != 1 || len(d.Response[0].Account) != 1 || len(d.Response[0].User) > 1 {
		return account{}, errors.New("want one Response, one Account, at most one User")
	}
	children := d.Response[0].Account[0].Children
	if len(children) < 4 || children[0].XMLName.Local != "AccountType" || children[0].Text != "email" ||
		children[1].XMLName.Local != "Action" || children[1].Text != "settings" {
		return account{}, errors.New("want AccountType email, Action settings and at least two Protocols, which SnappyMail needs")
	}
	var a account
	for _, u := range d.Response[0].User {
		a.displayName = u.DisplayName
	}
	for _, c := range children[2:] {
		p := map[string]string{}
		for _, v := range c.Children {
			if _, twice := p[v.XMLName.Local]; twice || v.Text == "" || strings.TrimSpace(v.Text) != v.Text || len(v.Attrs)+len(v.Children) > 0 {
				return account{}, fmt.Errorf("value %v", v)
			}
			p[v.XMLName.Local] = v.Text
		}
		if c.XMLName.Local != "Protocol" || len(c.Attrs) > 0 {
			return account{}, fmt.Errorf("want a Protocol, not %v", c.XMLName)
		}
		a.protocols = append(a.protocols, p)
	}
	return a, nil
}

// outlookReads: the first of each type; Encryption overrides SSL; without LoginName the
// local part; the default of SPA and SSL is on, that of DomainRequired off.
func outlookReads(a account, who settings.Address) []server {
	var found []server
	seen := map[string]bool{}
	for _, p := range a.protocols {
		if seen[p["Type"]] || p["SPA"] != "off" || p["AuthRequired"] == "off" || p["DomainRequired"] == "on" {
			continue
		}
		seen[p["Type"]] = true
		security := map[string]settings.Security{"SSL": settings.ImplicitTLS, "TLS": settings.STARTTLS}[p["Encryption"]]
		user := p["LoginName"]
		if user == "" {
			user = who.Local
		}
		found = append(found, server{p["Type"], p["Server"], p["Port"], security, user})
	}
	return found
}

// thunderbirdReads: the first way in and the first SMTP; SSL off or Encryption None is
// plain; else the port alone decides between STARTTLS and implicit TLS.
func thunderbirdReads(a account, who settings.Address) []server {
	var in, out []server
	for _, p := range a.protocols {
		s := server{p["Type"], p["Server"], p["Port"], settings.ImplicitTLS, p["LoginName"]}
		switch {
		case p["SSL"] == "off" || p["Encryption"] == "None":
			s.security = ""
		case s.port == "143" || s.port == "110" || s.port == "25" || s.port == "587":
			s.security = settings.STARTTLS
		}
		if s.user == "" {
			s.user = who.String()
		}
		if s.kind == "SMTP" {
			out = append(out, s)
		} else if s.kind == "IMAP" || s.kind == "POP3" {
			in = append(in, s)
		}
	}
	if len(in) == 0 || len(out) == 0 {
		return nil
	}
	return []server{in[0], out[0]}
}

// deltaChatReads: IMAP and SMTP; SSL off is plain, anything else is tried both ways, so
// that what the server speaks is found; LoginName is not read.
func deltaChatReads(a account, _ settings.Address) []server {
	var found []server
	for _, p := range a.protocols {
		if p["Type"] == "POP3" {
			continue
		}
		s := server{kind: p["Type"], host: p["Server"], port: p["Port"], security: "any"}
		if p["SSL"] == "off" {
			s.security = ""
		}
		found = append(found, s)
	}
	return found
}

// fairEmailReads: the last IMAP and the last SMTP; STARTTLS on 143 and 587, else implicit
// TLS; LoginName is not read.
func fairEmailReads(a account, _ settings.Address) []server {
	last := map[string]server{}
	for _, p := range a.protocols {
		s := server{p["Type"], p["Server"], p["Port"], settings.ImplicitTLS, ""}
		if s.port == "143" || s.port == "587" {
			s.security = settings.STARTTLS
		}
		last[s.kind] = s
	}
	var found []server
	for _, kind := range []string{"IMAP", "SMTP"} {
		if s, ok := last[kind]; ok {
			found = append(found, s)
		}
	}
	return found
}

// snappyMailReads: IMAP and SMTP; without SSL on there is no encryption, but for SMTP on
// 587; IMAP is STARTTLS on every port but 993; the user name is the address where
// LoginName is the address that was posted.
func snappyMailReads(a account, who settings.Address) []server {
	var found []server
	for _, p := range a.protocols {
		s := server{kind: p["Type"], host: p["Server"], port: p["Port"]}
		switch on := p["SSL"] == "on"; {
		case s.kind == "IMAP" && on && s.port == "993", s.kind == "SMTP" && on && s.port != "587":
			s.security = settings.ImplicitTLS
		case s.kind == "IMAP" && on, s.kind == "SMTP" && s.port == "587":
			s.security = settings.STARTTLS
		case s.kind == "POP3":
			continue
		}
		if p["LoginName"] == who.String() {
			s.user = p["LoginName"]
		}
		found = append(found, s)
	}
	return found
}

package doctor

// The readers of documents are fuzzed from inside: a whole examination does many things
// at once, and its coverage, never twice the same, tells a fuzzer nothing.

import (
	"strings"
	"testing"

	"mailconfd/settings"
)

const fuzzAutoconfig = `<?xml version="1.0" encoding="UTF-8"?>
<clientConfig version="1.1"><emailProvider id="example.test"><domain>example.test</domain>
<incomingServer type="imap"><hostname>mail.%EMAILDOMAIN%</hostname><port>993</port><socketType>SSL</socketType><authentication>password-cleartext</authentication><username>%EMAILADDRESS%</username></incomingServer>
<incomingServer type="pop3"><hostname>mail.example.test</hostname><port>995</port><socketType>SSL</socketType><authentication>password-cleartext</authentication><username>%EMAILLOCALPART%</username></incomingServer>
<outgoingServer type="smtp"><hostname>mail.example.test</hostname><port>587</port><socketType>STARTTLS</socketType><authentication>password-cleartext</authentication><username>00123</username></outgoingServer>
</emailProvider></clientConfig>`

const fuzzAutodiscover = `<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006"><Response xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"><Account><AccountType>email</AccountType><Action>settings</Action>
<Protocol><Type>IMAP</Type><Server>mail.example.test</Server><Port>993</Port><LoginName>jane</LoginName><SPA>off</SPA><SSL>on</SSL><Encryption>SSL</Encryption></Protocol>
<Protocol><Type>SMTP</Type><Server>mail.example.test</Server><Port>587</Port><SSL>on</SSL><Encryption>TLS</Encryption></Protocol>
</Account></Response></Autodiscover>`

// fuzzReader checks that a reader never panics, and that whoever believes it can at
// least try to connect.
func fuzzReader(f *testing.F, document string, read func([]byte, settings.Address) []Setting) {
	f.Helper()
	f.Add([]byte(document))
	for _, r := range [][2]string{
		{">993<", ">0x3e1<"},
		{">993<", ">99999<"},
		{">587<", ">-1<"},
		{">587<", ">0<"},
		{">587<", "><"},
		{"mail.example.test", ""},
		{"mail.example.test", "a\tb"},
		{"mail.example.test", "&#1;"},
		{"mail.example.test", "<![CDATA[x]]>"},
		{"mail.example.test", "a<!-- c -->b&amp;c"},
		{"mail.example.test", "::1"},
		{"UTF-8", "iso-8859-1"},
		{"<Action>settings", "<RedirectUrl>https://x.test/"},
		{"type=", "x:type="},
		{"<port>", "<port/><port>"},
	} {
		f.Add([]byte(strings.ReplaceAll(document, r[0], r[1])))
	}
	f.Add([]byte("OK"))
	f.Add([]byte(strings.Repeat("<a>", 60)))
	a := settings.Address{Local: "jane", Domain: "example.test"}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, s := range read(body, a) {
			host, err := settings.ParseHost(s.Host)
			if err != nil || host != s.Host || s.Port == 0 || s.Role == "" || s.Security == "" {
				t.Errorf("%+v cannot be connected to: %v", s, err)
			}
		}
	})
}

func FuzzThunderbird(f *testing.F) {
	fuzzReader(f, fuzzAutoconfig, func(body []byte, a settings.Address) []Setting {
		found, _ := thunderbirdRead(body, a)
		return found
	})
}

func FuzzThunderbirdAutodiscover(f *testing.F) {
	fuzzReader(f, fuzzAutodiscover, func(body []byte, a settings.Address) []Setting {
		root, _ := parseXML(body)
		return thunderbirdPOX(root.child("Response").child("Account"), a.String())
	})
}

func FuzzOutlook(f *testing.F) {
	fuzzReader(f, fuzzAutodiscover, func(body []byte, a settings.Address) []Setting {
		root, _ := parseXML(body)
		return outlookRead(root.child("Response").child("Account"), a)
	})
}

func FuzzThunderbirdAndroid(f *testing.F) {
	fuzzReader(f, fuzzAutoconfig, func(body []byte, a settings.Address) []Setting {
		found, _ := androidRead(body, a)
		return found
	})
}

func FuzzDeltaChat(f *testing.F) {
	fuzzReader(f, fuzzAutoconfig, func(body []byte, a settings.Address) []Setting {
		found, _ := deltaChatReadAutoconfig(body, a)
		return allPorts(found, a)
	})
}

func FuzzDeltaChatAutodiscover(f *testing.F) {
	fuzzReader(f, fuzzAutodiscover, func(body []byte, a settings.Address) []Setting {
		found, _, _ := deltaChatReadAutodiscover(body)
		return allPorts(found, a)
	})
}

func allPorts(found []Setting, a settings.Address) []Setting {
	var all []Setting
	for _, s := range found {
		all = append(all, deltaChatPorts(s, a)...)
	}
	return all
}

func FuzzEvolution(f *testing.F) {
	fuzzReader(f, fuzzAutoconfig, func(body []byte, a settings.Address) []Setting {
		r := evolutionReader{address: a, servers: map[string]*evolutionServer{}}
		_ = r.document(body)
		_ = r.document([]byte(fuzzAutoconfig[:200])) // a second one, into the same
		return evolutionBest(r.choices("x"))
	})
}

func FuzzKMail(f *testing.F) {
	fuzzReader(f, fuzzAutoconfig, func(body []byte, a settings.Address) []Setting {
		found, _ := kmailRead(body, a)
		return found
	})
}

func FuzzFairEmail(f *testing.F) {
	fuzzReader(f, fuzzAutoconfig, func(body []byte, a settings.Address) []Setting {
		c, err := fairReadAutoconfig(body, a)
		if err != nil {
			return nil
		}
		return []Setting{c.imap, c.smtp}
	})
}

func FuzzFairEmailAutodiscover(f *testing.F) {
	fuzzReader(f, fuzzAutodiscover, func(body []byte, a settings.Address) []Setting {
		c, err := fairReadAutodiscover(body, a)
		if err != nil {
			return nil
		}
		return []Setting{c.imap, c.smtp}
	})
}

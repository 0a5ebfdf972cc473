package autodiscover_test

import (
	"errors"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"mailconfd/autodiscover"
	"mailconfd/settings"
)

const (
	schemas   = "http://schemas.microsoft.com/exchange/autodiscover/"
	askOut    = schemas + "outlook/requestschema/2006"
	wantOut   = schemas + "outlook/responseschema/2006a"
	askSync   = schemas + "mobilesync/requestschema/2006"
	wantSync  = schemas + "mobilesync/responseschema/2006"
	outlook   = `<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="` + askOut + `"><Request><EMailAddress>jane@example.com</EMailAddress><AcceptableResponseSchema>` + wantOut + `</AcceptableResponseSchema></Request></Autodiscover>`
	mobile    = `<Autodiscover xmlns="` + askSync + `"><Request><EMailAddress>jane@example.com</EMailAddress><AcceptableResponseSchema>` + wantSync + `</AcceptableResponseSchema></Request></Autodiscover>`
	thunder   = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n      <Autodiscover xmlns=\"" + askOut + "\">\n        <Request>\n          <EMailAddress>a&b=c@example.com</EMailAddress>\n          <AcceptableResponseSchema>" + wantOut + "</AcceptableResponseSchema>\n        </Request>\n      </Autodiscover>"
	snappy    = "<?xml version=\"1.0\" encoding=\"utf-8\" ?>\n\t\t<Autodiscover xmlns=\"" + askOut + "\">\n\t\t\t<Request>\n\t\t\t\t<AcceptableResponseSchema>" + wantOut + "</AcceptableResponseSchema>\n\t\t\t\t<EMailAddress>autodiscover@example.com</EMailAddress>\n\t\t\t</Request>\n\t\t</Autodiscover>"
	byteOrder = "\uFEFF"
)

// body wraps the children of a Request.
func body(children string) string {
	return `<Autodiscover xmlns="` + askOut + `"><Request>` + children + `</Request></Autodiscover>`
}

// accepted are requests that are taken, with what they ask for.
var accepted = map[string]struct {
	body string
	want autodiscover.Request
}{
	"no body":                   {"", autodiscover.Request{}},
	"white space":               {" \r\n", autodiscover.Request{}},
	"byte order mark only":      {byteOrder, autodiscover.Request{}},
	"Outlook":                   {outlook, autodiscover.Request{Address: "jane@example.com"}},
	"Thunderbird, ampersand":    {thunder, autodiscover.Request{Address: "a&b=c@example.com"}},
	"ampersand, escaped":        {body("<EMailAddress>a&amp;b@example.com</EMailAddress>"), autodiscover.Request{Address: "a&b@example.com"}},
	"SnappyMail, schema first":  {snappy, autodiscover.Request{Address: "autodiscover@example.com"}},
	"ActiveSync":                {mobile, autodiscover.Request{Address: "jane@example.com", MobileSync: true}},
	"ActiveSync, by namespace":  {`<Autodiscover xmlns="` + askSync + `"><Request><EMailAddress>jane@example.com</EMailAddress></Request></Autodiscover>`, autodiscover.Request{Address: "jane@example.com", MobileSync: true}},
	"both schemas":              {body("<EMailAddress>j@example.com</EMailAddress><AcceptableResponseSchema>" + wantSync + "</AcceptableResponseSchema><AcceptableResponseSchema>" + wantOut + "</AcceptableResponseSchema>"), autodiscover.Request{Address: "j@example.com"}},
	"schemas with https":        {strings.ReplaceAll(outlook, "http:", "https:"), autodiscover.Request{Address: "jane@example.com"}},
	"no namespace":              {"<Autodiscover><Request><EMailAddress>jane@example.com</EMailAddress></Request></Autodiscover>", autodiscover.Request{Address: "jane@example.com"}},
	"prefixes":                  {`<a:Autodiscover xmlns:a="` + askOut + `"><a:Request><a:EMailAddress>jane@example.com</a:EMailAddress></a:Request></a:Autodiscover>`, autodiscover.Request{Address: "jane@example.com"}},
	"letter case of names":      {"<autodiscover><request><EmailAddress>jane@example.com</EmailAddress></request></autodiscover>", autodiscover.Request{Address: "jane@example.com"}},
	"byte order mark":           {byteOrder + outlook, autodiscover.Request{Address: "jane@example.com"}},
	"leading white space":       {"\r\n  " + outlook, autodiscover.Request{Address: "jane@example.com"}},
	"space around the address":  {body("<EMailAddress>\n  jane@example.com\n</EMailAddress>"), autodiscover.Request{Address: "jane@example.com"}},
	"letter case of address":    {body("<EMailAddress>Jane@EXAMPLE.com</EMailAddress>"), autodiscover.Request{Address: "Jane@EXAMPLE.com"}},
	"CDATA and comment":         {body("<!-- c --><EMailAddress><![CDATA[jane]]>@<!-- d -->example.com</EMailAddress>"), autodiscover.Request{Address: "jane@example.com"}},
	"UTF-8":                     {body("<EMailAddress>jäne@bücher.example</EMailAddress>"), autodiscover.Request{Address: "jäne@bücher.example"}},
	"no address at all":         {body("<EMailAddress>me</EMailAddress>"), autodiscover.Request{Address: "me"}},
	"LegacyDN":                  {body("<LegacyDN>/o=Example/cn=jane</LegacyDN>"), autodiscover.Request{}},
	"LegacyDN, empty address":   {body("<EMailAddress/><LegacyDN>/o=Example/cn=jane</LegacyDN>"), autodiscover.Request{}},
	"unknown elements":          {"<Autodiscover><Head>x<EMailAddress>no@example.com</EMailAddress></Head><Request>" + "<Culture>en:us</Culture><Deep><EMailAddress>no@example.com</EMailAddress></Deep><EMailAddress>jane@example.com</EMailAddress></Request></Autodiscover>", autodiscover.Request{Address: "jane@example.com"}},
	"element in the address":    {body("<EMailAddress>jane<b>bold</b>@example.com</EMailAddress>"), autodiscover.Request{Address: "jane@example.com"}},
	"something behind the root": {outlook + "\x00 &junk <Autodiscover>", autodiscover.Request{Address: "jane@example.com"}},
	"as long as may be":         {outlook + strings.Repeat(" ", autodiscover.MaxRequest-len(outlook)), autodiscover.Request{Address: "jane@example.com"}},
}

// refused are requests that are not taken, with the code and a part of the reason.
var refused = map[string]struct {
	body   string
	code   autodiscover.Code
	reason string
}{
	"too long":               {outlook + strings.Repeat(" ", autodiscover.MaxRequest-len(outlook)+1), 600, "16384 bytes"},
	"text":                   {"hello", 600, "ends before"},
	"form":                   {"emailaddress=jane%40example.com", 600, "ends before"},
	"JSON":                   {`{"address": "jane@example.com"}`, 600, "ends before"},
	"HTML":                   {"<html><body>", 600, `want the element Autodiscover, not "html"`},
	"cut off":                {outlook[:len(outlook)-5], 600, "not XML"},
	"cut off between":        {strings.TrimSuffix(outlook, "</Autodiscover>"), 600, "ends before </Autodiscover>"},
	"crossed":                {"<Autodiscover><Request></Autodiscover></Request>", 600, `end of "Autodiscover"`},
	"end only":               {"</Autodiscover>", 600, `end of "Autodiscover"`},
	"no Request":             {"<Autodiscover/>", 600, "want one Request element, not 0"},
	"several Requests":       {strings.Replace(outlook, "<Request>", "<Request/><Request>", 1), 600, "want one Request element, not 2"},
	"several addresses":      {body("<EMailAddress>a@example.com</EMailAddress><EMailAddress>b@example.com</EMailAddress>"), 600, "want one EMailAddress, not 2"},
	"nobody":                 {body(""), 600, "want an EMailAddress"},
	"empty address":          {body("<EMailAddress></EMailAddress>"), 600, "want an EMailAddress"},
	"DOCTYPE":                {`<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]>` + body("<EMailAddress>&e;@example.com</EMailAddress>"), 600, "DOCTYPE"},
	"UTF-16, little endian":  {"\xff\xfe<\x00A\x00", 600, "UTF-16"},
	"UTF-16, big endian":     {"\xfe\xff\x00<\x00A", 600, "UTF-16"},
	"UTF-16, without mark":   {"<\x00A\x00", 600, "UTF-16"},
	"Latin-1":                {`<?xml version="1.0" encoding="iso-8859-1"?>` + body("<EMailAddress>jane@example.com</EMailAddress>"), 600, "iso-8859-1"},
	"not UTF-8":              {body("<EMailAddress>j\xe4ne@example.com</EMailAddress>"), 600, "invalid UTF-8"},
	"control character":      {body("<EMailAddress>j&#1;@example.com</EMailAddress>"), 600, "illegal character"},
	"deep":                   {"<Autodiscover>" + strings.Repeat("<a>", 1000), 600, "deeper than 16"},
	"unknown schema":         {body("<EMailAddress>jane@example.com</EMailAddress><AcceptableResponseSchema>urn:x</AcceptableResponseSchema>"), 601, `not "urn:x"`},
	"a name of many letters": {"<" + strings.Repeat("x", 10000) + ">", 600, "want the element Autodiscover"},
}

func TestParseRequest(t *testing.T) {
	t.Parallel()
	for name, c := range accepted {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := autodiscover.ParseRequest([]byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

func TestParseRequestRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range refused {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := autodiscover.ParseRequest([]byte(c.body))
			checkRefusal(t, got, err)
			var e *autodiscover.Error
			if !errors.As(err, &e) {
				t.Fatalf("got %+v and error %v, want an *autodiscover.Error", got, err)
			}
			if e.Code != c.code || !strings.Contains(e.Reason, c.reason) {
				t.Errorf("got %d %q, want %d and %q", e.Code, e.Reason, c.code, c.reason)
			}
		})
	}
}

// checkRefusal holds an error to its promise: of one type, one printable line, short.
func checkRefusal(t *testing.T, r autodiscover.Request, err error) {
	t.Helper()
	var e *autodiscover.Error
	if !errors.As(err, &e) || r != (autodiscover.Request{}) {
		t.Fatalf("got %+v and error %v", r, err)
	}
	if len(e.Error()) > 1000 || strings.ContainsFunc(e.Error(), func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("not one short printable line: %q", e.Error())
	}
}

// No bytes make the parser panic, and an address that settings takes holds nothing that
// could break a document.
func FuzzParseRequest(f *testing.F) {
	for _, c := range accepted {
		f.Add([]byte(c.body))
	}
	for _, c := range refused {
		f.Add([]byte(c.body))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := autodiscover.ParseRequest(data)
		if err != nil {
			checkRefusal(t, r, err)
			return
		}
		if r.Address != strings.TrimSpace(r.Address) || len(r.Address) > len(data) {
			t.Errorf("address %q", r.Address)
		}
		if a, err := settings.ParseAddress(r.Address); err == nil && strings.ContainsFunc(a.String(), unicode.IsControl) {
			t.Errorf("address %q holds a control character", r.Address)
		}
	})
}

func BenchmarkParseRequest(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := autodiscover.ParseRequest([]byte(outlook)); err != nil {
			b.Fatal(err)
		}
	}
}

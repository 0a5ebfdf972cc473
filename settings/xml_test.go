package settings_test

import (
	"encoding/xml"
	"testing"

	"mailconfd/settings"
)

func FuzzAppendXML(f *testing.F) {
	for _, s := range []string{"plain", `a&b<c>"d"'e'`, "ü", "]]>", "&amp;"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := settings.ParseAddress(text + "@example.org"); err != nil {
			return // what cannot stand in a document is refused before it comes here
		}
		var got struct {
			Text string `xml:",chardata"`
		}
		document := string(settings.AppendXML([]byte("<x>"), text)) + "</x>"
		if err := xml.Unmarshal([]byte(document), &got); err != nil || got.Text != text {
			t.Errorf("%q became %q, which reads %q, %v", text, document, got.Text, err)
		}
	})
}

package srvrecords

import (
	"bytes"
	"encoding/json"
)

// JSON returns the set as one indented JSON object, with the fields of Set.
func (s Set) JSON() []byte {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	_ = e.Encode(s) // strings and numbers can always be written
	return text.Bytes()
}

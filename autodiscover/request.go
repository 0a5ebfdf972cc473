package autodiscover

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strings"
)

// MaxRequest is how many bytes a request may have. Outlook and Thunderbird send about 400.
const MaxRequest = 16 << 10

// maxDepth is how deep elements may nest. A request needs three levels.
const maxDepth = 16

// Request is what a client asks for.
type Request struct {
	// Address is whom it asks for, as it was posted but for the spaces around it. It may
	// be anything: settings.ParseAddress judges it. Empty: the client named nobody, or a
	// distinguished name (LegacyDN), which only Exchange can look up.
	Address string
	// MobileSync tells that the client wants ActiveSync. An answer in another schema would
	// be an error to it; the right one is NoProvider.
	MobileSync bool
}

// ParseRequest reads the body of a request. An empty body is an empty Request: Delta Chat
// and browsers GET the settings. Every error is an *Error.
//
// It takes what clients really send: children in any order, any namespace or none, a
// byte order mark, space before the XML declaration, an ampersand that is not escaped
// (Thunderbird 153 posts the address as it is), anything behind the root element. It
// refuses more than MaxRequest bytes, a DOCTYPE, UTF-16, several Request elements or
// addresses, and a request that names nobody.
func ParseRequest(body []byte) (Request, error) {
	if len(body) > MaxRequest {
		return Request{}, invalid("longer than %d bytes", MaxRequest)
	}
	body = bytes.TrimSpace(bytes.TrimPrefix(body, []byte("\uFEFF")))
	if len(body) == 0 {
		return Request{}, nil
	}
	if body[0] >= 0xfe || bytes.IndexByte(body[:min(4, len(body))], 0) >= 0 {
		return Request{}, invalid("want XML in UTF-8, not in UTF-16 or UTF-32")
	}
	decoder := xml.NewDecoder(bytes.NewReader(body))
	decoder.Strict = false
	w := walk{open: make([]string, 0, maxDepth)}
	for !w.done {
		token, err := decoder.RawToken()
		switch {
		case errors.Is(err, io.EOF):
			return Request{}, invalid("it ends before </Autodiscover>")
		case err != nil:
			return Request{}, invalid("not XML: %.200q", err.Error())
		}
		if err := w.take(token); err != nil {
			return Request{}, err
		}
	}
	return w.request()
}

func invalid(format string, args ...any) error {
	return &Error{InvalidRequest, fmt.Sprintf(format, args...)}
}

// walk follows the tokens of a request. It keeps the names of the open elements itself,
// since raw tokens come unchecked.
type walk struct {
	open  []string // local names
	done  bool     // the root element has ended
	field *string  // what the text of the current child of Request belongs to; nil: nothing

	requests, addresses int
	dn, mobile          bool // a LegacyDN was seen; a namespace of ActiveSync was seen
	address, schema     string
}

func (w *walk) take(token xml.Token) error {
	switch t := token.(type) {
	case xml.StartElement:
		return w.start(t)
	case xml.EndElement:
		return w.end(t)
	case xml.CharData:
		if w.field != nil && len(w.open) == 3 {
			*w.field += string(t)
		}
	case xml.Directive:
		// A document type could declare entities; no client sends one.
		return invalid("a DOCTYPE is not taken")
	}
	return nil
}

func (w *walk) start(t xml.StartElement) error {
	name := t.Name.Local
	switch depth := len(w.open); {
	case depth == maxDepth:
		return invalid("elements nest deeper than %d", maxDepth)
	case depth == 0 && !strings.EqualFold(name, "Autodiscover"):
		return invalid("want the element Autodiscover, not %.40q", name)
	case depth == 1 && strings.EqualFold(name, "Request"):
		w.requests++
	case depth == 2 && strings.EqualFold(w.open[1], "Request"):
		w.child(name)
	}
	if len(w.open) < 2 {
		for _, a := range t.Attr {
			w.mobile = w.mobile || isMobileSync(a.Value)
		}
	}
	w.open = append(w.open, name)
	return nil
}

// child meets a child of Request.
func (w *walk) child(name string) {
	switch {
	case strings.EqualFold(name, "EMailAddress"):
		w.addresses++
		w.field = &w.address
	case strings.EqualFold(name, "AcceptableResponseSchema"):
		w.field = &w.schema
	case strings.EqualFold(name, "LegacyDN"):
		w.dn = true
	}
}

func (w *walk) end(t xml.EndElement) error {
	last := len(w.open) - 1
	if last < 0 || w.open[last] != t.Name.Local {
		return invalid("the end of %.40q stands where that element is not open", t.Name.Local)
	}
	w.open = w.open[:last]
	if last == 2 {
		w.field = nil
	}
	w.done = last == 0
	return nil
}

// request judges what was found.
func (w *walk) request() (Request, error) {
	address := strings.TrimSpace(w.address)
	switch {
	case w.requests != 1:
		return Request{}, invalid("want one Request element, not %d", w.requests)
	case w.addresses > 1:
		return Request{}, invalid("want one EMailAddress, not %d", w.addresses)
	case address == "" && !w.dn:
		return Request{}, invalid("want an EMailAddress in the Request")
	}
	r := Request{Address: address, MobileSync: w.mobile}
	switch schema := strings.TrimSpace(w.schema); {
	case isOutlook(schema):
		r.MobileSync = false
	case isMobileSync(schema):
		r.MobileSync = true
	case schema != "":
		return Request{}, &Error{NoProvider, fmt.Sprintf("want an AcceptableResponseSchema of outlook, not %.100q", schema)}
	}
	return r, nil
}

// The schemas are known by one word: their addresses are found with http and https, and
// in letters of either case.
func isOutlook(schema string) bool    { return contains(schema, "/outlook/") }
func isMobileSync(schema string) bool { return contains(schema, "/mobilesync/") }

func contains(schema, word string) bool { return strings.Contains(strings.ToLower(schema), word) }

package doctor

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"strings"
)

// node is an element of a document, before any client has made something of it.
type node struct {
	name     string // without its prefix
	space    string // the namespace
	attrs    map[string]string
	text     string // all its own text, as written: white space included
	children []*node
	cdata    bool // some of the text was written as CDATA, which some parsers do not report
	comment  bool // a comment stands in it
}

// Limits of a document: a real one has some forty elements, four deep.
const (
	maxNodes = 5000
	maxDepth = 50
)

var errTooBig = errors.New("more elements than a document of this kind has")

// Most simulators read with parseXML or recoverXML, that is with encoding/xml, whatever the
// parser of their client is: Gecko's, libxml2, Java's, PHP's. Those agree on well-formed
// documents. Of one that is not they may read more or less than is shown here. Delta Chat and
// Evolution, whose leniency is their way, have a reader of their own (markup.go); aerc and
// its libraries really use encoding/xml.

// parseXML reads a document as a strict parser does. A byte order mark is skipped; what
// stands before the XML declaration or behind the root element is an error; a DOCTYPE
// is skipped, and none of its entities is known, so that nothing can grow.
func parseXML(body []byte) (*node, error) {
	root, err := recoverXML(body)
	if err != nil {
		return nil, err
	}
	return root, nil
}

// recoverXML reads a document as parseXML does, and where that fails returns what came
// before the mistake, as parsers do that are told to make the best of it. The root is
// nil if there was no element.
func recoverXML(body []byte) (*node, error) {
	body, err := decode(body)
	if err != nil {
		return nil, err
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = asItIs
	var root *node
	var stack []*node
	count := 0
	for {
		start := d.InputOffset()
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			if root == nil {
				return nil, errors.New("no element")
			}
			return root, nil
		}
		if err != nil {
			return root, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if count++; count > maxNodes || len(stack) >= maxDepth {
				return root, errTooBig
			}
			n := newNode(t)
			switch {
			case len(stack) > 0:
				above := stack[len(stack)-1]
				above.children = append(above.children, n)
			case root != nil:
				return root, errors.New("a second root element")
			default:
				root = n
			}
			stack = append(stack, n)
		case xml.EndElement:
			stack = stack[:len(stack)-1]
		case xml.CharData:
			if len(stack) > 0 {
				n := stack[len(stack)-1]
				n.text += string(t)
				n.cdata = n.cdata || bytes.HasPrefix(body[start:], []byte("<![CDATA["))
			}
		case xml.Comment:
			if len(stack) > 0 {
				stack[len(stack)-1].comment = true
			}
		case xml.ProcInst:
			if t.Target == "xml" && start != 0 {
				return nil, errors.New("something stands before the XML declaration")
			}
		}
	}
}

// declared finds the encoding that an XML declaration names.
var declared = regexp.MustCompile(`^<\?xml[^>]*encoding=["']([A-Za-z0-9._-]+)["']`)

// decode returns a document as UTF-8 without its byte order mark.
func decode(body []byte) ([]byte, error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	found := declared.FindSubmatch(body)
	if found == nil {
		return body, nil
	}
	switch strings.ToLower(string(found[1])) {
	case "utf-8", "utf8", "us-ascii":
		return body, nil
	case "iso-8859-1", "latin1", "windows-1252": // their letters are the first of Unicode
		runes := make([]rune, len(body))
		for i, b := range body {
			runes[i] = rune(b)
		}
		return []byte(string(runes)), nil
	default:
		return nil, fmt.Errorf("encoding %q", found[1])
	}
}

// asItIs reads a document whose encoding was seen to before.
func asItIs(_ string, r io.Reader) (io.Reader, error) { return r, nil }

func newNode(t xml.StartElement) *node {
	n := &node{name: t.Name.Local, space: t.Name.Space, attrs: map[string]string{}}
	for _, a := range t.Attr {
		n.attrs[a.Name.Local] = a.Value
	}
	return n
}

// child returns the first child of a name, or nil. A nil node has none.
func (n *node) child(name string) *node {
	if n == nil {
		return nil
	}
	for _, c := range n.children {
		if c.name == name {
			return c
		}
	}
	return nil
}

// all returns the children of a name.
func (n *node) all(name string) []*node {
	if n == nil {
		return nil
	}
	var some []*node
	for _, c := range n.children {
		if c.name == name {
			some = append(some, c)
		}
	}
	return some
}

// value returns the text of the first child of a name, as written.
func (n *node) value(name string) string {
	if c := n.child(name); c != nil {
		return c.text
	}
	return ""
}

// content returns the text of an element, as written, or "" if there is no element.
func (n *node) content() string {
	if n == nil {
		return ""
	}
	return n.text
}

// descendants yields what is inside an element, in the order of the document.
func (n *node) descendants() iter.Seq[*node] {
	return func(yield func(*node) bool) { n.walk(yield) }
}

func (n *node) walk(yield func(*node) bool) bool {
	if n == nil {
		return true
	}
	for _, c := range n.children {
		if !yield(c) || !c.walk(yield) {
			return false
		}
	}
	return true
}

// allText returns all text in an element and below it.
func (n *node) allText() string {
	text := n.text
	for _, c := range n.children {
		text += c.allText()
	}
	return text
}

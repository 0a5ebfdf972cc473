package doctor

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
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

// parseXML reads a document as a strict parser does. A byte order mark is skipped; what
// stands behind the root element is an error; a DOCTYPE is skipped, and none of its
// entities is known, so that nothing can grow.
func parseXML(body []byte) (*node, error) {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	d := xml.NewDecoder(bytes.NewReader(body))
	d.CharsetReader = func(charset string, r io.Reader) (io.Reader, error) {
		if strings.EqualFold(charset, "us-ascii") {
			return r, nil
		}
		return nil, errors.New("encoding " + charset)
	}
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
			return nil, err
		}
		switch t := token.(type) {
		case xml.StartElement:
			if count++; count > maxNodes || len(stack) >= maxDepth {
				return nil, errTooBig
			}
			n := newNode(t)
			switch {
			case len(stack) > 0:
				above := stack[len(stack)-1]
				above.children = append(above.children, n)
			case root != nil:
				return nil, errors.New("a second root element")
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
		}
	}
}

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

package autoconfig_test

import (
	"encoding/xml"
	"errors"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"mailconfd/settings"
)

// element is a node of a document.
type element struct {
	name     string
	attrs    map[string]string
	text     string
	children []*element
}

// parse builds the tree and refuses what some client cannot read: comments, processing
// instructions but the declaration, document types, CDATA, text beside elements.
func parse(doc []byte) (*element, error) {
	if !utf8.Valid(doc) || !strings.HasPrefix(string(doc), "<?xml ") || strings.Contains(string(doc), "<!") {
		return nil, errors.New("want UTF-8 that begins with <?xml, and no comment, CDATA or DOCTYPE")
	}
	decoder := xml.NewDecoder(strings.NewReader(string(doc)))
	root := &element{}
	open := []*element{root}
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		top := open[len(open)-1]
		switch t := token.(type) {
		case xml.StartElement:
			child := &element{name: t.Name.Local, attrs: map[string]string{}}
			for _, a := range t.Attr {
				child.attrs[a.Name.Local] = a.Value
			}
			top.children = append(top.children, child)
			open = append(open, child)
		case xml.EndElement:
			open = open[:len(open)-1]
		case xml.CharData:
			top.text += string(t)
		}
	}
	if len(root.children) != 1 || root.children[0].name != "clientConfig" {
		return nil, errors.New("want one root element clientConfig")
	}
	return root.children[0], nil
}

// all returns the children of a name.
func (e *element) all(names ...string) []*element {
	var found []*element
	for _, c := range e.children {
		if slices.Contains(names, c.name) {
			found = append(found, c)
		}
	}
	return found
}

// first returns the text of the first child of a name.
func (e *element) first(name string) string {
	for _, c := range e.all(name) {
		return c.text
	}
	return ""
}

// provider returns the emailProvider element.
func provider(doc []byte) (*element, error) {
	root, err := parse(doc)
	if err != nil {
		return nil, err
	}
	if found := root.all("emailProvider"); len(found) == 1 {
		return found[0], nil
	}
	return nil, errors.New("want one emailProvider")
}

// expand puts an address into the placeholders, as most clients do.
func expand(text string, a settings.Address) string {
	return strings.NewReplacer("%EMAILADDRESS%", a.String(), "%EMAILLOCALPART%", a.Local, "%EMAILDOMAIN%", a.Domain).Replace(text)
}

func (e *element) server(a settings.Address) server {
	return server{e.attrs["type"], e.first("hostname"), e.first("port"), e.first("socketType"), expand(e.first("username"), a)}
}

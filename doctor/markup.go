package doctor

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
)

// markup is one thing that an event parser reports. Such parsers never see a whole
// document: what stands before an error has been used already, and comments and CDATA
// cut a text in pieces.
type markup struct {
	kind  markupKind
	name  string // with its prefix
	attrs []xml.Attr
	text  string // entities expanded
	raw   string // of a text: as written
}

type markupKind int

const (
	markupStart markupKind = iota
	markupEnd
	markupEmpty // <a/>; strict: a start and an end
	markupText
)

// scanMarkup calls each for everything that an event parser reports, and returns why
// the parser would stop. Comments, CDATA, declarations and processing instructions are
// not reported. A strict parser wants quoted attributes, known entities, UTF-8 and at
// least one element, and closes what it opened; a lenient one only wants end tags that
// match.
func scanMarkup(body []byte, strict bool, each func(markup)) error {
	if !strict {
		body = bytes.ToValidUTF8(body, []byte("\ufffd"))
	}
	d := xml.NewDecoder(bytes.NewReader(body))
	d.Strict, d.CharsetReader = strict, asItIs
	s := scanner{strict: strict, each: each}
	for {
		start := d.InputOffset()
		token, err := d.RawToken()
		switch {
		case errors.Is(err, io.EOF):
			return s.end()
		case err != nil:
			return err
		}
		if err := s.take(token, body[start:d.InputOffset()]); err != nil {
			return err
		}
	}
}

// scanner is where a parser stands.
type scanner struct {
	strict bool
	each   func(markup)
	open   []string
	count  int
	empty  bool // the end that comes next belongs to <a/>
}

func (s *scanner) take(token xml.Token, raw []byte) error {
	switch t := token.(type) {
	case xml.StartElement:
		return s.start(qualified(t.Name), t.Attr, bytes.HasSuffix(raw, []byte("/>")))
	case xml.EndElement:
		name := qualified(t.Name)
		if len(s.open) == 0 || s.open[len(s.open)-1] != name {
			return fmt.Errorf("</%s> closes nothing", name)
		}
		s.open = s.open[:len(s.open)-1]
		if !s.empty || s.strict {
			s.each(markup{kind: markupEnd, name: name})
		}
		s.empty = false
	case xml.CharData:
		if !bytes.HasPrefix(raw, []byte("<![CDATA[")) {
			s.each(markup{kind: markupText, text: string(t), raw: string(raw)})
		}
	}
	return nil
}

func (s *scanner) start(name string, attrs []xml.Attr, empty bool) error {
	if s.count++; s.count > maxNodes || len(s.open) >= maxDepth {
		return errTooBig
	}
	s.open, s.empty = append(s.open, name), empty
	kind := markupStart
	if empty && !s.strict {
		kind = markupEmpty
	}
	s.each(markup{kind: kind, name: name, attrs: attrs})
	return nil
}

// end says whether the parser takes it that the document ends here.
func (s *scanner) end() error {
	switch {
	case s.strict && s.count == 0:
		return errors.New("no element")
	case s.strict && len(s.open) > 0:
		return fmt.Errorf("<%s> is not closed", s.open[len(s.open)-1])
	}
	return nil
}

func qualified(n xml.Name) string {
	if n.Space == "" {
		return n.Local
	}
	return n.Space + ":" + n.Local
}

package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxFile is how large a file may be: enough for half a million domains.
const maxFile = 32 << 20

// maxEntries bounds what the file can hold, since each entry of a list takes some
// hundred bytes while it is read.
const maxEntries = 2_000_000

// find opens the file that is named, or the first of those that may exist. Without
// one it returns an empty name.
func find(o Options) (string, []byte, *Problem) {
	if o.File != "" {
		data, err := readFile(o.File)
		if err != nil {
			return "", nil, &Problem{File: o.File, Text: err.Error()}
		}
		return o.File, data, nil
	}
	for _, name := range o.Search {
		data, err := readFile(name)
		switch {
		case err == nil:
			return name, data, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", nil, &Problem{File: name, Text: err.Error()}
		}
	}
	return "", nil, nil
}

// readFile reads a regular file: reading a pipe or a device could go on for ever.
func readFile(name string) ([]byte, error) {
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, reason(err)
	case info.IsDir():
		return nil, errors.New("a directory; want a file")
	case !info.Mode().IsRegular():
		return nil, errors.New("a pipe or device; want a file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, reason(err)
	}
	return data, nil
}

// reason takes the operation and the name out of an error: the name is in front of
// every message.
func reason(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// read fills the document from the file.
func (l *loader) read(data []byte) {
	l.presets(value(&l.doc))
	switch {
	case bytes.Count(data, []byte(","))+bytes.Count(data, []byte("\n")) > maxEntries:
		l.wrong(0, "more than %d lines and commas", maxEntries)
		return
	case len(data) > maxFile:
		l.wrong(0, "larger than %d MiB", maxFile>>20)
		return
	case l.file != "" && len(bytes.TrimSpace(data)) == 0:
		// Most likely it is being written just now. A reload must not take it for a wish.
		l.wrong(0, "empty; want providers and domains, or at least a comment")
		return
	case !utf8.Valid(data):
		l.wrong(lineAt(data, bytes.IndexRune(data, utf8.RuneError)), "not UTF-8 from here on; save the file as UTF-8")
		return
	}
	if at := bytes.IndexFunc(data, isControl); at >= 0 {
		l.wrong(lineAt(data, at), "a control character; want text")
		return
	}
	lines := &lineReader{rest: data}
	decoder := yaml.NewDecoder(lines)
	var root, second yaml.Node
	err := decoder.Decode(&root)
	if err == nil {
		l.root = root.Content[0]
		if err = decoder.Decode(&second); err == nil {
			l.wrong(second.Content[0].Line, "a second document begins here; want one, without --- in between")
			return
		}
	}
	if !errors.Is(err, io.EOF) {
		l.syntax(err, data, lineAt(data, len(data)-len(lines.rest)-1))
		return
	}
	if l.root != nil && !isNull(l.root) {
		l.decode(l.root, field{}, value(&l.doc))
	}
}

// lineReader hands out one line at a time, so that a syntax error is known to be in the
// last one given or just above it. The line that yaml names is often the one where a
// section begins, however far up that is.
type lineReader struct{ rest []byte }

func (r *lineReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		return 0, io.EOF
	}
	end := bytes.IndexByte(r.rest, '\n') + 1
	if end == 0 {
		end = len(r.rest)
	}
	n := copy(p, r.rest[:end])
	r.rest = r.rest[n:]
	return n, nil
}

// isControl tells what YAML 1.2 section 5.1 has no place for.
func isControl(r rune) bool { return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f }

// wrong notes a problem of the file as a whole.
func (l *loader) wrong(line int, format string, args ...any) {
	l.problems = append(l.problems, Problem{File: l.file, Line: line, Text: fmt.Sprintf(format, args...)})
}

var (
	yamlLine  = regexp.MustCompile(`^line (\d+): `)
	tabIndent = regexp.MustCompile(`(?m)^ *\t`)
)

// syntax puts into words why a file is no YAML; line is where the parser stands.
func (l *loader) syntax(err error, data []byte, line int) {
	text, begun := strings.TrimPrefix(err.Error(), "yaml: "), line
	if m := yamlLine.FindStringSubmatch(text); m != nil {
		begun, _ = strconv.Atoi(m[1])
		text = text[len(m[0]):]
	}
	tab := tabIndent.FindIndex(data)
	switch {
	case tab != nil && (strings.Contains(text, "tab character") || strings.Contains(text, "cannot start any token")):
		l.wrong(lineAt(data, tab[0]), "a tab at the beginning; YAML is indented by spaces only")
	case strings.Contains(text, "alphabetic or numeric character"), strings.Contains(text, "unknown anchor"):
		l.wrong(line, `not YAML, here or just above: a text that begins with * or & stands in quotes, such as "*.customers.example"`)
	case text == "found unexpected end of stream":
		l.wrong(begun, "a text in quotes never ends; it begins on this line or above")
	default:
		l.wrong(line, "not YAML, here or just above: %s", text)
	}
}

// lineAt returns the number of the line that a byte is in.
func lineAt(data []byte, at int) int { return 1 + bytes.Count(data[:at], []byte("\n")) }

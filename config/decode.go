package config

import (
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// value returns what a pointer points to, ready to be set.
func value(pointer any) reflect.Value { return reflect.ValueOf(pointer).Elem() }

// fieldsOf returns the keys of a section or entry, looked up once for a load.
func (l *loader) fieldsOf(t reflect.Type) []field {
	if l.keys[t] == nil {
		l.keys[t] = fieldsOf(t)
	}
	return l.keys[t]
}

// presets sets the defaults of a section, or of an entry.
func (l *loader) presets(v reflect.Value) {
	for _, f := range l.fieldsOf(v.Type()) {
		if f.tag.Get("default") != "" {
			v.Field(f.index).Set(f.preset())
		}
	}
}

// decode fills v from a node and notes what does not fit. It goes no deeper than the
// structs of document.go do, and follows no alias.
func (l *loader) decode(n *yaml.Node, f field, v reflect.Value) {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		l.fail(n, "anchors and aliases are not taken; write the value out, or put a text that begins with * or & in quotes")
	case n.Style&yaml.TaggedStyle != 0:
		l.fail(n, "tags such as %s are not taken; leave it out", plain(n.Tag))
	case isNull(n): // as if the key were not there
	case v.Kind() == reflect.Struct:
		l.section(n, v)
	case v.Kind() == reflect.Slice:
		l.list(n, f, v)
	default:
		l.scalar(n, f, v)
	}
}

// isNull tells a key without a value.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// section reads keys with values.
func (l *loader) section(n *yaml.Node, v reflect.Value) {
	if n.Kind != yaml.MappingNode {
		l.fail(n, "%s; want %s", seen(n), wanted(v.Type()))
		return
	}
	l.presets(v)
	fields := l.fieldsOf(v.Type())
	keys := make([]*yaml.Node, len(fields)) // those met so far
	for i := 0; i+1 < len(n.Content) && !l.full(); i += 2 {
		key := n.Content[i]
		l.at = append(l.at, key.Value)
		at := slices.IndexFunc(fields, func(f field) bool { return f.name == key.Value && key.Kind == yaml.ScalarNode })
		switch {
		case at < 0:
			l.unknown(key, fields)
		case keys[at] != nil:
			l.fail(key, "stands here twice, first on line %d", keys[at].Line)
		default:
			keys[at] = key
			l.decode(n.Content[i+1], fields[at], v.Field(at))
		}
		l.at = l.at[:len(l.at)-1]
	}
	for i, f := range fields {
		if f.required() && v.Field(i).IsZero() && (keys[i] == nil || !l.isBroken(l.at)) {
			l.at = append(l.at, f.name)
			l.fail(n, "missing: %s", f.tag.Get("doc"))
			l.at = l.at[:len(l.at)-1]
		}
	}
}

// unknown reports a key that a section does not have.
func (l *loader) unknown(key *yaml.Node, fields []field) {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	var elsewhere []string
	for _, f := range fieldsBelow(reflect.TypeFor[document](), "", nil) {
		if f.path == key.Value || strings.HasSuffix(f.path, "."+key.Value) {
			elsewhere = append(elsewhere, f.path)
		}
	}
	near := nearest(key.Value, names)
	switch {
	case key.Kind != yaml.ScalarNode || key.Tag == "!!merge":
		l.fail(key, "not a key; want one of %s", strings.Join(names, ", "))
	case near != "":
		l.fail(key, "unknown key; did you mean %s?", near)
	case strings.Contains(key.Value, ".") && elsewhere != nil:
		above, name, _ := strings.Cut(key.Value, ".")
		l.fail(key, "unknown key; write %s below %s", name, above)
	case elsewhere != nil:
		l.fail(key, "unknown key here; there is %s", strings.Join(elsewhere, ", "))
	default:
		l.fail(key, "unknown key; want one of %s", strings.Join(names, ", "))
	}
}

// list reads a list of values or of entries.
func (l *loader) list(n *yaml.Node, f field, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		l.fail(n, "%s; want %s", seen(n), wanted(v.Type()))
		return
	}
	if err := f.tooMany(len(n.Content)); err != nil {
		l.fail(n, "%v", err)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		if l.full() {
			return
		}
		l.at = append(l.at, i)
		if isNull(item) {
			l.fail(item, "nothing; want %s", wanted(v.Type().Elem()))
		} else {
			l.decode(item, f, v.Index(i))
		}
		l.at = l.at[:len(l.at)-1]
	}
}

// scalar reads a single value.
func (l *loader) scalar(n *yaml.Node, f field, v reflect.Value) {
	isText := n.Tag == "!!str"
	switch {
	case n.Kind != yaml.ScalarNode:
		l.fail(n, "%s; want %s", seen(n), wanted(v.Type()))
		return
	case v.Kind() == reflect.String && !isText && f.words("enum") == nil:
		l.fail(n, "%s is %s in YAML; want a text, and this one in quotes: %s", clip(n.Value), seen(n), quote(n.Value))
		return
	case v.Kind() == reflect.String && !isText:
		l.fail(n, "%s is %s in YAML; want %s", clip(n.Value), seen(n), strings.Join(f.words("enum"), " or "))
		return
	case v.Kind() != reflect.String && v.Type() != durationType && isText && n.Style != 0:
		l.fail(n, "%s is a text; want %s, without quotes", quote(n.Value), wanted(v.Type()))
		return
	}
	if err := f.parseOne(n.Value, v); err != nil {
		l.fail(n, "%v", err)
	}
}

// seen says what a node holds.
func seen(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "keys with values"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Tag == "!!bool":
		return "a boolean"
	case n.Tag == "!!int", n.Tag == "!!float":
		return "a number"
	case n.Tag == "!!timestamp":
		return "a date"
	default:
		return "a text"
	}
}

// maxProblems is after how many the rest of a file is not looked at.
const maxProblems = 200

func (l *loader) full() bool { return len(l.problems) >= maxProblems }

// fail notes a problem with what is being decoded.
func (l *loader) fail(n *yaml.Node, format string, args ...any) {
	l.breaks(l.at)
	l.problems = append(l.problems, Problem{l.file, n.Line, l.at.String(), fmt.Sprintf(format, args...)})
}

// path leads to a place in the file: keys, and numbers of entries from 0.
type path []any

// pathOf returns the path of a setting.
func pathOf(dotted string) path {
	var p path
	for step := range strings.SplitSeq(dotted, ".") {
		p = append(p, step)
	}
	return p
}

// String returns the path as yq and jq write it: "providers[0].services[1]".
func (p path) String() string {
	var b strings.Builder
	for i, step := range p {
		switch step := step.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(step) + "]")
		case string:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(plain(step))
		}
	}
	return b.String()
}

// to leads further.
func (p path) to(steps ...any) path { return append(p[:len(p):len(p)], steps...) }

// setting returns the path as far as the first list, and the one of the entry in it.
func (p path) setting() (setting, entry path) {
	i := slices.IndexFunc(p, func(step any) bool { _, isNumber := step.(int); return isNumber })
	if i < 0 {
		return p, p
	}
	return p[:i], p[:i+1]
}

// breaks notes that a setting or entry has a problem.
func (l *loader) breaks(p path) {
	setting, entry := p.setting()
	l.broken[setting.String()], l.broken[entry.String()] = true, true
}

// isBroken tells whether the entry that a path leads into, or the setting, has a problem.
func (l *loader) isBroken(p path) bool {
	if len(l.broken) == 0 {
		return false
	}
	_, entry := p.setting()
	return l.broken[entry.String()]
}

// locate follows a path as far as it goes, and returns the line that it leads to; 0
// where it leads nowhere.
func (l *loader) locate(p path) (line int, whole bool) {
	n := l.root
	if n == nil {
		return 0, false
	}
	for _, step := range p {
		next := -1
		switch step := step.(type) {
		case int:
			if n.Kind == yaml.SequenceNode && step < len(n.Content) {
				next = step
			}
		case string:
			for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content) && next < 0; i += 2 {
				if n.Content[i].Value == step {
					line, next = n.Content[i].Line, i+1
				}
			}
		}
		if next < 0 {
			return line, false
		}
		n = n.Content[next]
		if _, isItem := step.(int); isItem {
			line = n.Line
		}
	}
	return line, !isNull(n)
}

// given tells whether the file has a value at a path.
func (l *loader) given(p path) bool {
	_, whole := l.locate(p)
	return whole
}

// bad notes a problem with a value, wherever it came from.
func (l *loader) bad(p path, format string, args ...any) {
	l.problems = append(l.problems, l.problem(p, fmt.Sprintf(format, args...)))
}

// warn is bad for what can be lived with.
func (l *loader) warn(p path, format string, args ...any) {
	l.warnings = append(l.warnings, l.problem(p, fmt.Sprintf(format, args...)))
}

func (l *loader) problem(p path, text string) Problem {
	setting, _ := p.setting()
	if source := l.from[setting.String()]; source != "" {
		return Problem{Key: source, Text: text}
	}
	line, _ := l.locate(p)
	return Problem{l.file, line, p.String(), text}
}

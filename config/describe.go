package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"

	"github.com/invopop/jsonschema"
)

// Example returns a file with every key, each with what it means and its default.
// Providers and domains are made up; it loads as it is.
func Example() []byte {
	var b bytes.Buffer
	b.WriteString("# mailconfd.yaml: every key with its default. What is left out keeps it.\n" +
		"# Only providers and domains have to be written.\n")
	l := &loader{keys: map[reflect.Type][]field{}}
	var doc document
	l.presets(value(&doc))
	l.presets(value(&doc.TLS))
	l.presets(value(&doc.Probe))
	l.presets(value(&doc.Policy))
	doc.Providers, doc.Domains = exampleProviders(), exampleDomains()
	w := exampleWriter{&b, map[string]bool{}}
	w.section(value(&doc), "", "")
	return b.Bytes()
}

// What the example declares. A text that is empty and a list that is nil are left out of
// an entry.
func exampleProviders() []providerEntry {
	return []providerEntry{{
		Name: "main", DisplayName: "Example Mail", ShortName: "Example",
		Hosts: []string{"mail.example.org"}, Services: []string{}, Trusted: []trustedEntry{}, NotOffered: []string{},
		Username: "address", AcceptsAddress: true,
	}}
}

func exampleDomains() []domainEntry {
	return []domainEntry{
		{Name: "example.org", Provider: "main"},
		{Name: "*.customers.example", Provider: "main"},
		{MX: []string{"mx.example.org"}, Except: []string{}, Provider: "main"},
	}
}

// exampleWriter writes sections and entries with a comment above each key that has not
// been met before.
type exampleWriter struct {
	b   *bytes.Buffer
	met map[string]bool
}

func (w exampleWriter) section(v reflect.Value, indent, prefix string) {
	for _, f := range fieldsOf(v.Type()) {
		w.key(f, v.Field(f.index), indent, prefix+f.name)
	}
}

func (w exampleWriter) key(f field, v reflect.Value, indent, path string) {
	if !w.met[path] {
		w.met[path] = true
		if indent == "" {
			w.b.WriteByte('\n')
		}
		for _, line := range wrap(f.tag.Get("doc"), 90-len(indent)) {
			fmt.Fprintf(w.b, "%s# %s\n", indent, line)
		}
	}
	switch {
	case v.Kind() == reflect.Struct:
		fmt.Fprintf(w.b, "%s%s:\n", indent, f.name)
		w.section(v, indent+"  ", path+".")
	case f.isEntries() && v.Len() > 0:
		fmt.Fprintf(w.b, "%s%s:\n", indent, f.name)
		for i := range v.Len() {
			w.entry(v.Index(i), indent+"  ", path+"[].")
		}
	default:
		fmt.Fprintf(w.b, "%s%s: %s\n", indent, f.name, literal(v))
		if f.isEntries() {
			w.possible(f, indent)
		}
	}
}

// possible shows, as a comment, what an entry of an empty list would have.
func (w exampleWriter) possible(f field, indent string) {
	hyphen := "- "
	for _, key := range fieldsOf(f.typ.Elem()) {
		fmt.Fprintf(w.b, "%s# %s%s: %s  # %s\n", indent, hyphen, key.name, literal(key.preset()), key.tag.Get("doc"))
		hyphen = "  "
	}
}

// entry writes an item of a list: its first line has the hyphen.
func (w exampleWriter) entry(v reflect.Value, indent, prefix string) {
	before := w.b.Len()
	for _, f := range fieldsOf(v.Type()) {
		one := v.Field(f.index)
		if isText := one.Kind() == reflect.String; isText && one.String() == "" || one.Kind() == reflect.Slice && one.IsNil() {
			continue
		}
		w.key(f, one, indent+"  ", prefix+f.name)
	}
	w.b.Bytes()[before+len(indent)] = '-'
}

// wrap breaks a text into lines.
func wrap(text string, width int) []string {
	lines := []string{""}
	for word := range strings.FieldsSeq(text) {
		last := &lines[len(lines)-1]
		switch {
		case *last == "":
			*last = word
		case len(*last)+1+len(word) > width:
			lines = append(lines, word)
		default:
			*last += " " + word
		}
	}
	return lines
}

// timePattern is what time.ParseDuration takes, without a sign.
const timePattern = `^(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))+$`

// Schema returns a JSON schema (2020-12) of the file, for editors. What passes it can
// still be refused: it knows keys, kinds of values and closed sets of words, not
// whether a host name is one.
func Schema() []byte {
	reflector := jsonschema.Reflector{
		FieldNameTag: "yaml", Anonymous: true, ExpandedStruct: true, DoNotReference: true, RequiredFromJSONSchemaTags: true,
		Mapper: func(t reflect.Type) *jsonschema.Schema {
			if t == durationType {
				return &jsonschema.Schema{Type: "string", Pattern: timePattern}
			}
			return nil
		},
	}
	schema := reflector.ReflectFromType(reflect.TypeFor[document]())
	schema.Title = "mailconfd.yaml"
	describe(schema, reflect.TypeFor[document]())
	text, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		panic("schema of the configuration: " + err.Error()) // a mistake in document.go
	}
	return append(text, '\n')
}

// describe adds to a section or entry what its tags say.
func describe(schema *jsonschema.Schema, t reflect.Type) {
	for _, f := range fieldsOf(t) {
		key, _ := schema.Properties.Get(f.name)
		key.Description = f.tag.Get("doc")
		if f.required() {
			schema.Required = append(schema.Required, f.name)
		}
		switch {
		case f.typ.Kind() == reflect.Struct:
			describe(key, f.typ)
			continue
		case f.isEntries():
			describe(key.Items, f.typ.Elem())
			continue
		}
		if !f.required() {
			key.Default = json.RawMessage(jsonDefault(f))
		}
		words := key
		if key.Items != nil {
			words = key.Items
		}
		for _, word := range f.words("enum") {
			words.Enum = append(words.Enum, word)
		}
	}
	if t == reflect.TypeFor[domainEntry]() {
		schema.OneOf = []*jsonschema.Schema{{Required: []string{"name"}}, {Required: []string{"mx"}}}
	}
}

// jsonDefault writes the default: what literal writes is JSON too, but for times.
func jsonDefault(f field) string {
	text := literal(f.preset())
	if f.typ == durationType {
		return `"` + text + `"`
	}
	return text
}

package config

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// Key describes a key of the file, for documentation and for commands that offer it
// as a flag.
type Key struct {
	Path     string // "tls.mode"; "providers[].name" for one inside a list
	Takes    string // what its value is: "a text", "a time such as 15m", …
	Default  string // as it is written in the file; "" for one that is required
	Required bool
	Variable string // that sets it too; "" where none does
	Flag     string // that sets it too, without dashes; "" where none does
	Doc      string // what it means; without a full stop
}

// Keys returns every key of the file, in its order. A list comes before the keys of
// its entries.
func Keys() []Key {
	var all []Key
	for _, f := range fieldsBelow(reflect.TypeFor[document](), "", []int{}) {
		k := Key{Path: f.path, Takes: wanted(f.typ), Required: f.required(), Variable: f.variable(), Flag: f.flag(), Doc: f.tag.Get("doc")}
		if !k.Required {
			k.Default = literal(f.preset())
		}
		all = append(all, k)
	}
	return all
}

// field is a key as a struct of document.go declares it.
type field struct {
	name  string
	index int
	typ   reflect.Type
	tag   reflect.StructTag
	path  string // from the top of the file; set by fieldsBelow
	at    []int  // for reflect.Value.FieldByIndex on a document; nil inside a list
}

// fieldsOf returns the keys of one section or entry.
func fieldsOf(t reflect.Type) []field {
	fields := make([]field, t.NumField())
	for i := range fields {
		f := t.Field(i)
		fields[i] = field{name: f.Tag.Get("yaml"), index: i, typ: f.Type, tag: f.Tag}
	}
	return fields
}

// fieldsBelow returns the keys of a section and of all that it holds, other sections
// left out.
func fieldsBelow(t reflect.Type, prefix string, at []int) []field {
	var all []field
	for _, f := range fieldsOf(t) {
		f.path = prefix + f.name
		if at != nil {
			f.at = append(at[:len(at):len(at)], f.index)
		}
		if f.typ.Kind() == reflect.Struct {
			all = append(all, fieldsBelow(f.typ, f.path+".", f.at)...)
			continue
		}
		all = append(all, f)
		if f.isEntries() {
			all = append(all, fieldsBelow(f.typ.Elem(), f.path+"[].", nil)...)
		}
	}
	return all
}

// isEntries tells a list of entries, each with keys of its own.
func (f field) isEntries() bool {
	return f.typ.Kind() == reflect.Slice && f.typ.Elem().Kind() == reflect.Struct
}

// isSetting tells the keys that can come from elsewhere than the file.
func (f field) isSetting() bool { return f.at != nil && !f.isEntries() }

// variable returns the name of the variable that sets the key.
func (f field) variable() string {
	switch name := f.tag.Get("env"); {
	case !f.isSetting():
		return ""
	case name != "":
		return name
	}
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(f.path, ".", "_"))
}

const variablePrefix = "MAILCONFD_"

func (f field) flag() string { return f.tag.Get("flag") }

func (f field) required() bool { return f.tag.Get("required") != "" }

// words returns a tag that is a list.
func (f field) words(tag string) []string {
	if text := f.tag.Get(tag); text != "" {
		return strings.Split(text, ",")
	}
	return nil
}

// tooMany refuses a list that is longer than anybody needs: each host is probed, and
// each entry compared with others.
func (f field) tooMany(n int) error {
	if most, err := strconv.Atoi(f.tag.Get("most")); err == nil && n > most {
		return fmt.Errorf("%d items; want at most %d", n, most)
	}
	return nil
}

// preset returns the default.
func (f field) preset() reflect.Value {
	v := reflect.New(f.typ).Elem()
	if text := f.tag.Get("default"); text != "" {
		if err := f.parse(text, v); err != nil {
			panic("default of " + f.name + ": " + err.Error()) // a mistake in document.go
		}
	}
	return v
}

package config

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// Options say where a configuration comes from. What stands further down is stronger;
// the defaults are weakest.
type Options struct {
	File    string   // must exist; "": the first of Search that does
	Search  []string // none of them has to exist; a command passes DefaultFiles
	Environ []string // "NAME=value" as os.Environ returns it; an empty value counts as unset
	// Flags holds the flags that were given, by the names that Keys has: "via", "listen".
	// A list has commas. An empty value is a value.
	Flags map[string]string
	// MailHost and Domains are what a first try needs instead of a file: the domains are
	// served by a provider called main whose one host is MailHost. They take the place
	// of the file's providers and domains, and come together or not at all.
	MailHost string
	Domains  []string
}

// DefaultFiles returns where a configuration is looked for when none is named.
func DefaultFiles() []string { return []string{"./mailconfd.yaml", "/etc/mailconfd/mailconfd.yaml"} }

// Load reads a configuration. The warnings are for the log; there are none with an error,
// which is an *Error.
func Load(o Options) (Config, []Problem, error) {
	name, data, problem := find(o)
	if problem != nil {
		return Config{}, nil, &Error{[]Problem{*problem}}
	}
	return Parse(name, data, o)
}

// Parse is Load for a file that has been read already; Options.File and Search do not
// count. An empty name means that there is no file.
func Parse(name string, data []byte, o Options) (Config, []Problem, error) {
	l := &loader{file: name, keys: map[reflect.Type][]field{}, from: map[string]string{}, broken: map[string]bool{}}
	l.read(data)
	l.layer(o)
	l.commandLine(o)
	c := l.config()
	if len(l.problems) == 0 {
		return c, l.warnings, nil
	}
	slices.SortStableFunc(l.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(b.File, a.File), cmp.Compare(a.Line, b.Line))
	})
	return Config{}, nil, &Error{l.problems}
}

// loader is one load on its way.
type loader struct {
	file     string
	root     *yaml.Node               // what the file holds, to find lines in; nil where there is nothing
	at       path                     // where decoding stands
	keys     map[reflect.Type][]field // of the sections and entries met so far
	from     map[string]string        // for a path that is not the file's: the variable or flag
	broken   map[string]bool          // settings and entries that have a problem already, by path
	doc      document
	problems []Problem
	warnings []Problem
}

// layer puts the settings together, the weakest source first. Each load has a viper of
// its own, whose keys are joined by "::": with "." it would take a key "tls.mode" for
// the mode of tls.
func (l *loader) layer(o Options) {
	v := viper.NewWithOptions(viper.KeyDelimiter("::"))
	doc := reflect.ValueOf(&l.doc).Elem()
	variables := environment(o.Environ)
	var names, flags []string
	for _, f := range fieldsBelow(doc.Type(), "", []int{}) {
		if !f.isSetting() {
			continue
		}
		key := strings.ReplaceAll(f.path, ".", "::")
		v.SetDefault(key, f.preset().Interface())
		if l.given(pathOf(f.path)) && !l.broken[f.path] {
			l.merge(v, f, doc.FieldByIndex(f.at).Interface())
		}
		names, flags = append(names, f.variable()), append(flags, f.flag())
		if text := variables[f.variable()]; text != "" {
			l.override(v, f, f.variable(), text)
		}
		if text, given := o.Flags[f.flag()]; given && f.flag() != "" {
			l.override(v, f, "--"+f.flag(), text)
		}
		doc.FieldByIndex(f.at).Set(reflect.ValueOf(v.Get(key)))
	}
	l.strangers(variables, names, o.Flags, flags)
}

// merge hands a value of the file to viper.
func (l *loader) merge(v *viper.Viper, f field, value any) {
	steps := strings.Split(f.path, ".")
	for _, step := range slices.Backward(steps) {
		value = map[string]any{step: value}
	}
	if err := v.MergeConfigMap(value.(map[string]any)); err != nil {
		l.bad(pathOf(f.path), "%v", err)
	}
}

// override hands the value of a variable or flag to viper.
func (l *loader) override(v *viper.Viper, f field, source, text string) {
	value := reflect.New(f.typ).Elem()
	if err := f.parse(text, value); err != nil {
		l.problems = append(l.problems, Problem{Key: source, Text: err.Error()})
		return
	}
	v.Set(strings.ReplaceAll(f.path, ".", "::"), value.Interface())
	l.from[f.path] = source
}

// environment picks the variables that begin with our prefix.
func environment(environ []string) map[string]string {
	variables := map[string]string{}
	for _, e := range environ {
		if name, value, _ := strings.Cut(e, "="); strings.HasPrefix(name, variablePrefix) {
			variables[name] = value
		}
	}
	return variables
}

// strangers reports variables and flags that set nothing. A variable gets a warning
// only: other programs may share the prefix.
func (l *loader) strangers(variables map[string]string, names []string, flags map[string]string, taken []string) {
	for name := range variables {
		if !slices.Contains(names, name) {
			l.warnings = append(l.warnings, Problem{Key: name, Text: "sets nothing" + didYouMean(name, names)})
		}
	}
	for name := range flags {
		if name == "" || !slices.Contains(taken, name) {
			l.problems = append(l.problems, Problem{Key: "--" + name, Text: "sets nothing" + didYouMean(name, taken)})
		}
	}
	slices.SortFunc(l.warnings, func(a, b Problem) int { return cmp.Compare(a.Key, b.Key) })
}

// commandLine makes a provider and its domains from MailHost and Domains.
func (l *loader) commandLine(o Options) {
	switch {
	case o.MailHost == "" && len(o.Domains) == 0:
		return
	case o.MailHost == "":
		l.problems = append(l.problems, Problem{Key: o.Domains[0], Text: "which servers does it have? want --mail-host HOST beside it, or providers and domains in a file"})
		return
	case len(o.Domains) == 0:
		l.problems = append(l.problems, Problem{Key: "--mail-host", Text: "which domains does it serve? want them beside it: example.org --mail-host mail.example.org"})
		return
	}
	if len(l.doc.Providers)+len(l.doc.Domains) > 0 {
		l.warnings = append(l.warnings, Problem{Key: "--mail-host", Text: "the providers and domains of " + l.file + " are not used"})
	}
	l.from["providers"], l.from["domains"] = "--mail-host", "command line"
	main := providerEntry{Name: "main", Hosts: []string{o.MailHost}}
	l.presets(reflect.ValueOf(&main).Elem())
	l.doc.Providers, l.doc.Domains = []providerEntry{main}, nil
	for _, name := range o.Domains {
		l.doc.Domains = append(l.doc.Domains, domainEntry{Name: name, Provider: main.Name})
	}
}

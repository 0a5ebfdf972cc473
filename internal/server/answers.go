package server

import (
	"fmt"
	"slices"

	"mailconfd/autoconfig"
	"mailconfd/autodiscover"
	"mailconfd/settings"
)

// Format names a document, as the command line and the metrics do.
type Format string

// The formats.
const (
	Autoconfig   Format = "autoconfig"
	Autodiscover Format = "autodiscover"
)

// document is a compiled format: literal pieces with gaps for whom it is for.
type document interface {
	Append(dst []byte, a settings.Address) []byte
}

// formats is the one table of documents.
var formats = []struct {
	name    Format
	compile func(settings.Verified) (document, error)
}{
	{Autoconfig, func(v settings.Verified) (document, error) { return autoconfig.Compile(v) }},
	{Autodiscover, func(v settings.Verified) (document, error) { return autodiscover.Compile(v) }},
}

// Formats returns every format.
func Formats() []Format {
	all := make([]Format, len(formats))
	for i, f := range formats {
		all[i] = f.name
	}
	return all
}

// Answers is what clients of one provider get, in every format. It is immutable; the
// zero Answers is that of a provider that has not been probed.
type Answers struct {
	documents map[Format]document
	withheld  map[Format]error
	without   outcome // what it means that a document is not there
	early     bool    // a service that a document could hold has no outcome yet
}

// Compile makes every document that the settings allow. It is done once a change;
// answering is appending.
func Compile(v settings.Verified) Answers {
	a := Answers{documents: map[Format]document{}, withheld: map[Format]error{}, without: missing(v), early: early(v)}
	for _, f := range formats {
		if d, err := f.compile(v); err != nil {
			a.withheld[f.name] = err
		} else {
			a.documents[f.name] = d
		}
	}
	return a
}

// needed are the roles that documents are made of.
var needed = []settings.Role{settings.RoleSubmission, settings.RoleIMAP, settings.RolePOP3}

// early tells that documents may be better in a few seconds: the first probes are not
// over.
func early(v settings.Verified) bool {
	return slices.ContainsFunc(needed, func(r settings.Role) bool { return v.Undecided(r) || v.Unprobed(r) })
}

// missing tells what it means when a document cannot be made: that it may be there
// in a few seconds, that nothing works or not enough, or that the format cannot say what
// works.
func missing(v settings.Verified) outcome {
	switch {
	case early(v):
		return undecided
	case !slices.ContainsFunc(needed, func(r settings.Role) bool { return len(v.Services(r)) > 0 }):
		return unverified
	case len(v.Services(settings.RoleSubmission)) == 0 || len(v.Services(settings.RoleIMAP))+len(v.Services(settings.RolePOP3)) == 0:
		return incomplete
	default:
		return unpublished
	}
}

// Append appends the exact bytes that a client gets. The error says why the format is
// not published; it is a *settings.Unsayable unless the format is unknown or the
// provider has not been probed.
func (a Answers) Append(dst []byte, f Format, address settings.Address) ([]byte, error) {
	if d, ok := a.documents[f]; ok {
		return d.Append(dst, address), nil
	}
	if err := a.withheld[f]; err != nil {
		return dst, err
	}
	if !slices.Contains(Formats(), f) {
		return dst, fmt.Errorf("format %q: want one of %v", string(f), Formats())
	}
	return dst, fmt.Errorf("%s is not published: nothing has been probed yet", f)
}

// Withheld returns why each format that is not published is not.
func (a Answers) Withheld() []error {
	var all []error
	for _, f := range formats {
		if err := a.withheld[f.name]; err != nil {
			all = append(all, err)
		}
	}
	return all
}

// answer returns the document of a provider, or what it means that there is none.
func (s *Server) answer(provider string, f Format) (document, result) {
	a := (*s.answers.Load())[provider]
	if d, ok := a.documents[f]; ok {
		return d, result{outcome: published, early: a.early}
	}
	if a.documents == nil {
		return nil, result{outcome: undecided}
	}
	return nil, result{outcome: a.without}
}

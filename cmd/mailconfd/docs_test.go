package main

import (
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"mailconfd/doctor"
)

// docs/doctor.md names every member of the JSON and every flag of its own.
func TestDoctorDocs(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(data)
	for _, typ := range []reflect.Type{
		reflect.TypeFor[doctor.Report](), reflect.TypeFor[doctor.ClientReport](), reflect.TypeFor[doctor.Setting](),
		reflect.TypeFor[doctor.Step](), reflect.TypeFor[doctor.Finding](), reflect.TypeFor[origin](), reflect.TypeFor[refused](),
	} {
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if name != "" && !strings.Contains(page, "`"+name+"`") && !strings.Contains(page, `"`+name+`":`) && !strings.Contains(page, name+"[]`") {
				t.Errorf("%s.%s: docs/doctor.md does not name %q", typ, typ.Field(i).Name, name)
			}
		}
	}
	command := (&app{}).doctor()
	command.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if !strings.Contains(page, "`--"+f.Name) {
			t.Errorf("docs/doctor.md does not name --%s", f.Name)
		}
	})
}

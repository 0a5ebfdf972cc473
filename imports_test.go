// Package mailconfd_test holds the architecture as a test: which package may import
// which. docs/architecture.md tells why.
package mailconfd_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "mailconfd/"

// rooms lists every package and what of ours its code may import. An arrow that is
// not here is an error, and so is a package.
var rooms = map[string][]string{
	"settings":                     {},
	"settings/settingstest":        {"settings"},
	"autoconfig":                   {"settings"},
	"autodiscover":                 {"settings"},
	"srvrecords":                   {"settings"},
	"probe":                        {"settings"},
	"doctor":                       {"settings"},
	"config":                       {"settings"},
	"internal/outside":             {},
	"internal/login":               {"settings"},
	"internal/directory":           {},
	"internal/drift":               {},
	"internal/publish":             {},
	"internal/publish/publishtest": {},
	"internal/queue":               {},
	"internal/monitor":             {"settings", "internal/queue"},
	"internal/store":               {"settings", "internal/monitor", "internal/queue"},
	"internal/store/storetest":     {"settings", "settings/settingstest", "internal/monitor", "internal/login"},
	"internal/server": {
		"settings", "autoconfig", "autodiscover", "internal/overview", "internal/login", "doctor",
		"internal/drift", "internal/publish", "internal/web",
	},
	"internal/overview": {"settings"},
	"internal/web":      {"settings", "internal/overview"},
	"internal/lab":      {"settings"},
	"cmd/mailconfd": {
		"settings", "autoconfig", "autodiscover", "srvrecords", "probe", "config", "internal/outside", "internal/directory",
		"internal/store", "internal/monitor", "internal/server", "internal/lab", "internal/overview", "internal/login", "doctor",
		"internal/drift", "internal/publish",
	},
	"internal/overview/overviewtest": {"settings", "settings/settingstest", "internal/overview"},
	"test/real":                      {},
}

// homes lists the packages that may import a library or a part of the standard
// library that shapes whoever uses it.
var homes = map[string][]string{
	"github.com/labstack/echo":              {"internal/server"},
	"github.com/spf13/viper":                {"config"},
	"go.yaml.in/yaml":                       {"config"},
	"github.com/invopop/jsonschema":         {"config"},
	"github.com/spf13/cobra":                {"cmd/mailconfd"},
	"github.com/spf13/pflag":                {"cmd/mailconfd"},
	"github.com/jedib0t/go-pretty":          {"cmd/mailconfd"},
	"golang.org/x/term":                     {"cmd/mailconfd"},
	"github.com/miekg/dns":                  {"srvrecords", "internal/outside", "internal/lab", "internal/drift", "internal/publish", "internal/publish/publishtest", "test/real"},
	"github.com/emersion":                   {"internal/lab", "internal/login"},
	"github.com/hashicorp/golang-lru":       {"internal/directory"},
	"github.com/prometheus/client_golang":   {"internal/server", "internal/monitor", "internal/publish", "cmd/mailconfd"},
	"golang.org/x/crypto/x509roots":         {"internal/outside"},
	"golang.org/x/net/publicsuffix":         {"config", "internal/directory", "doctor"},
	"net/http":                              {"internal/server", "internal/outside", "probe", "test/real"},
	"log/slog":                              {"internal/server", "internal/monitor", "internal/publish", "cmd/mailconfd"},
	"log":                                   {"internal/lab", "internal/server"}, // go-smtp, go-imap and net/http take no other logger
	"database/sql":                          {"internal/store", "test/real"},
	"modernc.org/sqlite":                    {"internal/store"},
	"github.com/jackc/pgx":                  {"internal/store"},
	"github.com/pressly/goose":              {"internal/store"},
	"github.com/google/go-cmp":              {"test/real", "internal/store/storetest"},
	"pgregory.net/rapid":                    {},
	"go.uber.org/goleak":                    {},
	"github.com/rogpeppe/go-internal":       {},
	"github.com/santhosh-tekuri/jsonschema": {"internal/overview/overviewtest"},
}

// TestImports reads the sources itself. A test that asked the go command would be
// cached, since the cache knows only of files that a test opens.
func TestImports(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (name == "tools" || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".") && name != ".") {
			return filepath.SkipDir
		}
		if entry.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		room := path.Dir(filepath.ToSlash(name))
		seen[room] = true
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			if complaint := check(room, imported); complaint != "" {
				t.Errorf("%s: %s", name, complaint)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, room := range slices.Sorted(maps.Keys(rooms)) {
		if !seen[room] {
			t.Errorf("%s is listed here and does not exist", room)
		}
	}
}

// check returns what is wrong with an import, or "".
func check(room, imported string) string {
	allowed, known := rooms[room]
	if !known {
		return "the package " + room + " is not listed in imports_test.go"
	}
	if ours, ok := strings.CutPrefix(imported, module); ok && !slices.Contains(allowed, ours) {
		return room + " may not import " + ours
	}
	// The longest entry that covers the import decides: log/slog is not log.
	library := imported
	for homes[library] == nil && library != "." {
		library = path.Dir(library)
	}
	if at, listed := homes[library]; listed && !slices.Contains(at, room) {
		return room + " may not import " + imported + "; it has its home in " + strings.Join(at, ", ")
	}
	return ""
}

// TestCheckComplains keeps the test above from turning into one that cannot fail.
func TestCheckComplains(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ room, imported string }{
		{"settings", "mailconfd/probe"},
		{"autoconfig", "mailconfd/autodiscover"},
		{"autoconfig", "net/http"},
		{"autoconfig", "net/http/httputil"},
		{"settings", "log"},
		{"internal/server", "mailconfd/probe"},
		{"cmd/mailconfd", "github.com/labstack/echo/v4"},
		{"probe", "github.com/miekg/dns"},
		{"util", "fmt"},
	} {
		if check(tt.room, tt.imported) == "" {
			t.Errorf("%s may import %s", tt.room, tt.imported)
		}
	}
	if complaint := check("internal/server", "github.com/labstack/echo/v4"); complaint != "" {
		t.Error(complaint)
	}
}

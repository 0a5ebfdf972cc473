package config_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailconfd/config"
)

// Any bytes give an error with problems, or a configuration that is sound.
func FuzzParse(f *testing.F) {
	f.Add([]byte("providers: &a [{name: x, hosts: [*a]}]\n"))
	f.Add(config.Example())
	err := filepath.WalkDir("testdata", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(name) != ".yaml" {
			return err
		}
		text, err := os.ReadFile(name)
		f.Add(text)
		return err
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, _, err := config.Parse("x.yaml", text, config.Options{})
		if err != nil {
			if message := err.Error(); message == "" || strings.ContainsFunc(message, func(r rune) bool { return r < ' ' && r != '\n' || r == 0x7f }) {
				t.Errorf("a message that cannot be printed: %q", message)
			}
			return
		}
		sound(t, c)
	})
}

// sound checks what Config promises.
func sound(t *testing.T, c config.Config) {
	if problems := c.Policy.Check(); problems != nil {
		t.Error("policy:", problems)
	}
	names := map[string]bool{}
	for _, p := range c.Providers {
		if problems := p.Check(); problems != nil || names[p.Name] {
			t.Errorf("provider %+v: %v", p, problems)
		}
		names[p.Name] = true
	}
	seen := map[string]bool{}
	for d := range c.Domains() {
		key := fmt.Sprint(d.Name, " *.", d.Wildcard, d.MX)
		kinds := 0
		for _, is := range []bool{d.Name != "", d.Wildcard != "", d.MX != nil} {
			if is {
				kinds++
			}
		}
		if kinds != 1 || seen[key] || !names[d.Provider] {
			t.Errorf("domain %+v", d)
		}
		seen[key] = true
	}
}

// BenchmarkDomains loads a file with many domains. The figure for 200,000 is in
// docs/configuration.md.
func BenchmarkDomains(b *testing.B) {
	for _, n := range []int{1_000, 200_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var text bytes.Buffer
			text.WriteString("providers:\n  - name: main\n    hosts: [mail.example.org]\ndomains:\n")
			for i := range n {
				fmt.Fprintf(&text, "  - name: customer-%06d.example\n    provider: main\n", i)
			}
			b.SetBytes(int64(text.Len()))
			b.ReportAllocs()
			for b.Loop() {
				if _, _, err := config.Parse("x.yaml", text.Bytes(), config.Options{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

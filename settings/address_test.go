package settings_test

import (
	"strings"
	"testing"

	"mailconfd/settings"
)

func TestParseAddress(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]settings.Address{
		"jane@example.org":                          {Local: "jane", Domain: "example.org"},
		"Jane@Example.ORG":                          {Local: "Jane", Domain: "example.org"},
		"jane+tag@example.org.":                     {Local: "jane+tag", Domain: "example.org"},
		"jäne@bücher.example":                       {Local: "jäne", Domain: "xn--bcher-kva.example"},
		"a&b=c%x@example.org":                       {Local: "a&b=c%x", Domain: "example.org"},
		`"a b"@example.org`:                         {Local: `"a b"`, Domain: "example.org"},
		`"a@b"@example.org`:                         {Local: `"a@b"`, Domain: "example.org"},
		"o'hara@example.org":                        {Local: "o'hara", Domain: "example.org"},
		strings.Repeat("a", 64) + "@example.org":    {Local: strings.Repeat("a", 64), Domain: "example.org"},
		strings.Repeat("a", 65) + "@example.org":    {},
		"jane":                                      {},
		"@example.org":                              {},
		"jane@":                                     {},
		"jane@org":                                  {},
		"jane@192.0.2.1":                            {},
		"jane@[192.0.2.1]":                          {},
		"jane@exa mple.org":                         {},
		"jane@.example.org":                         {},
		"jane doe@example.org":                      {},
		"jane@doe@example.org":                      {},
		"<jane@example.org>":                        {},
		"jane\r\nbcc: x@example.org":                {},
		"ja\x00ne@example.org":                      {},
		"ja\u2028ne@example.org":                    {},
		"ja\ufffene@example.org":                    {},
		"ja\xffne@example.org":                      {},
		"jane@" + strings.Repeat("a.", 130) + "org": {},
	} {
		got, err := settings.ParseAddress(text)
		if got != want || (err == nil) != (want != settings.Address{}) {
			t.Errorf("%q: got %+v, %v, want %+v", text, got, err, want)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"jane@example.org", "jäne@bücher.example", `"a b"@x.y`, "@", "a@b@c.d", "\x00@a.b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := settings.ParseAddress(text)
		if err != nil {
			return
		}
		again, err := settings.ParseAddress(a.String())
		if len(a.String()) <= 254 && (err != nil || again != a) {
			t.Errorf("%q became %+v, which became %+v, %v", text, a, again, err)
		}
	})
}

func TestLogin(t *testing.T) {
	t.Parallel()
	for local, want := range map[string]string{
		"jane": "jane", "123": "123", "-5": "-5", "1.5": "1.5", "007a": "007a", "Infinity": "Infinity", "nan": "nan", "1_000": "1_000", "True": "True",
		// What Thunderbird 153 turns into something else.
		"00123": "", "0x10": "", "0b1": "", "0o7": "", "1e5": "", "1.50": "", "true": "", "false": "",
		"12345678901234567890": "", "1.": "", ".5": "", "+5": "",
		// Nobody is asked for.
		"": "",
	} {
		a := settings.Address{Local: local, Domain: "example.org"}
		if got := settings.UsernameLocalPart.Login(a); got != want {
			t.Errorf("local part of %q: got %q, want %q", a, got, want)
		}
	}
	a := settings.Address{Local: "00123", Domain: "example.org"}
	if got := settings.UsernameAddress.Login(a); got != "00123@example.org" {
		t.Errorf("address: got %q", got)
	}
	if got := settings.UsernameAddress.Login(settings.Address{Domain: "example.org"}); got != "" {
		t.Errorf("domain only: got %q", got)
	}
}

// Punycode takes time by the square of the length: what is too long must not get there.
func TestLongNamesAreRefusedAtOnce(t *testing.T) {
	t.Parallel()
	var long strings.Builder
	for r := rune(0x4e00); long.Len() < 60_000; r++ {
		long.WriteRune(r)
	}
	for range 1000 { // each took a second once
		if _, err := settings.ParseDomain(long.String() + ".example"); err == nil {
			t.Fatal("taken")
		}
		if _, err := settings.ParseAddress("a@" + long.String() + ".example"); err == nil {
			t.Fatal("taken")
		}
		if _, err := settings.ParseHost(long.String()); err == nil {
			t.Fatal("taken")
		}
	}
}

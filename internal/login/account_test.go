package login_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailconfd/internal/login"
)

func TestReadAccount(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 500)
	for name, tt := range map[string]struct {
		text string
		mode os.FileMode
		want string // the password, or what is wrong
		warn bool
	}{
		"a line":                {"secret\n", 0o600, "secret", false},
		"a line of Windows":     {"secret\r\n", 0o600, "secret", false},
		"no end of the line":    {"secret", 0o600, "secret", false},
		"blanks are part of it": {" sec ret \n", 0o600, " sec ret ", false},
		"letters of everywhere": {"Größe€\n", 0o640, "Größe€", false},
		"as long as may be":     {long + "\r\n", 0o600, long, false},
		"readable by all":       {"secret\n", 0o644, "secret", true},
		"writable by all":       {"secret\n", 0o602, "secret", true},
		"too long":              {long + "x", 0o600, "!more than 500 bytes", false},
		"far too long":          {strings.Repeat("x", 1<<20), 0o600, "!more than 500 bytes", false},
		"empty":                 {"", 0o600, "!empty; want one line with the password", false},
		"an empty line":         {"\n", 0o600, "!empty; want one line with the password", false},
		"two lines":             {"secret\nsecret2\n", 0o600, "!more than one line, or a control character", false},
		"two ends":              {"secret\n\n", 0o600, "!more than one line, or a control character", false},
		"a NUL":                 {"sec\x00ret\n", 0o600, "!more than one line, or a control character", false},
		"Latin-1":               {"Gr\xf6\xdfe\n", 0o600, "!not UTF-8", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "password")
			if err := os.WriteFile(file, []byte(tt.text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, tt.mode); err != nil {
				t.Fatal(err)
			}
			a, warning, err := login.ReadAccount(address(t, "jane@example.org"), file)
			if why, bad := strings.CutPrefix(tt.want, "!"); bad {
				if want := "read the password of jane@example.org from " + file + ": " + why; err == nil || err.Error() != want {
					t.Errorf("got %v, want %q", err, want)
				}
				return
			}
			if err != nil || login.PasswordOf(a) != tt.want || a.Address().String() != "jane@example.org" {
				t.Errorf("got %q of %s, %v, want %q", login.PasswordOf(a), a, err, tt.want)
			}
			if (warning != "") != tt.warn || tt.warn && !strings.Contains(warning, file) {
				t.Errorf("warning %q", warning)
			}
		})
	}
}

func TestReadAccountFromNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, _, err := login.ReadAccount(address(t, "jane@example.org"), filepath.Join(dir, "none"))
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none: no such file") {
		t.Errorf("a missing file: %v", err)
	}
	for _, other := range []string{dir, os.DevNull} {
		if _, _, err := login.ReadAccount(address(t, "jane@example.org"), other); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("%s: %v", other, err)
		}
	}
}

// TestAccountHides: however an account is printed, the password is not.
func TestAccountHides(t *testing.T) {
	t.Parallel()
	a, password := secretive(jane(t))
	d := login.Declared{Account: a}
	var shown strings.Builder
	for _, value := range []any{a, &a, d, &d, []login.Declared{d}, map[string]login.Account{"a": a}} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
			fmt.Fprintf(&shown, verb+"\n", value)
		}
		text, err := json.Marshal(value)
		fmt.Fprintln(&shown, string(text), err)
		for _, handler := range []slog.Handler{slog.NewTextHandler(&shown, nil), slog.NewJSONHandler(&shown, nil)} {
			slog.New(handler).Info("account", "account", value)
		}
		func() {
			defer func() { fmt.Fprintln(&shown, recover()) }()
			panic(value)
		}()
	}
	if leak := hidden(shown.String(), password); leak != "" {
		t.Errorf("%q is shown:\n%s", leak, shown.String())
	}
	if fmt.Sprint(a) != "jane@example.test" {
		t.Errorf("an account prints as %q", fmt.Sprint(a))
	}
}

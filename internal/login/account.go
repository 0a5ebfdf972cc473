package login

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mailconfd/settings"
)

// maxPassword is the longest password: with the longest address, its PLAIN message then
// fits the 1,024 octets of a quoted string in ManageSieve (RFC 5804 section 4).
const maxPassword = 500

// Account is a mailbox to log in with. However it is printed, only the address shows:
// the password is in a function, where no printer and no dump looks.
type Account struct {
	address  settings.Address
	password func() string
	file     string
	written  time.Time // as the file says
	changed  time.Time // written, and never in the future
}

// NewAccount makes an account that has never changed.
func NewAccount(address settings.Address, password string) Account {
	return Account{address: address, password: func() string { return password }}
}

// ReadAccount reads the password of an account from a file: one line, whose end is cut
// off. warning says that everybody on the machine may read the file; it is "" where
// nothing is wrong. No error shows what the file holds.
func ReadAccount(address settings.Address, file string) (a Account, warning string, err error) {
	text, info, err := readSecret(file)
	if err == nil {
		text, err = passwordOf(text)
	}
	if err != nil {
		return Account{}, "", fmt.Errorf("read the password of %s from %s: %w", address, file, err)
	}
	if mode := info.Mode().Perm(); mode&0o006 != 0 {
		warning = fmt.Sprintf("%s, the password of %s, is open to everybody on this machine (mode %#o): chmod 600", file, address, mode)
	}
	a = NewAccount(address, string(text))
	a.file, a.written, a.changed = file, info.ModTime(), info.ModTime()
	if now := time.Now(); a.changed.After(now) {
		a.changed = now
	}
	return a, warning, nil
}

// readSecret reads a small regular file. A pipe could be waited for without end.
func readSecret(file string) ([]byte, fs.FileInfo, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, nil, reason(err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errors.New("not a regular file")
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, nil, reason(err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxPassword+3))
	if err != nil {
		return nil, nil, reason(err)
	}
	return text, info, nil
}

// reason takes the operation and the name out of an error: they are said already. The
// error can still be tested for what it was.
func reason(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}

// passwordOf cuts the end of the line off, and refuses what no protocol can carry.
func passwordOf(text []byte) ([]byte, error) {
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	switch {
	case len(text) == 0:
		return nil, errors.New("empty; want one line with the password")
	case len(text) > maxPassword:
		return nil, fmt.Errorf("more than %d bytes", maxPassword)
	case !utf8.Valid(text):
		return nil, errors.New("not UTF-8")
	case bytes.ContainsFunc(text, unicode.IsControl):
		return nil, errors.New("more than one line, or a control character")
	}
	return text, nil
}

// Address returns whose account it is.
func (a Account) Address() settings.Address { return a.address }

// Format prints the address, whatever the verb.
func (a Account) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.address.String()) }

// MarshalText is the address.
func (a Account) MarshalText() ([]byte, error) { return []byte(a.address.String()), nil }

// user is what to say as user name.
func (a Account) user(u settings.Username) string {
	if u == settings.UsernameLocalPart {
		return a.address.Local
	}
	return a.address.String()
}

// rewritten tells that the file is no longer the one that was read: what was read may be
// an old password by now.
func (a Account) rewritten() bool {
	if a.file == "" {
		return false
	}
	info, err := os.Stat(a.file)
	return errors.Is(err, fs.ErrNotExist) || err == nil && !info.ModTime().Equal(a.written)
}

// without returns a text from before the login, or what its kind means if it holds the
// password: a server that has been told it once could repeat it in its next greeting.
func (a Account) without(text string, kind settings.FailureKind) string {
	for _, secret := range a.forms() {
		if strings.Contains(text, secret) {
			return kind.Text().Meaning
		}
	}
	return text
}

// forms are how the password goes over a wire.
func (a Account) forms() []string {
	password := a.password()
	all := []string{password, base64.StdEncoding.EncodeToString([]byte(password))}
	for _, u := range []settings.Username{settings.UsernameAddress, settings.UsernameLocalPart} {
		all = append(all, base64.StdEncoding.EncodeToString(credentials{a.user(u), password}.plain()))
	}
	return all
}

package publish

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/miekg/dns"
)

// Algorithms of a key, as RFC 8945 section 6 names them.
const (
	HMACSHA256 = "hmac-sha256"
	HMACSHA512 = "hmac-sha512"
)

// Key is a secret that we share with a server. It signs what we send, and proves that
// answers are the server's.
type Key struct {
	Name      string // as the server has it
	Algorithm string // HMACSHA256 or HMACSHA512
	secret    string // in base64
}

// maxSecret is the largest file that is read for a secret.
const maxSecret = 4 << 10

// NewKey makes a key from a secret in base64.
func NewKey(name, algorithm, secret string) (*Key, error) {
	if _, ok := dns.IsDomainName(name); !ok || strings.Trim(name, ".") == "" {
		return nil, fmt.Errorf("key %q: the name of a key is written as a domain name, such as mailconfd", name)
	}
	if algorithm != HMACSHA256 && algorithm != HMACSHA512 {
		return nil, fmt.Errorf("key %s: algorithm %q: want %s or %s", name, algorithm, HMACSHA256, HMACSHA512)
	}
	raw, err := base64.StdEncoding.DecodeString(secret)
	if err != nil || len(raw) == 0 {
		return nil, fmt.Errorf("key %s: the secret is not base64", name)
	}
	return &Key{dns.CanonicalName(name), algorithm, secret}, nil
}

// ReadKey makes a key from a file that holds the secret in base64 and nothing else. The
// warning is "" or says that people may read it who should not.
func ReadKey(name, algorithm, file string) (key *Key, warning string, err error) {
	secret, mode, err := readSecret(file)
	if err != nil {
		return nil, "", fmt.Errorf("key %s: %w", name, err)
	}
	if strings.Contains(secret, "secret") {
		return nil, "", fmt.Errorf(`key %s: %s is a whole key statement; want only the text in quotes behind "secret"`, name, file)
	}
	key, err = NewKey(name, algorithm, secret)
	if err != nil {
		return nil, "", fmt.Errorf("%w: %s; want one line, such as tsig-keygen and keymgr print behind \"secret\"", err, file)
	}
	if mode.Perm()&0o007 != 0 {
		warning = fmt.Sprintf("%s can be read by everybody on this machine (mode %04o): chmod 0640 or 0600", file, mode.Perm())
	}
	return key, warning, nil
}

func readSecret(file string) (string, fs.FileMode, error) {
	// To open a pipe would wait for whoever writes to it.
	info, err := os.Stat(file)
	if err != nil {
		return "", 0, err
	}
	if !info.Mode().IsRegular() {
		return "", 0, fmt.Errorf("%s is no file", file)
	}
	f, err := os.Open(file)
	if err != nil {
		return "", 0, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return "", 0, err
	case len(content) > maxSecret:
		return "", 0, errors.New(file + " is too large to be a secret in base64")
	}
	return strings.TrimSpace(string(content)), info.Mode(), nil
}

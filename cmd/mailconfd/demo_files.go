package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// writeFiles writes the web certificate to a directory of our own, and the authority's
// root and the variables there too, or to the directory that was asked for.
func (s *show) writeFiles() error {
	private, err := os.MkdirTemp("", "mailconfd-demo-")
	if err != nil {
		return fmt.Errorf("no temporary directory: %w; TMPDIR says where they are", err)
	}
	s.private = private
	if s.dir == "" {
		s.dir = private
	} else if s.dir, err = ownDirectory(s.dir); err != nil {
		return err
	}
	certificate, err := s.internet.CA().Certificate(demoNames...)
	if err != nil {
		return err
	}
	chain, key, err := encode(certificate)
	if err != nil {
		return err
	}
	var env strings.Builder
	for _, v := range s.variables() {
		fmt.Fprintf(&env, "export %s=%s\n", v[0], shellQuote(v[1]))
	}
	return errors.Join(
		writeFile(s.private, "web.pem", chain, 0o644),
		writeFile(s.private, "web.key", key, 0o600),
		writeFile(s.dir, "ca.pem", s.internet.CA().RootPEM(), 0o644),
		writeFile(s.dir, "demo.env", []byte(env.String()), 0o644),
	)
}

// ownDirectory makes or checks the directory of --dir: people are told to run what
// demo.env says, so nobody else may be able to write there.
func ownDirectory(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	if !info.IsDir() || info.Mode().Perm()&0o022 != 0 || !ownedByUs(info) {
		return "", fmt.Errorf("--dir %s: others can write there; want a directory of your own, such as ./demo", dir)
	}
	if other := runningDemo(filepath.Join(dir, "demo.env")); other != "" {
		return "", fmt.Errorf("--dir %s: another demo uses it, at %s; end that one, or choose another directory", dir, other)
	}
	return dir, nil
}

// runningDemo returns the proxy of the demo that wrote the variables, if it is there.
func runningDemo(file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(string(text), "MAILCONFD_VIA='")
	via, _, _ := strings.Cut(rest, "'")
	u, err := url.Parse(via)
	if err != nil || u.Host == "" {
		return ""
	}
	conn, err := net.DialTimeout("tcp", u.Host, time.Second)
	if err != nil {
		return ""
	}
	_ = conn.Close()
	return u.Host
}

// writeFile puts a file in the place of what is there, without following a link.
func writeFile(dir, name string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(dir, "."+name+"-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(mode), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}

// shellQuote writes a text so that a shell takes it as it is.
func shellQuote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// encode writes a certificate and its key as PEM.
func encode(c tls.Certificate) (chain, key []byte, err error) {
	for _, der := range c.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	return chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

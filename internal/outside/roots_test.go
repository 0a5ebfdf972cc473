package outside_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailconfd/internal/outside"
)

func authority(t *testing.T) (*x509.Certificate, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "root"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func TestRoots(t *testing.T) {
	t.Parallel()
	cert, text := authority(t)
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, append([]byte("# ours\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	roots, extra, err := outside.Roots(file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: extra}); err != nil {
		t.Errorf("the file's root is not among the extra ones: %v", err)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots}); err == nil {
		t.Error("the file's root is among the system's: it deserves a warning")
	}
	if _, extra, err := outside.Roots(""); err != nil || extra != nil {
		t.Errorf("without a file: got %v, %v, want nil and nil", extra, err)
	}
}

func TestBadRootFiles(t *testing.T) {
	t.Parallel()
	_, good := authority(t)
	dir := t.TempDir()
	for name, test := range map[string]struct{ text, says string }{
		"empty":   {"", "no certificate"},
		"text":    {"hello", "no certificate"},
		"key":     {"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "private key"},
		"broken":  {string(good) + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate 2"},
		"too big": {strings.Repeat("x", 5<<20), "larger"},
	} {
		file := filepath.Join(dir, strings.ReplaceAll(name, " ", ""))
		if err := os.WriteFile(file, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := outside.Roots(file); err == nil || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), file) {
			t.Errorf("%s: got error %v, want one with %q and the file's name", name, err, test.says)
		}
	}
	if _, _, err := outside.Roots(filepath.Join(dir, "missing")); err == nil {
		t.Error("missing file: no error")
	}
}

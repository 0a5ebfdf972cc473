//go:build real

package real

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority is a certificate authority as the public ones are: a root that clients trust, and an intermediate that
// signs the servers' certificates and that servers must send along.
type authority struct {
	dir          string // where its certificates are kept
	rootFile     string // PEM, what a client trusts
	root         *x509.Certificate
	intermediate *x509.Certificate
	key          *ecdsa.PrivateKey // of the intermediate
}

// certificate is what a server is configured with.
type certificate struct {
	file string // PEM: key, certificate, then what it sends along: the order that Postfix asks for, and Dovecot takes
	leaf *x509.Certificate
}

// newAuthority makes an authority and keeps its files in dir.
func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{dir: dir, rootFile: filepath.Join(dir, "root.pem")}
	rootKey := newKey(t)
	a.root = sign(t, authorityTemplate(name+" Root"), nil, rootKey, rootKey)
	a.key = newKey(t)
	a.intermediate = sign(t, authorityTemplate(name+" Intermediate"), a.root, a.key, rootKey)
	writeFile(t, a.rootFile, certificatePEM(a.root), 0o644)
	return a
}

func authorityTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject:               pkix.Name{Organization: []string{"mailconfd tests"}, CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().AddDate(5, 0, 0),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
}

// issue makes a certificate for a host, valid from an hour ago for 90 days.
func (a *authority) issue(t *testing.T, host string) certificate {
	t.Helper()
	return a.issueUntil(t, host, time.Now().AddDate(0, 0, 90))
}

// issueUntil is issue with another end, which may be past; the certificate is valid from 91 days before it.
func (a *authority) issueUntil(t *testing.T, host string, end time.Time) certificate {
	t.Helper()
	key := newKey(t)
	leaf := sign(t, &x509.Certificate{
		Subject:     pkix.Name{CommonName: host},
		DNSNames:    []string{host},
		NotBefore:   end.AddDate(0, 0, -91),
		NotAfter:    end,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.intermediate, key, a.key)
	return a.save(t, leaf, key, leaf, a.intermediate)
}

// withoutChain is the same certificate in the hands of a server that forgets to send the intermediate.
func (a *authority) withoutChain(t *testing.T, host string) certificate {
	t.Helper()
	key := newKey(t)
	whole := a.issue(t, host)
	leaf := sign(t, whole.leaf, a.intermediate, key, a.key)
	return a.save(t, leaf, key, leaf)
}

// save writes key and chain into one file.
func (a *authority) save(t *testing.T, leaf *x509.Certificate, key *ecdsa.PrivateKey, chain ...*x509.Certificate) certificate {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	var content strings.Builder
	content.Write(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for _, c := range chain {
		content.WriteString(certificatePEM(c))
	}
	file := filepath.Join(a.dir, leaf.SerialNumber.Text(16)+".pem")
	writeFile(t, file, content.String(), 0o600)
	return certificate{file: file, leaf: leaf}
}

// sign makes a certificate from a template; without a parent it signs itself.
func sign(t *testing.T, template, parent *x509.Certificate, key, signer *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = serial
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func certificatePEM(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

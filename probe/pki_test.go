package probe_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"testing"
	"time"
)

// testNow is the moment at which everything is looked at.
var testNow = time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// signer is a certificate with its key.
type signer struct {
	cert  *x509.Certificate
	key   crypto.Signer
	chain []*x509.Certificate // what a server sends along
}

func (s signer) pair() tls.Certificate {
	pair := tls.Certificate{Certificate: [][]byte{s.cert.Raw}, PrivateKey: s.key, Leaf: s.cert}
	for _, cert := range s.chain {
		pair.Certificate = append(pair.Certificate, cert.Raw)
	}
	return pair
}

// pki is a root and an intermediate.
type pki struct{ root, intermediate signer }

func newPKI(t testing.TB) pki {
	t.Helper()
	root := sign(t, caTemplate("Test root"), signer{})
	return pki{root, sign(t, caTemplate("Test intermediate"), root)}
}

// pkiPool trusts the last certificate of a chain that was made with its root.
func pkiPool(pair tls.Certificate) *x509.CertPool {
	pool := x509.NewCertPool()
	last, err := x509.ParseCertificate(pair.Certificate[len(pair.Certificate)-1])
	if err != nil {
		panic(err)
	}
	pool.AddCert(last)
	return pool
}

func (p pki) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.root.cert)
	return pool
}

func caTemplate(name string) *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: testNow.Add(-365 * day), NotAfter: testNow.Add(365 * day),
	}
}

// leafOptions say what is special about a server's certificate.
type leafOptions struct {
	names     []string // default: mail.example.org
	commonCN  string
	from, to  time.Time // default: a month ago, in two months
	by        *signer   // default: the intermediate
	chain     []signer  // default: the intermediate and the root
	bare      bool      // no chain
	usage     x509.ExtKeyUsage
	rsa, self bool
}

// leaf mints a certificate.
func (p pki) leaf(t testing.TB, o leafOptions) signer {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: o.commonCN}, NotBefore: testNow.Add(-30 * day), NotAfter: testNow.Add(60 * day),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if o.names == nil {
		o.names = []string{"mail.example.org"}
	}
	for _, name := range o.names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	if !o.from.IsZero() {
		template.NotBefore = o.from
	}
	if !o.to.IsZero() {
		template.NotAfter = o.to
	}
	if o.usage != 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{o.usage}
	}
	by, chain := p.intermediate, []signer{p.intermediate, p.root}
	if o.by != nil {
		by, chain = *o.by, []signer{*o.by}
	}
	if o.chain != nil {
		chain = o.chain
	}
	if o.self {
		by = signer{}
	}
	made := signWith(t, template, by, o.rsa)
	if !o.bare && !o.self {
		for _, s := range chain {
			made.chain = append(made.chain, s.cert)
		}
	}
	return made
}

// sign makes a certificate; the zero signer lets it sign itself.
func sign(t testing.TB, template *x509.Certificate, by signer) signer {
	t.Helper()
	return signWith(t, template, by, false)
}

func signWith(t testing.TB, template *x509.Certificate, by signer, useRSA bool) signer {
	t.Helper()
	var key crypto.Signer
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if useRSA {
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62)); err != nil {
		t.Fatal(err)
	}
	if by.key == nil {
		by = signer{cert: template, key: key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return signer{cert: cert, key: key}
}

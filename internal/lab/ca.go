package lab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"

	"mailconfd/settings"
)

// How long certificates are valid. Issuers outlive every certificate that the lab
// mints, the expired ones too, so that a flaw stays the only flaw.
const (
	day          = 24 * time.Hour
	leafBackdate = time.Hour
	leafLifetime = 90 * day
	issuerSpan   = 2 * 365 * day
)

// strangeName is the name in a certificate that is for another host.
const strangeName = "mail.elsewhere.test"

// CA is a certification authority as mail servers meet it: a root, and an
// intermediate that signs the certificates and that servers have to send along.
// All keys are ECDSA P-256. It is made anew each time and never leaves memory.
//
// Methods may be called from any goroutine.
type CA struct {
	root         issuer
	intermediate issuer
	strangeRoot  issuer // an authority that nobody trusts
	strange      issuer // its intermediate
}

// issuer is a certificate that signs others.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCA makes the authority's keys.
func NewCA() (*CA, error) {
	var ca CA
	for _, step := range []struct {
		into   *issuer
		parent *issuer
		name   string
	}{
		{&ca.root, nil, "mailconfd demo root"},
		{&ca.intermediate, &ca.root, "mailconfd demo intermediate"},
		{&ca.strangeRoot, nil, "A root that nobody trusts"},
		{&ca.strange, &ca.strangeRoot, "An intermediate that nobody trusts"},
	} {
		made, err := newIssuer(step.name, step.parent)
		if err != nil {
			return nil, fmt.Errorf("make certification authority: %w", err)
		}
		*step.into = made
	}
	return &ca, nil
}

// RootPEM returns the root certificate, as --ca-file wants it.
func (ca *CA) RootPEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.root.cert.Raw})
}

// Pool returns a new pool that holds the root and nothing else.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.root.cert)
	return pool
}

// Certificate mints a certificate for the names, host names or IP addresses, valid
// from an hour ago for 90 days, with the intermediate in its chain.
func (ca *CA) Certificate(names ...string) (tls.Certificate, error) {
	return leaf{names: names}.sign(ca.intermediate, ca.intermediate)
}

// Flawed mints a certificate for the name that has exactly the flaw of the fault:
//
//   - certificate_name: it is for mail.elsewhere.test
//   - certificate_expired: a day ago
//   - certificate_not_yet_valid: it is valid from in a day on
//   - certificate_chain_incomplete: the intermediate is missing
//   - certificate_untrusted: its root is not the one of RootPEM; in the variant
//     self_signed it has no issuer but itself
//
// Any other fault is an error.
func (ca *CA) Flawed(fault Fault, name string) (tls.Certificate, error) {
	wanted := leaf{names: []string{name}}
	switch fault {
	case Fault{Kind: settings.FailureCertificateName}:
		wanted.names = []string{strangeName}
		return wanted.sign(ca.intermediate, ca.intermediate)
	case Fault{Kind: settings.FailureCertificateExpired}:
		wanted.shift = -leafLifetime - day
		return wanted.sign(ca.intermediate, ca.intermediate)
	case Fault{Kind: settings.FailureCertificateNotYet}:
		wanted.shift = leafBackdate + day
		return wanted.sign(ca.intermediate, ca.intermediate)
	case Fault{Kind: settings.FailureCertificateChain}:
		return wanted.sign(ca.intermediate)
	case Fault{Kind: settings.FailureCertificateRoot}:
		return wanted.sign(ca.strange, ca.strange)
	case Fault{settings.FailureCertificateRoot, VariantSelfSigned}:
		return wanted.sign(issuer{})
	}
	return tls.Certificate{}, fmt.Errorf("mint certificate for %s: %s is not a flaw of a certificate", name, fault)
}

// leaf is what a server's certificate says.
type leaf struct {
	names []string
	shift time.Duration // of the whole validity
}

// sign mints the certificate. The zero issuer lets it sign itself; chain is what the
// server sends along.
func (l leaf) sign(by issuer, chain ...issuer) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("make key for %v: %w", l.names, err)
	}
	from := time.Now().Add(l.shift - leafBackdate)
	template, err := newTemplate(l.names[0], from, from.Add(leafBackdate+leafLifetime))
	if err != nil {
		return tls.Certificate{}, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	for _, name := range l.names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	if by.key == nil {
		by = issuer{template, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by.cert, key.Public(), by.key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("sign certificate for %v: %w", l.names, err)
	}
	cert := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	for _, c := range chain {
		cert.Certificate = append(cert.Certificate, c.cert.Raw)
	}
	return cert, nil
}

// newIssuer makes a root (parent is nil) or an intermediate.
func newIssuer(name string, parent *issuer) (issuer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return issuer{}, err
	}
	now := time.Now()
	template, err := newTemplate(name, now.Add(-issuerSpan), now.Add(issuerSpan))
	if err != nil {
		return issuer{}, err
	}
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	template.IsCA = true
	signer := issuer{template, key}
	if parent != nil {
		signer = *parent
		template.MaxPathLenZero = true
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer.cert, key.Public(), signer.key)
	if err != nil {
		return issuer{}, err
	}
	cert, err := x509.ParseCertificate(der)
	return issuer{cert, key}, err
}

// newTemplate fills in what every certificate has. The serial number has 127 random
// bits (RFC 5280, section 4.1.2.2: positive, at most 20 octets).
func newTemplate(name string, from, to time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("draw serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             from,
		NotAfter:              to,
		BasicConstraintsValid: true,
	}, nil
}

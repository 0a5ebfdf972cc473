package lab_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"testing"
	"time"

	"mailconfd/internal/lab"
	"mailconfd/settings"
)

// verify checks a served chain as a client does, at the time.
func verify(chain []*x509.Certificate, roots *x509.CertPool, name string, at time.Time) error {
	sent := x509.NewCertPool()
	for _, cert := range chain[1:] {
		sent.AddCert(cert)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: sent, CurrentTime: at})
	return err
}

func parsed(t *testing.T, cert tls.Certificate) []*x509.Certificate {
	t.Helper()
	var chain []*x509.Certificate
	for _, der := range cert.Certificate {
		c, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		chain = append(chain, c)
	}
	return chain
}

func TestCertificateIsGood(t *testing.T) {
	t.Parallel()
	ca, err := lab.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Certificate(lab.Host, "autoconfig.example.test", "192.0.2.10")
	if err != nil {
		t.Fatal(err)
	}
	chain, now := parsed(t, cert), time.Now()
	for _, name := range []string{lab.Host, "autoconfig.example.test", "192.0.2.10"} {
		if err := verify(chain, ca.Pool(), name, now); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := verify(chain, ca.Pool(), "example.test", now); err == nil {
		t.Error("valid for a name that is not in it")
	}
	if got := now.Sub(chain[0].NotBefore).Round(time.Minute); got != time.Hour {
		t.Errorf("valid since %s, want an hour", got)
	}
	if got := chain[0].NotAfter.Sub(now).Round(time.Minute); got != 90*24*time.Hour {
		t.Errorf("valid for %s, want 90 days", got)
	}
}

func TestRootPEMIsTheRoot(t *testing.T) {
	t.Parallel()
	ca, err := lab.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	block, rest := pem.Decode(ca.RootPEM())
	if block == nil || block.Type != "CERTIFICATE" || len(rest) != 0 {
		t.Fatalf("got %q, want one certificate", ca.RootPEM())
	}
	root, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if !root.IsCA || root.CheckSignatureFrom(root) != nil {
		t.Error("not a root")
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	cert, err := ca.Certificate(lab.Host)
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(parsed(t, cert), roots, lab.Host, time.Now()); err != nil {
		t.Error(err)
	}
}

func TestFlawedHasOneFlaw(t *testing.T) {
	t.Parallel()
	ca, err := lab.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	for _, fault := range lab.Faults(settings.ImplicitTLS) {
		flaw, isFlaw := flaws()[fault]
		cert, err := ca.Flawed(fault, lab.Host)
		if !isFlaw {
			if err == nil {
				t.Errorf("%s: got a certificate, want an error", fault)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", fault, err)
			continue
		}
		flaw(t, ca, parsed(t, cert))
	}
}

// flaws tells for each flaw how a client sees that it is there, and nothing else is
// wrong.
func flaws() map[lab.Fault]func(*testing.T, *lab.CA, []*x509.Certificate) {
	now, week := time.Now(), 7*24*time.Hour
	check := func(t *testing.T, err error, target any, mended error) {
		t.Helper()
		if !errors.As(err, target) {
			t.Errorf("got %v, want %T", err, target)
		}
		if mended != nil {
			t.Errorf("there is another flaw: %v", mended)
		}
	}
	return map[lab.Fault]func(*testing.T, *lab.CA, []*x509.Certificate){
		{Kind: settings.FailureCertificateName}: func(t *testing.T, ca *lab.CA, chain []*x509.Certificate) {
			check(t, verify(chain, ca.Pool(), lab.Host, now), new(x509.HostnameError), verify(chain, ca.Pool(), "mail.elsewhere.test", now))
		},
		{Kind: settings.FailureCertificateExpired}: func(t *testing.T, ca *lab.CA, chain []*x509.Certificate) {
			check(t, verify(chain, ca.Pool(), lab.Host, now), new(x509.CertificateInvalidError), verify(chain, ca.Pool(), lab.Host, now.Add(-week)))
		},
		{Kind: settings.FailureCertificateNotYet}: func(t *testing.T, ca *lab.CA, chain []*x509.Certificate) {
			check(t, verify(chain, ca.Pool(), lab.Host, now), new(x509.CertificateInvalidError), verify(chain, ca.Pool(), lab.Host, now.Add(week)))
		},
		{Kind: settings.FailureCertificateChain}: func(t *testing.T, ca *lab.CA, chain []*x509.Certificate) {
			if len(chain) != 1 {
				t.Errorf("%d certificates are sent, want 1", len(chain))
			}
			good, err := ca.Certificate(lab.Host)
			if err != nil {
				t.Fatal(err)
			}
			full := append(chain, parsed(t, good)[1:]...)
			check(t, verify(chain, ca.Pool(), lab.Host, now), new(x509.UnknownAuthorityError), verify(full, ca.Pool(), lab.Host, now))
		},
		{Kind: settings.FailureCertificateRoot}: func(t *testing.T, ca *lab.CA, chain []*x509.Certificate) {
			if len(chain) != 2 || chain[0].CheckSignatureFrom(chain[1]) != nil {
				t.Error("the intermediate is not there")
			}
			check(t, verify(chain, ca.Pool(), lab.Host, now), new(x509.UnknownAuthorityError), nil)
		},
		{Kind: settings.FailureCertificateRoot, Variant: lab.VariantSelfSigned}: func(t *testing.T, ca *lab.CA, chain []*x509.Certificate) {
			if len(chain) != 1 || chain[0].CheckSignature(chain[0].SignatureAlgorithm, chain[0].RawTBSCertificate, chain[0].Signature) != nil {
				t.Error("not signed by itself")
			}
			check(t, verify(chain, ca.Pool(), lab.Host, now), new(x509.UnknownAuthorityError), nil)
		},
	}
}

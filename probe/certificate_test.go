package probe_test

import (
	"crypto/tls"
	"crypto/x509"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailconfd/probe"
)

// TestCertificates shows each flaw of a certificate, and which of several counts.
func TestCertificates(t *testing.T) {
	t.Parallel()
	ca, strange := newPKI(t), newPKI(t)
	expiredCA := caTemplate("Expired intermediate")
	expiredCA.NotAfter = testNow.Add(-day)
	expired := sign(t, expiredCA, ca.root)
	weekAgo, tomorrow := testNow.Add(-7*day), testNow.Add(day)
	for name, test := range map[string]struct {
		host string // default: mail.example.org
		cert signer
		want []string
		says string
	}{
		"good":                             {cert: ca.leaf(t, leafOptions{}), want: []string{"verified PLAIN LOGIN"}},
		"root not sent":                    {cert: ca.leaf(t, leafOptions{chain: []signer{ca.intermediate}}), want: []string{"verified PLAIN LOGIN"}},
		"signed by the root":               {cert: ca.leaf(t, leafOptions{by: &ca.root}), want: []string{"verified PLAIN LOGIN"}},
		"wildcard":                         {cert: ca.leaf(t, leafOptions{names: []string{"*.example.org"}}), want: []string{"verified PLAIN LOGIN"}},
		"letter case":                      {cert: ca.leaf(t, leafOptions{names: []string{"MAIL.Example.ORG"}}), want: []string{"verified PLAIN LOGIN"}},
		"IPv4 address":                     {host: "192.0.2.1", cert: ca.leaf(t, leafOptions{names: []string{"192.0.2.1"}}), want: []string{"verified PLAIN LOGIN"}},
		"IPv6 address":                     {host: "[2001:db8::1]", cert: ca.leaf(t, leafOptions{names: []string{"2001:db8::1"}}), want: []string{"verified PLAIN LOGIN"}},
		"expires in 13 days":               {cert: ca.leaf(t, leafOptions{to: testNow.Add(13 * day)}), want: []string{"verified PLAIN LOGIN", "warning certificate_expires_soon"}},
		"expires in 15 days":               {cert: ca.leaf(t, leafOptions{to: testNow.Add(15 * day)}), want: []string{"verified PLAIN LOGIN"}},
		"another name":                     {cert: ca.leaf(t, leafOptions{names: []string{"www.example.org"}}), want: []string{"failed certificate_name"}, says: "www.example.org"},
		"name in the common name only":     {cert: ca.leaf(t, leafOptions{names: []string{}, commonCN: "mail.example.org"}), want: []string{"failed certificate_name"}, says: "subjectAltName"},
		"wildcard for two labels":          {host: "a.mail.example.org", cert: ca.leaf(t, leafOptions{names: []string{"*.example.org"}}), want: []string{"failed certificate_name"}},
		"IP address, name in certificate":  {host: "192.0.2.1", cert: ca.leaf(t, leafOptions{}), want: []string{"failed certificate_name"}},
		"expired":                          {cert: ca.leaf(t, leafOptions{to: weekAgo}), want: []string{"failed certificate_expired"}, says: "2026-11-17T09:00:00Z"},
		"not yet valid":                    {cert: ca.leaf(t, leafOptions{from: tomorrow}), want: []string{"failed certificate_not_yet_valid"}, says: "2026-11-25T09:00:00Z"},
		"intermediate not sent":            {cert: ca.leaf(t, leafOptions{bare: true}), want: []string{"failed certificate_chain_incomplete"}, says: "Test intermediate"},
		"another intermediate sent":        {cert: ca.leaf(t, leafOptions{chain: []signer{strange.root}}), want: []string{"failed certificate_chain_incomplete"}},
		"unknown root, sent":               {cert: strange.leaf(t, leafOptions{}), want: []string{"failed certificate_untrusted"}},
		"unknown root, not sent":           {cert: strange.leaf(t, leafOptions{chain: []signer{strange.intermediate}}), want: []string{"failed certificate_untrusted"}, says: "Test root"},
		"signed itself":                    {cert: ca.leaf(t, leafOptions{self: true, commonCN: "mail"}), want: []string{"failed certificate_untrusted"}, says: "signed itself"},
		"for clients":                      {cert: ca.leaf(t, leafOptions{usage: x509.ExtKeyUsageClientAuth}), want: []string{"failed certificate_untrusted"}},
		"intermediate expired":             {cert: ca.leaf(t, leafOptions{by: &expired}), want: []string{"failed certificate_expired"}, says: "Expired intermediate"},
		"another name and expired":         {cert: ca.leaf(t, leafOptions{names: []string{"a.example.org"}, to: weekAgo}), want: []string{"failed certificate_name"}, says: "also certificate_expired"},
		"expired and unknown root":         {cert: strange.leaf(t, leafOptions{to: weekAgo}), want: []string{"failed certificate_expired"}, says: "also certificate_untrusted"},
		"expired and intermediate missing": {cert: ca.leaf(t, leafOptions{to: weekAgo, bare: true}), want: []string{"failed certificate_expired"}, says: "also certificate_chain_incomplete"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				host := test.host
				if host == "" {
					host = "mail.example.org"
				}
				config := &tls.Config{Certificates: []tls.Certificate{test.cert.pair()}}
				o := look(t, "submissions://"+host, submissions(config), func(o *probe.Options) { o.Roots = ca.pool() })
				a := o.Addresses[0]
				if diff := cmp.Diff(test.want, summary(o)); diff != "" {
					t.Errorf("outcome (-want +got):\n%s\n%v", diff, a.Failure)
				}
				if test.says != "" && !strings.Contains(a.Failure.Detail, test.says) {
					t.Errorf("failure %v, want %q in it", a.Failure, test.says)
				}
				if a.TLS == nil || !a.TLS.NotAfter.Equal(test.cert.cert.NotAfter) || a.TLS.SPKISHA256 == "" {
					t.Errorf("TLS %+v", a.TLS)
				}
			})
		})
	}
}

func TestPrivateRoot(t *testing.T) {
	t.Parallel()
	public, private := newPKI(t), newPKI(t)
	expired := private.leaf(t, leafOptions{to: testNow.Add(-day)})
	for name, test := range map[string]struct {
		cert signer
		want []string
	}{
		"needs the extra root":   {private.leaf(t, leafOptions{}), []string{"verified PLAIN LOGIN", "warning private_root"}},
		"needs no extra root":    {public.leaf(t, leafOptions{}), []string{"verified PLAIN LOGIN"}},
		"expired":                {expired, []string{"failed certificate_expired"}},
		"intermediate is lost":   {private.leaf(t, leafOptions{bare: true}), []string{"failed certificate_chain_incomplete"}},
		"neither root helps":     {newPKI(t).leaf(t, leafOptions{}), []string{"failed certificate_untrusted"}},
		"for clients, and extra": {private.leaf(t, leafOptions{usage: x509.ExtKeyUsageClientAuth}), []string{"failed certificate_untrusted"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				config := &tls.Config{Certificates: []tls.Certificate{test.cert.pair()}}
				o := look(t, "submissions://mail.example.org", submissions(config), func(o *probe.Options) {
					o.Roots, o.Extra = public.pool(), private.pool()
				})
				if diff := cmp.Diff(test.want, summary(o)); diff != "" {
					t.Errorf("outcome (-want +got):\n%s\n%v", diff, o.Addresses[0].Failure)
				}
			})
		})
	}
}

// TestServersTLS shows what servers do with TLS beside the certificate.
func TestServersTLS(t *testing.T) {
	t.Parallel()
	ca := newPKI(t)
	ec, rsa := ca.leaf(t, leafOptions{}).pair(), ca.leaf(t, leafOptions{rsa: true}).pair()
	for name, test := range map[string]struct {
		config *tls.Config
		want   []string
	}{
		"TLS 1.3": {&tls.Config{Certificates: []tls.Certificate{ec}, MinVersion: tls.VersionTLS13}, []string{"verified PLAIN LOGIN"}},
		"TLS 1.2": {&tls.Config{Certificates: []tls.Certificate{ec}, MaxVersion: tls.VersionTLS12}, []string{"verified PLAIN LOGIN"}},
		"TLS 1.1": {&tls.Config{Certificates: []tls.Certificate{ec}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, []string{"failed tls"}},
		"RSA key exchange only": {
			&tls.Config{
				Certificates: []tls.Certificate{rsa}, MaxVersion: tls.VersionTLS12,
				CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_256_GCM_SHA384},
			},
			[]string{"verified PLAIN LOGIN", "warning legacy_tls"},
		},
		"wants a client certificate, TLS 1.3": {
			&tls.Config{Certificates: []tls.Certificate{ec}, ClientAuth: tls.RequireAnyClientCert},
			[]string{"failed client_certificate"},
		},
		"wants a client certificate, TLS 1.2": {
			&tls.Config{Certificates: []tls.Certificate{ec}, ClientAuth: tls.RequireAnyClientCert, MaxVersion: tls.VersionTLS12},
			[]string{"failed client_certificate"},
		},
		"would take a client certificate": {
			&tls.Config{Certificates: []tls.Certificate{ec}, ClientAuth: tls.RequestClientCert},
			[]string{"verified PLAIN LOGIN"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := look(t, "submissions://mail.example.org", submissions(test.config), func(o *probe.Options) { o.Roots = ca.pool() })
				if diff := cmp.Diff(test.want, summary(o)); diff != "" {
					t.Errorf("outcome (-want +got):\n%s\n%v\n%s", diff, o.Addresses[0].Failure, transcripts(o))
				}
			})
		})
	}
}

// TestServerNameIsSent checks that a server with many certificates can choose.
func TestServerNameIsSent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ca := newPKI(t)
		right, wrong := ca.leaf(t, leafOptions{}).pair(), ca.leaf(t, leafOptions{names: []string{"other.example.org"}}).pair()
		config := &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			if hello.ServerName == "mail.example.org" {
				return &right, nil
			}
			return &wrong, nil
		}}
		o := look(t, "submissions://mail.example.org", submissions(config), func(o *probe.Options) { o.Roots = ca.pool() })
		if a := o.Addresses[0]; a.Failure != nil || !slices.Equal(a.TLS.SubjectNames, []string{"mail.example.org"}) {
			t.Errorf("got %v, %+v", a.Failure, a.TLS)
		}
	})
}

// TestFactsAreBounded gives a certificate a thousand names.
func TestFactsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ca := newPKI(t)
		names := slices.Repeat([]string{strings.Repeat("a", 60) + ".example.org"}, 1000)
		config := &tls.Config{Certificates: []tls.Certificate{ca.leaf(t, leafOptions{names: names}).pair()}}
		start := time.Now()
		o := look(t, "submissions://mail.example.org", submissions(config), func(o *probe.Options) { o.Roots = ca.pool() })
		if a := o.Addresses[0]; len(a.TLS.SubjectNames) > 20 || a.Took > time.Since(start) {
			t.Errorf("%d names, took %s", len(a.TLS.SubjectNames), a.Took)
		}
	})
}

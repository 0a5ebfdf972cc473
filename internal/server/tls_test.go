package server_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mailconfd/internal/server"
)

// authority is a certificate authority for one test.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// pemPair is a certificate and its key, as they stand in files.
type pemPair struct{ cert, key []byte }

func newAuthority(t testing.TB) authority {
	t.Helper()
	ca := authority{t: t}
	ca.cert, ca.key = ca.sign(&x509.Certificate{
		Subject: pkix.Name{CommonName: "a test's authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return ca
}

// sign makes a key and a certificate for it, signed by the authority or by itself.
func (ca authority) sign(template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	ca.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		ca.t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	if template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<60)); err != nil {
		ca.t.Fatal(err)
	}
	parent, signer := ca.cert, ca.key
	if parent == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		ca.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		ca.t.Fatal(err)
	}
	return cert, key
}

func (ca authority) issue(names ...string) pemPair {
	ca.t.Helper()
	cert, key := ca.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "host"}, DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		ca.t.Fatal(err)
	}
	return pemPair{
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}
}

func (ca authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// write puts a pair into files, with a time that no earlier write had.
func (p pemPair) write(t testing.TB, k server.KeyPair, at time.Time) {
	t.Helper()
	for name, content := range map[string][]byte{k.CertFile: p.cert, k.KeyFile: p.key} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

func files(t testing.TB) server.KeyPair {
	dir := t.TempDir()
	return server.KeyPair{CertFile: filepath.Join(dir, "fullchain.pem"), KeyFile: filepath.Join(dir, "privkey.pem")}
}

func loadPair(t testing.TB, p pemPair) (*server.Certificates, server.KeyPair) {
	t.Helper()
	k := files(t)
	p.write(t, k, time.Now())
	c, err := server.LoadCertificates(slog.New(slog.DiscardHandler), time.Now, k)
	if err != nil {
		t.Fatal(err)
	}
	return c, k
}

// start serves at doors on free ports until the test ends, and returns their addresses.
func start(t testing.TB, s *server.Server, doors ...server.Door) []string {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var listeners []server.Listener
	var addresses []string
	for _, d := range doors {
		l, err := server.Listen(ctx, d, "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners = append(listeners, l)
		addresses = append(addresses, l.Addr().String())
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, listeners...) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return addresses
}

// client asks one address, whatever the name in the URL.
func client(t testing.TB, address string, config *tls.Config) *http.Client {
	transport := &http.Transport{
		TLSClientConfig: config, ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, address)
		},
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport: transport, Timeout: 20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func get(t testing.TB, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	r, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r, string(body)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	first, second := files(t), files(t)
	ca.issue("autoconfig.example.org", "Autodiscover.example.org").write(t, first, time.Now())
	ca.issue("*.customers.example", "autodiscover.xn--bcher-kva.example").write(t, second, time.Now())
	certificates, err := server.LoadCertificates(slog.New(slog.DiscardHandler), time.Now, first, second)
	if err != nil {
		t.Fatal(err)
	}
	s := newServer(t, func(o *server.Options) { o.Certificates = certificates })
	addresses := start(t, s, server.Secure, server.Redirect)
	config := &tls.Config{RootCAs: ca.pool(), MinVersion: tls.VersionTLS12}
	secure := client(t, addresses[0], config)

	for _, host := range []string{"autoconfig.example.org", "autodiscover.example.org", "shop.customers.example", "autodiscover.xn--bcher-kva.example"} {
		r, body := get(t, secure, "https://"+host+main)
		if r.StatusCode != 200 || r.ProtoMajor != 2 || r.Header.Get("Server") != "" || !strings.Contains(body, "<clientConfig") {
			t.Errorf("%s: %d, HTTP/%d, %v", host, r.StatusCode, r.ProtoMajor, r.Header)
		}
	}
	r, err := secure.Post("https://autodiscover.example.org"+discover, "text/xml", strings.NewReader(outlook("jane@example.org")))
	if err != nil || r.StatusCode != 200 {
		t.Errorf("POST over HTTP/2: %v, %v", r, err)
	} else {
		_ = r.Body.Close()
	}
	redirect, _ := get(t, client(t, addresses[1], nil), "http://autoconfig.example.org"+main)
	if redirect.StatusCode != 302 || redirect.Header.Get("Location") != "https://autoconfig.example.org"+main {
		t.Errorf("plain http: %d %s", redirect.StatusCode, redirect.Header.Get("Location"))
	}

	for _, c := range []struct {
		name, sni, want string
		most            uint16
	}{
		{"a name that no certificate is for", "unknown.example", "unrecognized name", tls.VersionTLS13},
		{"the same in TLS 1.2", "unknown.example", "unrecognized name", tls.VersionTLS12},
		{"two labels under a wildcard", "a.b.customers.example", "unrecognized name", tls.VersionTLS13},
		{"the wildcard's parent", "customers.example", "unrecognized name", tls.VersionTLS13},
		{"a name that is none", "a_b..c", "unrecognized name", tls.VersionTLS13},
		{"TLS 1.1", "autoconfig.example.org", "protocol version", tls.VersionTLS11},
		{"no name", "", "", tls.VersionTLS13},
	} {
		err := handshake(addresses[0], &tls.Config{ServerName: c.sni, InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: c.most})
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

func handshake(address string, config *tls.Config) error {
	c, err := (&tls.Dialer{NetDialer: &net.Dialer{Timeout: 10 * time.Second}, Config: config}).DialContext(context.Background(), "tcp", address)
	if err == nil {
		_ = c.Close()
	}
	return err
}

// TestReload changes certificate files under the eyes of a clock that the test sets.
func TestReload(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	old, renewed := ca.issue("old.example.org"), ca.issue("new.example.org", "old.example.org")
	k := files(t)
	written := time.Now()
	old.write(t, k, written)
	var clock atomic.Int64
	var log bytes.Buffer
	c, err := server.LoadCertificates(slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return time.Unix(clock.Load(), 0) }, k)
	if err != nil {
		t.Fatal(err)
	}
	check := func(step string, holdsNew bool, lines int) {
		t.Helper()
		if got := c.Holds("new.example.org"); got != holdsNew || !c.Holds("old.example.org") {
			t.Errorf("%s: holds new %v, want %v; holds old %v", step, got, holdsNew, c.Holds("old.example.org"))
		}
		if got := strings.Count(log.String(), "\n"); got != lines {
			t.Errorf("%s: the log has %d lines, want %d:\n%s", step, got, lines, log.String())
		}
	}
	check("at start", false, 0)

	pemPair{renewed.cert, old.key}.write(t, k, written.Add(time.Second)) // half way through a renewal
	check("within five seconds", false, 0)
	clock.Add(6)
	check("the key does not fit", false, 1)
	clock.Add(6)
	check("still does not fit", false, 1)

	renewed.write(t, k, written.Add(2*time.Second))
	clock.Add(6)
	check("renewed", true, 2)
	clock.Add(6)
	check("unchanged", true, 2)

	if err := os.Remove(k.CertFile); err != nil {
		t.Fatal(err)
	}
	clock.Add(6)
	check("file gone", true, 3)
	clock.Add(6)
	check("still gone", true, 3)
}

func TestLoadCertificatesErrors(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	one, other, nameless := ca.issue("a.example.org"), ca.issue("b.example.org"), ca.issue()
	for _, c := range []struct {
		name string
		pair pemPair
		want string
	}{
		{"another key", pemPair{one.cert, other.key}, "private key does not match public key"},
		{"no PEM", pemPair{[]byte("x"), one.key}, "fullchain.pem"},
		{"no names", nameless, "no host name"},
	} {
		k := files(t)
		c.pair.write(t, k, time.Now())
		if _, err := server.LoadCertificates(slog.Default(), time.Now, k); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := server.LoadCertificates(slog.Default(), time.Now, files(t)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing files: got %v", err)
	}
	if _, err := server.LoadCertificates(slog.Default(), time.Now); err == nil {
		t.Error("no pair at all: no error")
	}
	var none *server.Certificates
	if none.Holds("a.example.org") {
		t.Error("nil holds a certificate")
	}
}

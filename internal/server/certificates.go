package server

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailconfd/settings"
)

// recheck is how long a look at the certificate files holds.
const recheck = 5 * time.Second

// KeyPair names the files of a certificate: PEM, the whole chain with the host's
// certificate first, and its private key.
type KeyPair struct{ CertFile, KeyFile string }

// Certificates are the certificates of the HTTPS listener. It looks at their files
// every few seconds, while there are handshakes, and reads those that have changed; a
// new pair that cannot be used leaves the old one in place. It is safe for concurrent
// use. A nil *Certificates holds none.
type Certificates struct {
	log     *slog.Logger
	now     func() time.Time
	checked atomic.Int64 // when the files were last looked at, in nanoseconds
	reading sync.Mutex   // guards pairs
	pairs   []*pair
	current atomic.Pointer[index]
}

// pair is a certificate and the state of its files when they were last read.
type pair struct {
	KeyPair
	seen        stamp
	certificate *tls.Certificate
}

// stamp changes when a file does; a missing file has the zero stamp.
type stamp struct{ certTime, certSize, keyTime, keySize int64 }

// index finds a certificate by name. It is never changed.
type index struct {
	byName map[string][]*tls.Certificate // lower-case names, also such as *.example.org
	first  *tls.Certificate
}

// LoadCertificates reads the pairs; each must be usable. now is the clock, time.Now.
func LoadCertificates(log *slog.Logger, now func() time.Time, pairs ...KeyPair) (*Certificates, error) {
	if len(pairs) == 0 {
		return nil, errors.New("tls.certificates: want at least one pair of cert_file and key_file")
	}
	c := &Certificates{log: log, now: now}
	c.checked.Store(now().UnixNano())
	for _, k := range pairs {
		p := &pair{KeyPair: k, seen: k.stamp()}
		if err := p.load(); err != nil {
			return nil, fmt.Errorf("tls.certificates: %w", err)
		}
		c.pairs = append(c.pairs, p)
	}
	c.index()
	return c, nil
}

// maxPEM is how large a file of certificates may be; a chain has some ten kilobytes.
const maxPEM = 1 << 20

// load reads the files of a pair.
func (p *pair) load() error {
	for _, name := range []string{p.CertFile, p.KeyFile} {
		// To open a pipe would wait for whoever writes to it.
		if info, err := os.Stat(name); err != nil {
			return err
		} else if !info.Mode().IsRegular() || info.Size() > maxPEM {
			return fmt.Errorf("%s: want a PEM file of at most %d bytes", name, maxPEM)
		}
	}
	certificate, err := tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
	if err != nil {
		return fmt.Errorf("cert_file %s with key_file %s: %w", p.CertFile, p.KeyFile, err)
	}
	if len(certificate.Leaf.DNSNames) == 0 {
		return fmt.Errorf("cert_file %s: the certificate holds no host name (subjectAltName)", p.CertFile)
	}
	p.certificate = &certificate
	return nil
}

func (k KeyPair) stamp() stamp {
	cert, err := os.Stat(k.CertFile)
	if err != nil {
		return stamp{}
	}
	key, err := os.Stat(k.KeyFile)
	if err != nil {
		return stamp{}
	}
	return stamp{cert.ModTime().UnixNano(), cert.Size(), key.ModTime().UnixNano(), key.Size()}
}

// index makes the certificates findable.
func (c *Certificates) index() {
	i := &index{byName: map[string][]*tls.Certificate{}, first: c.pairs[0].certificate}
	for _, p := range c.pairs {
		for _, name := range p.certificate.Leaf.DNSNames {
			name = strings.ToLower(name)
			i.byName[name] = append(i.byName[name], p.certificate)
		}
	}
	c.current.Store(i)
}

// refresh reads the files that have changed since they were last read. One caller does
// the work; the others go on with what there is.
func (c *Certificates) refresh() {
	now := c.now().UnixNano()
	if now-c.checked.Load() < int64(recheck) || !c.reading.TryLock() {
		return
	}
	defer c.reading.Unlock()
	c.checked.Store(now)
	changed := false
	for _, p := range c.pairs {
		seen := p.KeyPair.stamp()
		if seen == p.seen {
			continue
		}
		p.seen = seen // also after an error: it is told once
		if err := p.load(); err != nil {
			c.log.Error("new certificate not taken; the old one stays in use", "error", err, "not_after", p.certificate.Leaf.NotAfter)
			continue
		}
		c.log.Info("certificate read again", "cert_file", p.CertFile, "not_after", p.certificate.Leaf.NotAfter)
		changed = true
	}
	if changed {
		c.index()
	}
}

// find returns the certificates for a canonical name: those that name it, else those
// for all names beside it (RFC 9525 section 6.3).
func (c *Certificates) find(name string) []*tls.Certificate {
	i := c.current.Load()
	if exact := i.byName[name]; exact != nil {
		return exact
	}
	if _, parent, ok := strings.Cut(name, "."); ok {
		return i.byName["*."+parent]
	}
	return nil
}

// Holds tells whether there is a certificate for a name, canonical as
// settings.ParseDomain gives it.
func (c *Certificates) Holds(name string) bool {
	if c == nil || name == "" {
		return false
	}
	c.refresh()
	return c.find(name) != nil
}

// GetCertificate serves as tls.Config.GetCertificate, in a Config without certificates
// of its own: for a name that no certificate is for it returns nothing, and the
// handshake ends with the alert unrecognized_name. With another name's certificate a
// client would warn its user; without any it goes on to its next source. A client that
// names no host gets the first certificate: a health check by IP address.
func (c *Certificates) GetCertificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.refresh()
	if hello.ServerName == "" {
		return c.current.Load().first, nil
	}
	name, err := settings.ParseHost(hello.ServerName)
	if err != nil || name != strings.ToLower(hello.ServerName) { // RFC 6066 section 3: A-labels, no final dot
		return nil, nil
	}
	var usable *tls.Certificate
	for _, certificate := range c.find(name) {
		if hello.SupportsCertificate(certificate) == nil {
			return certificate, nil
		}
		usable = cmp.Or(usable, certificate)
	}
	return usable, nil
}

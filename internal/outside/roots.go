package outside

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"

	// The roots that Mozilla trusts, for a system without any, such as an image from
	// scratch. They register themselves with crypto/x509 and are used only there.
	_ "golang.org/x/crypto/x509roots/fallback"
)

// maxCAFile is the largest file of certificates that is read; the whole of Mozilla's
// list has 220 KB.
const maxCAFile = 4 << 20

// Roots returns the root certificates to believe: the system's, or those built in
// where it has none, and apart from them the ones in the PEM file. Clients lack the
// latter, so a server that needs them deserves a warning. Without a file extra is
// nil. The error says what is wrong with the file.
func Roots(caFile string) (roots, extra *x509.CertPool, err error) {
	if roots, err = x509.SystemCertPool(); err != nil {
		return nil, nil, fmt.Errorf("read the system's root certificates: %w", err)
	}
	if caFile == "" {
		return roots, nil, nil
	}
	text, err := readCAFile(caFile)
	if err != nil {
		return nil, nil, fmt.Errorf("read root certificates: %w", err)
	}
	if extra, err = parseCertificates(text); err != nil {
		return nil, nil, fmt.Errorf("read root certificates from %s: %w", caFile, err)
	}
	return roots, extra, nil
}

func readCAFile(name string) ([]byte, error) {
	// To open a pipe would wait for whoever writes to it.
	if info, err := os.Stat(name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no file of certificates", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxCAFile+1))
	if err == nil && len(text) > maxCAFile {
		err = fmt.Errorf("%s is larger than %d bytes: not a file of certificates", name, maxCAFile)
	}
	return text, err
}

// parseCertificates reads every CERTIFICATE block. Unlike AppendCertsFromPEM it does not
// pass over one that is broken.
func parseCertificates(text []byte) (*x509.CertPool, error) {
	pool, count := x509.NewCertPool(), 0
	for rest := text; ; {
		block, after := pem.Decode(rest)
		if block == nil {
			break
		}
		rest = after
		if block.Type != "CERTIFICATE" {
			continue
		}
		count++
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in it: %w", count, err)
		}
		pool.AddCert(cert)
	}
	switch {
	case count > 0:
		return pool, nil
	case bytes.Contains(text, []byte("PRIVATE KEY-----")):
		return nil, fmt.Errorf("it holds a private key and no certificate; give the certificate of the authority")
	}
	return nil, fmt.Errorf("no certificate in it; want PEM, -----BEGIN CERTIFICATE----- and so on")
}

//go:build real

package real

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// deploy has mailconfd serve these domains as a provider would: on ports 80 and 443 of our machine, under the names
// that clients ask and with certificates for them. The DNS server knows those names and the SRV records that mailconfd
// prints, and no other name, so that the host of the ISPDB does not exist. deploy returns when all is published.
func deploy(t *testing.T, w *world, layouts []layout) {
	t.Helper()
	file := deploymentFile(t, w, layouts)
	zone := zoneFile("")
	for _, l := range layouts {
		for _, host := range l.hosts() {
			zone += host + ". IN A " + clientIPv4 + "\n"
		}
		zone += string(run(t, 0, "records", l.domain, "--config", file))
	}
	w.names.load(t, zone)
	d := startDaemon(t, "mailconfd", w.dir, exec.Command(program(t), "serve", "--config", file))
	for _, l := range layouts {
		d.eventually(t, startWithin, "publish "+l.name, func() error { return l.published(w) })
	}
}

// hosts are the names that clients ask for the settings of the domain.
func (l layout) hosts() []string {
	return []string{l.domain, "autoconfig." + l.domain, "autodiscover." + l.domain}
}

// deploymentFile writes mailconfd's configuration.
func deploymentFile(t *testing.T, w *world, layouts []layout) string {
	t.Helper()
	var certificates, providers, domains strings.Builder
	for _, l := range layouts {
		for _, host := range l.hosts() {
			file := w.authority.issue(t, host).file
			fmt.Fprintf(&certificates, "    - {cert_file: %q, key_file: %q}\n", file, file)
		}
		fmt.Fprintf(&providers, "  - {name: %q, services: [%s], username: %s, accepts_address: false}\n",
			l.domain, strings.Join(l.services, ", "), l.username)
		fmt.Fprintf(&domains, "  - {name: %q, provider: %q}\n", l.domain, l.domain)
	}
	file := filepath.Join(w.dir, "mailconfd.yaml")
	writeFile(t, file, fmt.Sprintf(`
admin_listen: %q
resolver: %q
tls:
  mode: files
  listen: [%q]
  http_listen: [%q]
  certificates:
%sprobe:
  ca_file: %q
  helo: client.example.test
providers:
%sdomains:
%s`, adminAddress, w.resolver, net.JoinHostPort(clientIPv4, "443"), net.JoinHostPort(clientIPv4, "80"),
		certificates.String(), w.authority.rootFile, providers.String(), domains.String()), 0o644)
	return file
}

// published complains until autoconfig names each of the layout's services.
func (l layout) published(w *world) error {
	document, err := fetchSecurely(w, "https://autoconfig."+l.domain+"/mail/config-v1.1.xml")
	if err != nil {
		return err
	}
	servers, err := readAutoconfig(document)
	if err != nil {
		return fmt.Errorf("%w in\n%s", err, document)
	}
	if len(servers) != len(l.services) {
		return fmt.Errorf("%d servers, want %d", len(servers), len(l.services))
	}
	return nil
}

// fetchSecurely gets a document from our machine, whatever host the address names, as a client that trusts the
// tests' authority.
func fetchSecurely(w *world, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	trusted := x509.NewCertPool()
	trusted.AddCert(w.authority.root)
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: trusted},
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort(clientIPv4, "443"))
		},
	}}
	asked, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(asked)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("GET %s: %s: %s", address, response.Status, body)
	}
	return body, nil
}

//go:build real

package real

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// web is how a name for settings is reached.
type web int

const (
	webWhole     web = iota // https with a certificate for it, and http
	webUntrusted            // https without a certificate for it, and http
	webPlain                // http; nobody listens on 443
	webSilent               // connections are accepted, and then nothing comes
)

// Where they are. All are addresses of our machine.
const (
	plainWeb  = "198.51.100.2"
	silentWeb = "198.51.100.3"
)

// deployment is a mail domain as one meets it: the services that its provider has, the names in its zone, and how
// those are reached. Its mail exchanger is itself, unless its records say otherwise. All are served by one mailconfd.
type deployment struct {
	name     string
	domain   string
	address  string         // "" is jane at the domain
	services []string       // of the provider; none: all of mail.example.test, as mailconfd finds them
	login    string         // "" is address; or localpart
	names    map[string]web // nil: autoconfig., autodiscover. and the domain itself, whole
	records  string         // in place of the MX, relative to the domain
	mx       string         // mailconfd knows the domain by this MX, not by its name
}

// user is the address that is typed.
func (d deployment) user() string {
	if d.address != "" {
		return d.address
	}
	return "jane@" + d.domain
}

// webNames are the names under which clients ask for the settings.
func (d deployment) webNames() map[string]web {
	if d.names != nil {
		return d.names
	}
	return map[string]web{d.domain: webWhole, "autoconfig." + d.domain: webWhole, "autodiscover." + d.domain: webWhole}
}

// zone is the domain's part of what the DNS server knows. Every name in it is a full one.
func (d deployment) zone() string {
	var zone strings.Builder
	records := d.records
	if records == "" {
		records = "@ IN MX 10 mx\nmx IN A " + mailIPv4 + "\n"
	}
	fmt.Fprintf(&zone, "$ORIGIN %s.\n%s\n", d.domain, records)
	for name, w := range d.webNames() {
		address := map[web]string{webWhole: clientIPv4, webUntrusted: clientIPv4, webPlain: plainWeb, webSilent: silentWeb}[w]
		fmt.Fprintf(&zone, "%s. IN A %s\n", name, address)
	}
	return zone.String()
}

// serveDeployments starts mailconfd with certificates on the real ports, and returns when it publishes every domain.
func serveDeployments(t *testing.T, w *world, deployments []deployment) *daemon {
	t.Helper()
	for _, address := range []string{plainWeb, silentWeb} {
		ip(t, "addr", "add", address+"/24", "dev", "client0")
	}
	for _, port := range []string{"80", "443"} {
		beSilent(t, net.JoinHostPort(silentWeb, port))
	}
	zone := zoneFile("")
	for _, d := range deployments {
		zone += d.zone()
	}
	w.names.load(t, zone)
	file := filepath.Join(w.dir, "deployments.yaml")
	writeFile(t, file, deploymentsConfig(t, w, deployments), 0o600)
	mailconfd := startDaemon(t, "mailconfd", w.dir, exec.Command(program(t), "serve", "--config", file))
	for _, d := range deployments {
		mailconfd.eventually(t, settleWithin, "publish "+d.domain, func() error {
			_, err := served(d.user())
			return err
		})
	}
	return mailconfd
}

// served is what mailconfd says of an address, whatever the names of its domain: it is asked by a name for which it
// has no certificate, so plain http will do.
func served(address string) ([]setting, error) {
	document, err := fetch(request{
		method: http.MethodGet,
		path:   "/mail/config-v1.1.xml?emailaddress=" + url.QueryEscape(address),
		host:   "localhost.example.test",
	})
	if err != nil {
		return nil, err
	}
	return readAutoconfig(document)
}

// beSilent accepts connections, as the kernel does for any listener, and never reads from them.
func beSilent(t *testing.T, address string) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
}

// deploymentsConfig is mailconfd's configuration: a provider for each domain.
func deploymentsConfig(t *testing.T, w *world, deployments []deployment) string {
	t.Helper()
	var certificates, providers, domains strings.Builder
	for _, d := range deployments {
		for name, reached := range d.webNames() {
			if reached == webWhole {
				file := w.authority.issue(t, name).file
				fmt.Fprintf(&certificates, "    - {cert_file: %q, key_file: %q}\n", file, file)
			}
		}
		offers := fmt.Sprintf("hosts: [%s]", mailName)
		if d.services != nil {
			offers = fmt.Sprintf("services: [%s]", strings.Join(d.services, ", "))
		}
		login := d.login
		if login == "" {
			login = "address"
		}
		fmt.Fprintf(&providers, "  - {name: %q, %s, username: %s}\n", d.domain, offers, login)
		known := fmt.Sprintf("name: %q", d.domain)
		if d.mx != "" {
			known = fmt.Sprintf("mx: [%q]", d.mx)
		}
		fmt.Fprintf(&domains, "  - {%s, provider: %q}\n", known, d.domain)
	}
	return fmt.Sprintf(`
listen: [] # unused; its default would be in the way of http_listen
admin_listen: %q
resolver: %q
canonical_host: autodiscover.%s
tls:
  mode: files
  listen: ["%[4]s:443"]
  http_listen: ["%[4]s:80", "%[5]s:80", %[6]q]
  certificates:
%[7]sprobe:
  ca_file: %[8]q
  helo: client.example.test
providers:
%[9]sdomains:
%[10]s`, adminAddress, w.resolver, domain, clientIPv4, plainWeb, publicAddress,
		certificates.String(), w.authority.rootFile, providers.String(), domains.String())
}

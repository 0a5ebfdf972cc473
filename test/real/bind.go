//go:build real

package real

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// startBIND runs BIND 9 as the primary of example.test until the test ends. It keeps what changes in a journal beside
// the zone file.
func startBIND(t *testing.T, address, zone string) *primary {
	t.Helper()
	p := newPrimary(t, "bind", address, zone)
	p.configureBIND(t, `zone "example.test" { type primary; file "example.test.zone"; notify no;
  update-policy { grant mailconfd zonesub SRV TXT CNAME A AAAA TLSA; grant person zonesub ANY; };
  allow-transfer { key person; }; };
`)
	p.start(t)
	return p
}

// startSigningBIND is startBIND for a zone that BIND signs by itself, as the options say; the policy nsec3 is there. More
// zones are in the files of their names, empty.
func startSigningBIND(t *testing.T, address, zone, options string, more ...string) *primary {
	t.Helper()
	p := newPrimary(t, "bind", address, zone)
	writeFile(t, filepath.Join(p.dir, "test.zone"), "$TTL 60\n@ IN SOA ns.test. hostmaster.test. 1 3600 600 86400 60\n@ IN NS ns.test.\nns.test. IN A 127.0.0.4\n", 0o644)
	p.configureBIND(t, fmt.Sprintf(`dnssec-policy nsec3 { keys { csk lifetime unlimited algorithm ecdsap256sha256; }; nsec3param iterations 0 optout no salt-length 0; };
zone "example.test" { type primary; file "example.test.zone"; notify no; %s
  update-policy { grant mailconfd zonesub SRV TXT CNAME A AAAA TLSA; grant person zonesub ANY; };
  allow-transfer { key person; }; };
%s
`, options, strings.Join(more, "\n")))
	p.start(t)
	return p
}

// startSecondary runs BIND 9 as a secondary of another server. It passes updates on when it is told to, and hears of
// changes only then.
func startSecondary(t *testing.T, address, primaryAddress string, forwards bool) *primary {
	t.Helper()
	p := newPrimary(t, "bind", address, "")
	host, port, _ := strings.Cut(primaryAddress, ":")
	forwarding := "none;"
	if forwards {
		forwarding = "any;"
	}
	p.configureBIND(t, fmt.Sprintf(`zone "example.test" { type secondary; file "copy"; notify no; allow-update-forwarding { %s };
  primaries { %s port %s key person; }; allow-transfer { key person; }; };
`, forwarding, host, port))
	p.start(t)
	return p
}

func (p *primary) configureBIND(t *testing.T, zones string) {
	t.Helper()
	p.configureBINDAs(t, "recursion no; dnssec-validation no;", zones)
}

// configureBINDAs is configureBIND with other options.
func (p *primary) configureBINDAs(t *testing.T, options, zones string) {
	t.Helper()
	host, port, _ := strings.Cut(p.address, ":")
	var config strings.Builder
	fmt.Fprintf(&config, `options { directory %q; pid-file none; session-keyfile none; listen-on port %s { %s; }; listen-on-v6 { none; };
  %s allow-query { any; }; notify-delay 0; serial-query-rate 1000; startup-notify-rate 1000; };
controls { };
`, p.dir, port, host, options)
	for _, key := range []string{"mailconfd", "person", "reader"} {
		fmt.Fprintf(&config, "key %q { algorithm hmac-sha256; secret %q; };\n", key, secretOf(key))
	}
	config.WriteString(zones)
	file := filepath.Join(p.dir, "named.conf")
	writeFile(t, file, config.String(), 0o644)
	p.own(t)
	p.command = func() *exec.Cmd { return unprivileged("named", "-g", "-n", "1", "-c", file) }
}

//go:build real

package real

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"mailconfd/internal/publish"
)

// unsigned returns the records of a signed zone without those that a server makes anew whenever it signs.
func unsigned(lines []string) []string {
	var left []string
	for _, line := range lines {
		switch strings.Fields(line)[3] {
		case "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "TYPE65534": // the last is how BIND remembers that it signs
		default:
			left = append(left, line)
		}
	}
	return left
}

// awaitSigned waits until the server has signed every set of the zone that it first had, and returns the zone.
func (p *primary) awaitSigned(t *testing.T) []string {
	t.Helper()
	var all []string
	p.daemon.eventually(t, settleWithin, "sign the zone", func() error {
		all = p.records(t)
		for _, line := range unsigned(all) {
			f := strings.Fields(line)
			if !strings.Contains(strings.Join(all, "\n"), fmt.Sprintf("%s %s IN RRSIG %s ", f[0], f[1], f[3])) {
				return fmt.Errorf("no signature of %s %s", f[0], f[3])
			}
		}
		return nil
	})
	return all
}

// TestSignedZone publishes in zones that the server signs itself: as they change, beside an unsigned copy, with NSEC and
// with NSEC3. From an empty zone to a set, to another, and back; what others wrote is there all the time as it was.
func TestSignedZone(t *testing.T) {
	requireOwnNamespace(t)
	for name, start := range map[string]func(*testing.T) *primary{
		"bind, as it changes": func(t *testing.T) *primary {
			return startSigningBIND(t, bindAddress, foreignRecords, "inline-signing no; dnssec-policy default;")
		},
		"bind, inline and NSEC3": func(t *testing.T) *primary {
			return startSigningBIND(t, bindAddress, foreignRecords, "inline-signing yes; dnssec-policy nsec3;")
		},
		"knot": func(t *testing.T) *primary { return startKnot(t, knotAddress, foreignRecords, "dnssec-signing: on") },
	} {
		t.Run(name, func(t *testing.T) {
			p := start(t)
			before := unsigned(p.awaitSigned(t))
			z := p.zoneOf(t, "mailconfd")
			holds := func(step string, records ...string) {
				t.Helper()
				if diff := cmp.Diff(sorted(append(records, before...)), unsigned(rest(p.awaitSigned(t)))); diff != "" {
					t.Fatalf("%s (-want +got):\n%s", step, diff)
				}
			}
			publishes := func(step string, job publish.Job, records ...string) {
				t.Helper()
				plan, err := z.Publish(t.Context(), job)
				if err != nil || len(plan.Conflicts()) > 0 || plan.Empty() {
					t.Fatalf("%s: %v, conflicts %v, %d to add", step, err, plan.Conflicts(), len(plan.Add))
				}
				if plan, err = z.Publish(t.Context(), job); err != nil || !plan.Empty() {
					t.Fatalf("%s, a second time: %v, %v", step, err, plan.Lines())
				}
				holds(step, records...)
			}
			const submission, text = "_submission._tcp.example.test. 3600 IN SRV 0 1 587 mail.example.test.", `example.test. 300 IN TXT "mailconf=https://www.example.test/"`
			moved := strings.Replace(testIMAPS, "993 mail", "1993 www", 1)
			const address, aliased = "autoconfig.example.test. 3600 IN A 192.0.2.7", "_submission._tcp.example.test. 3600 IN CNAME _submission._tcp.hoster.test."
			publishes("from nothing", wanted(t, testIMAPS, testAlias, submission, text), testIMAPS, testAlias, submission, text)
			publishes("changed", wanted(t, moved, address, aliased), moved, address, aliased)
			publishes("and again", wanted(t, testIMAPS, testAlias, submission), testIMAPS, testAlias, submission)

			// Somebody else's address, with its signatures, is in the way, and can be taken over.
			if err := p.nsupdate("update delete autoconfig.example.test. CNAME\nupdate add autoconfig.example.test. 300 A 192.0.2.80"); err != nil {
				t.Fatal(err)
			}
			p.daemon.eventually(t, settleWithin, "show the address", func() error {
				if got := dig(t, p, "autoconfig.example.test", "A"); got != "192.0.2.80" {
					return fmt.Errorf("%q", got)
				}
				return nil
			})
			job := wanted(t, testIMAPS, testAlias, submission)
			if plan, err := z.Publish(t.Context(), job); err != nil || len(plan.Conflicts()) != 1 || !plan.Empty() {
				t.Errorf("%v, conflicts %v", err, plan.Conflicts())
			}
			holds("in the way", testIMAPS, submission, "autoconfig.example.test. 300 IN A 192.0.2.80")
			job.Mode = publish.Adopt
			publishes("taken over", job, testIMAPS, testAlias, submission)
			if _, err := z.Publish(t.Context(), publish.Job{Mode: publish.TakeBack}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before, unsigned(p.awaitSigned(t))); diff != "" {
				t.Errorf("taken back (-before +after):\n%s", diff)
			}
		})
	}
}

// TestSignedZoneIsSound lets the program publish in a zone that BIND signs, and ask for drift by a resolver that validates.
func TestSignedZoneIsSound(t *testing.T) {
	requireOwnNamespace(t)
	const server, validating = "127.0.0.4:53", "127.0.0.5:53" // records --check asks name servers at port 53
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("53"), 0o644); err != nil {
		t.Fatal(err) // it is the namespace's own
	}
	for _, address := range []string{"127.0.0.4", "127.0.0.5"} { // BIND listens on what an interface has
		ip(t, "addr", "add", address+"/32", "dev", "lo")
		t.Cleanup(func() { ip(t, "addr", "del", address+"/32", "dev", "lo") })
	}
	const zone = "$TTL 60\n@ IN SOA ns hostmaster 1 3600 600 86400 60\n@ IN NS ns\nns IN A 127.0.0.4\nmail IN A 127.0.0.4\nwww IN A 198.51.100.80\n"
	p := startSigningBIND(t, server, zone, "inline-signing no; dnssec-policy default;", `zone "test" { type primary; file "test.zone"; update-policy { grant person zonesub ANY; }; };`)
	p.awaitSigned(t)
	answer, _, err := (&dns.Client{Net: "tcp", Timeout: 5 * time.Second}).Exchange(new(dns.Msg).SetQuestion("example.test.", dns.TypeDNSKEY), p.address)
	if err != nil || len(answer.Answer) == 0 {
		t.Fatalf("DNSKEY: %v, %v", answer, err)
	}
	key := answer.Answer[0].(*dns.DNSKEY)
	parent := new(dns.Msg).SetUpdate("test.")
	parent.Insert([]dns.RR{record(t, "example.test. 60 IN NS ns.example.test."), record(t, "ns.example.test. 60 IN A 127.0.0.4"), key.ToDS(dns.SHA256)})
	if answer := p.send(t, "person", time.Now(), parent); answer.Rcode != dns.RcodeSuccess {
		t.Fatalf("DS: %s", dns.RcodeToString[answer.Rcode])
	}
	resolver := newPrimary(t, "bind", validating, "")
	resolver.configureBINDAs(t, "recursion yes; dnssec-validation yes; allow-recursion { any; };", fmt.Sprintf(
		"trust-anchors { example.test. static-key %d %d %d %q; };\nzone \"test\" { type static-stub; server-addresses { 127.0.0.4; }; };\n",
		key.Flags, key.Protocol, key.Algorithm, key.PublicKey))
	resolver.start(t)

	dir := publicDir(t)
	secret, file := filepath.Join(dir, "tsig"), filepath.Join(dir, "mailconfd.yaml")
	writeFile(t, secret, secretOf("mailconfd")+"\n", 0o600)
	writeFile(t, file, fmt.Sprintf(`
canonical_host: www.example.test
resolver: %q
providers:
  - name: main
    trusted: [{service: "submission://mail.example.test", reason: "a test of DNS"}, {service: "imaps://mail.example.test", reason: "a test of DNS"}]
domains: [{name: example.test, provider: main}]
publish: [{zone: example.test, server: %q, tsig_name: mailconfd, tsig_secret_file: %q, addresses: true}]
`, validating, server, secret), 0o644)
	if out := string(run(t, 1, "records", "--check", "--config", file)); strings.Contains(out, "unsigned") {
		t.Errorf("before:\n%s", out)
	}
	out := string(run(t, 0, "publish", "--config", file))
	if !strings.Contains(out, "+ autoconfig.example.test. 3600 IN A 198.51.100.80\n") {
		t.Errorf("published:\n%s", out)
	}
	resolver.kill() // it remembers what was not there
	resolver.start(t)
	out = string(run(t, 0, "records", "--check", "--config", file))
	for _, finding := range []string{"unsigned", "not_validated", "bogus", "fault"} {
		if strings.Contains(out, finding) {
			t.Errorf("%s:\n%s", finding, out)
		}
	}
	// delv validates by itself, from the key.
	anchor := filepath.Join(dir, "anchor")
	writeFile(t, anchor, fmt.Sprintf("trust-anchors { example.test. static-key %d %d %d %q; };\n", key.Flags, key.Protocol, key.Algorithm, key.PublicKey), 0o644)
	validated, err := exec.Command("delv", "@127.0.0.4", "-a", anchor, "+root=example.test", "_imaps._tcp.example.test", "SRV").CombinedOutput()
	if err != nil || !strings.Contains(string(validated), "; fully validated") {
		t.Errorf("delv: %v\n%s", err, validated)
	}
	run(t, 0, "unpublish", "--config", file)
}

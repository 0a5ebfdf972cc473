//go:build real

package real

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// zoneGrace is how long a service stays in the zone after its last success in TestPublishZone.
const zoneGrace = 12 * time.Second

// publishConfig is configFile with a zone to keep, and more lines about it.
func publishConfig(t *testing.T, w *world, server string, more ...string) string {
	t.Helper()
	secret := filepath.Join(w.dir, "tsig")
	writeFile(t, secret, secretOf("mailconfd")+"\n", 0o600)
	plain, err := os.ReadFile(configFile(t, w))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(w.dir, "publish.yaml")
	writeFile(t, file, strings.Replace(string(plain), "policy:\n", fmt.Sprintf("policy:\n  max_age: 5s\n  grace: %s\n", zoneGrace), 1)+fmt.Sprintf(`
canonical_host: www.example.test
publish:
  - zone: example.test
    server: %q
    tsig_name: mailconfd
    tsig_secret_file: %q
    interval: 1s
%s`, server, secret, strings.Join(more, "")), 0o644)
	return file
}

// TestPublishZone is the promise of publishing, at BIND and with real mail servers: one command fills the zone, dig
// shows the set, a client finds the servers; a port that is taken away leaves the zone when its time is over and comes
// back; and what others wrote is there all the time as it was.
func TestPublishZone(t *testing.T) {
	w := newWorld(t)
	p := startBIND(t, bindAddress, foreignRecords)
	before := p.records(t)
	config := publishConfig(t, w, p.address)

	out := string(run(t, 1, "publish", "--dry-run", "--config", config))
	if !strings.Contains(out, "+ _imaps._tcp.example.test. 3600 IN SRV 0 1 993 mail.example.test.\n") {
		t.Errorf("the difference:\n%s", out)
	}
	if diff := cmp.Diff(before, p.records(t)); diff != "" {
		t.Fatalf("--dry-run changed the zone (-before +after):\n%s", diff)
	}
	run(t, 0, "publish", "--config", config)
	for name, want := range map[string]string{
		"_submission._tcp": "0 1 587 mail.example.test.", "_submissions._tcp": "10 1 465 mail.example.test.",
		"_imaps._tcp": "0 1 993 mail.example.test.", "_pop3s._tcp": "10 1 995 mail.example.test.", "_sieve._tcp": "0 1 4190 mail.example.test.",
		"_autodiscover._tcp": "0 1 443 www.example.test.",
	} {
		if got := dig(t, p, name+".example.test", "SRV"); got != want {
			t.Errorf("dig %s: %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"autoconfig", "autodiscover", "ua-auto-config"} {
		if got := dig(t, p, name+".example.test", "CNAME"); got != "www.example.test." {
			t.Errorf("dig %s: %q", name, got)
		}
	}
	finds(t, p, "mail.example.test:587 mail.example.test:993")
	foreignIsThere(t, p, before)
	run(t, 0, "publish", "--dry-run", "--config", config)

	d := startDaemon(t, "mailconfd", w.dir, exec.Command(program(t), "serve", "--config", config))
	d.eventually(t, startWithin, "publish a first answer", func() error { _, err := fetch(autoconfigRequest); return err })
	w.postfix.listen(t, submission2525, submissions)
	stopped := time.Now()
	holds := func(within time.Duration, name, want string) {
		t.Helper()
		d.eventually(t, within, name+" becomes "+want, func() error {
			foreignIsThere(t, p, before)
			if got := dig(t, p, name+".example.test", "SRV"); got != want {
				return fmt.Errorf("%q", got)
			}
			return nil
		})
	}
	holds(settleWithin, "_submissions._tcp", "0 1 465 mail.example.test.") // it stands back at once, and stays
	if got := dig(t, p, "_submission._tcp.example.test", "SRV"); got != "10 1 587 mail.example.test." {
		t.Errorf("587 while it is failing: %q", got)
	}
	holds(zoneGrace+settleWithin, "_submission._tcp", "")
	// The last success may be a round older than the end of the port.
	if after := time.Since(stopped); after < zoneGrace-3*time.Second {
		t.Errorf("587 was taken away after %s, before the %s of its grace", after, zoneGrace)
	}
	w.postfix.listen(t, submission, submission2525, submissions)
	holds(settleWithin, "_submission._tcp", "0 1 587 mail.example.test.")
	holds(settleWithin, "_submissions._tcp", "10 1 465 mail.example.test.")
	finds(t, p, "mail.example.test:587 mail.example.test:993")
	d.stop()

	run(t, 0, "unpublish", "--config", config)
	if diff := cmp.Diff(before, p.records(t)); diff != "" {
		t.Errorf("taken back (-before +after):\n%s", diff)
	}
}

// TestPublishAliases: from an empty zone, one command publishes aliases of a set that is kept elsewhere. When a port of
// the mail server goes and comes back, serve changes nothing in the zone.
func TestPublishAliases(t *testing.T) {
	w := newWorld(t)
	p := startBIND(t, bindAddress, "@ 300 IN SOA ns hostmaster 1 3600 600 86400 60\n@ 300 IN NS ns\nns 300 IN A 127.0.0.1\n")
	before := p.records(t)
	config := publishConfig(t, w, p.address, "    delegate_to: hoster.test\n    config_host: config.hoster.test\n    mailconf: true\n")
	run(t, 0, "publish", "--config", config)
	want := append([]string{`example.test. 3600 IN TXT "mailconf=https://autoconfig.example.test/mail/config-v1.1.xml"`}, before...)
	for _, label := range []string{
		"_submission._tcp", "_submissions._tcp", "_imap._tcp", "_imaps._tcp", "_pop3._tcp", "_pop3s._tcp", "_sieve._tcp", "_autodiscover._tcp",
		"autoconfig", "autodiscover", "ua-auto-config",
	} {
		want = append(want, fmt.Sprintf("%s.example.test. 3600 IN CNAME %s.hoster.test.", label, label))
	}
	published := p.records(t)
	if diff := cmp.Diff(sorted(want), rest(published)); diff != "" {
		t.Fatalf("the zone (-want +got):\n%s", diff)
	}
	serial := dig(t, p, "example.test", "SOA")
	run(t, 0, "publish", "--dry-run", "--config", config)

	d := startDaemon(t, "mailconfd", w.dir, exec.Command(program(t), "serve", "--config", config))
	says := func(port, security string) {
		t.Helper()
		settles(t, d, autoconfigRequest, readAutoconfig, []setting{
			{"imap", mailName, "993", "SSL", "password-cleartext", "%EMAILADDRESS%"},
			{"pop3", mailName, "995", "SSL", "password-cleartext", "%EMAILADDRESS%"},
			{"smtp", mailName, port, security, "password-cleartext", "%EMAILADDRESS%"},
		})
	}
	says("587", "STARTTLS")
	w.postfix.listen(t, submissions)
	says("465", "SSL")
	w.postfix.listen(t, submission, submissions)
	says("587", "STARTTLS")
	d.stop()
	if diff := cmp.Diff(published, p.records(t)); diff != "" || dig(t, p, "example.test", "SOA") != serial {
		t.Errorf("serial %q, then %q; the zone (-published +now):\n%s", serial, dig(t, p, "example.test", "SOA"), diff)
	}
	run(t, 0, "unpublish", "--config", config)
	if diff := cmp.Diff(before, p.records(t)); diff != "" {
		t.Errorf("taken back (-before +after):\n%s", diff)
	}
}

// dig asks the server by dig, without following an alias of a wildcard.
func dig(t *testing.T, p *primary, name, rrtype string) string {
	t.Helper()
	host, port, _ := net.SplitHostPort(p.address)
	out, err := exec.Command("dig", "@"+host, "-p", port, "+norecurse", "+noall", "+answer", name, rrtype).CombinedOutput()
	if err != nil {
		t.Fatalf("dig: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if len(fields) > 4 && fields[0] == name+"." && fields[3] == rrtype {
			return strings.Join(fields[4:], " ")
		}
	}
	return ""
}

// finds looks the domain up as Claws Mail 4 does by RFC 6186: _submission and _imaps, the record of the lowest
// priority, and the addresses of its target.
func finds(t *testing.T, p *primary, want string) {
	t.Helper()
	ask := func(name string, rrtype uint16) []dns.RR {
		answer, _, err := new(dns.Client).Exchange(new(dns.Msg).SetQuestion(name, rrtype), p.address)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Answer
	}
	var found []string
	for _, label := range []string{"_submission", "_imaps"} {
		var best *dns.SRV
		for _, rr := range ask(label+"._tcp.example.test.", dns.TypeSRV) {
			if srv, ok := rr.(*dns.SRV); ok && (best == nil || srv.Priority < best.Priority) {
				best = srv
			}
		}
		if best == nil || len(ask(best.Target, dns.TypeA)) == 0 {
			t.Errorf("%s leads nowhere", label)
			continue
		}
		found = append(found, fmt.Sprintf("%s:%d", strings.TrimSuffix(best.Target, "."), best.Port))
	}
	if got := strings.Join(found, " "); got != want {
		t.Errorf("found %q, want %q", got, want)
	}
}

// foreignIsThere checks that every record that was there before is there as it was.
func foreignIsThere(t *testing.T, p *primary, before []string) {
	t.Helper()
	if missing := subtract(before, p.records(t)); len(missing) > 0 {
		t.Fatalf("foreign records are gone or changed: %q", missing)
	}
}

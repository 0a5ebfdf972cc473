//go:build real

package real

import (
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// primary is a name server that takes updates of the zone example.test, run by the user nobody. Its keys, each with
// the secret of that name:
//
//	mailconfd   may change SRV, TXT, CNAME, A, AAAA and TLSA records
//	person      may change everything, and read the zone as a whole
//	reader      is known and may change nothing
type primary struct {
	name    string // "bind" or "knot"
	dir     string
	address string // HOST:PORT, UDP and TCP
	daemon  *daemon
	command func() *exec.Cmd
}

// secretOf is the secret of a key, in base64.
func secretOf(key string) string {
	return base64.StdEncoding.EncodeToString([]byte((key + strings.Repeat("-", 32))[:32]))
}

// foreignRecords is what stands in the zone before mailconfd comes, and must be there unchanged at any time after.
const foreignRecords = `
$TTL 300
@          IN SOA  ns hostmaster 1 3600 600 86400 60
@          IN NS   ns
@          IN MX   10 mail
@          IN TXT  "v=spf1 mx -all" " ; not a \"comment\""
ns         IN A    127.0.0.1
mail       IN A    198.51.100.10
mail       IN AAAA 2001:db8::10
www        IN A    198.51.100.80
*          IN CNAME www
_caldavs._tcp 77 IN SRV 3 4 443 Calendar.example.test.
`

// newPrimary writes a zone where the server may write too.
func newPrimary(t *testing.T, name, address, zone string) *primary {
	t.Helper()
	p := &primary{name: name, dir: publicDir(t), address: address}
	writeFile(t, p.zoneFile(), "$ORIGIN example.test.\n"+zone, 0o644)
	p.own(t)
	return p
}

func (p *primary) zoneFile() string { return filepath.Join(p.dir, "example.test.zone") }

// Debian's nobody and nogroup.
const nobody = 65534

// own gives all files to the server's user.
func (p *primary) own(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(p.dir, func(name string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chown(name, nobody, nobody)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// unprivileged is a command that gives up root.
func unprivileged(arguments ...string) *exec.Cmd {
	return exec.Command("setpriv", append([]string{"--reuid=65534", "--regid=65534", "--clear-groups"}, arguments...)...)
}

// start runs the server and returns when it answers.
func (p *primary) start(t *testing.T) {
	t.Helper()
	p.daemon = startDaemon(t, fmt.Sprintf("%s-%s", p.name, strings.ReplaceAll(p.address, ":", "-")), p.dir, p.command())
	p.daemon.eventually(t, startWithin, "answer", func() error {
		query := new(dns.Msg).SetQuestion("example.test.", dns.TypeSOA)
		answer, _, err := (&dns.Client{Net: "tcp", Timeout: time.Second}).Exchange(query, p.address)
		if err == nil && len(answer.Answer) == 0 {
			err = fmt.Errorf("%s", dns.RcodeToString[answer.Rcode])
		}
		return err
	})
}

// kill ends the server without a chance to clean up.
func (p *primary) kill() {
	_ = p.daemon.command.Process.Kill()
	<-p.daemon.done
}

// failer is what a test has in common with a property test.
type failer interface {
	Helper()
	Fatal(arguments ...any)
}

// records reads the whole zone but for the SOA record: one record a line, sorted, letter case and TTLs as they are.
func (p *primary) records(t failer) []string {
	t.Helper()
	query := new(dns.Msg).SetAxfr("example.test.")
	query.SetTsig("person.", dns.HmacSHA256, 300, time.Now().Unix())
	transfer := &dns.Transfer{TsigSecret: map[string]string{"person.": secretOf("person")}}
	envelopes, err := transfer.In(query, p.address)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for e := range envelopes {
		if e.Error != nil {
			t.Fatal(e.Error)
		}
		for _, rr := range e.RR {
			if rr.Header().Rrtype != dns.TypeSOA {
				lines = append(lines, strings.ReplaceAll(rr.String(), "\t", " "))
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// update sends an update as a person's program would, and returns the answer.
func (p *primary) update(t testing.TB, key string, at time.Time, change func(*dns.Msg)) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetUpdate("example.test.")
	change(m)
	return p.send(t, key, at, m)
}

// send sends a message, signed with a key, and returns the answer.
func (p *primary) send(t testing.TB, key string, at time.Time, m *dns.Msg) *dns.Msg {
	t.Helper()
	client := &dns.Client{Net: "tcp", Timeout: 5 * time.Second}
	if key != "" {
		name, secret, _ := strings.Cut(key, "=")
		if secret == "" {
			secret = secretOf(name)
		}
		client.TsigSecret = map[string]string{name + ".": secret}
		m.SetTsig(name+".", dns.HmacSHA256, 300, at.Unix())
	}
	answer, _, err := client.Exchange(m, p.address)
	if answer == nil {
		t.Fatalf("update: %v", err)
	}
	return answer
}

// nsupdate runs BIND's nsupdate with the key person; the script needs no "send".
func (p *primary) nsupdate(script string) error {
	host, port, err := net.SplitHostPort(p.address)
	if err != nil {
		return err
	}
	command := exec.Command("nsupdate", "-v", "-y", "hmac-sha256:person:"+secretOf("person"))
	command.Stdin = strings.NewReader("server " + host + " " + port + "\nzone example.test\n" + script + "\nsend\n")
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("nsupdate: %w\n%s\n%s", err, out, script)
	}
	return nil
}

// sorted returns a sorted copy.
func sorted(lines []string) []string { return slices.Sorted(slices.Values(lines)) }

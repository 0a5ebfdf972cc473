//go:build real

package real

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// TestRecordForms gives what "records" prints, in every form, to the program that the form is for, and compares what
// that makes of it with the set itself.
func TestRecordForms(t *testing.T) {
	w := newWorld(t)
	config := configFile(t, w)
	records := func(arguments ...string) string {
		return string(run(t, 0, append([]string{"records", domain, "--config", config, "--config-host", mailName}, arguments...)...))
	}
	for name, flags := range map[string][]string{
		"set":                {"--mailconf"},
		"addresses":          {"--addresses", "--ttl", "5m"},
		"delegated":          {"--delegate-to", "hoster.test"},
		"template":           {"--template"},
		"delegated template": {"--template", "--delegate-to", "hoster.test"},
	} {
		t.Run(name, func(t *testing.T) {
			want := setOf(t, records(append(flags, "--format", "json")...))
			if len(want) < 7 {
				t.Fatalf("records: %q", want)
			}
			for form, read := range map[string]func(*testing.T, string) []string{
				"zone": throughZoneCheckers, "nsupdate": throughNSUpdate, "dnscontrol": throughDNSControl,
			} {
				t.Run(form, func(t *testing.T) {
					printed := records(append(flags, "--format", form)...)
					if diff := cmp.Diff(want, read(t, printed)); diff != "" {
						t.Errorf("read back (-set +%s):\n%s\nprinted:\n%s", form, diff, printed)
					}
				})
			}
		})
	}
}

// setOf reads the records of "records --format json", one a line; owners of a template are in the zone example.test.
func setOf(t *testing.T, text string) []string {
	var set struct {
		Domain  string
		Records []struct {
			Owner, Type, Data string
			TTL               uint32
		}
	}
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, r := range set.Records {
		if set.Domain == "@" {
			r.Owner += "." + domain + "."
		}
		all = append(all, fmt.Sprintf("%s %d %s %s", r.Owner, r.TTL, r.Type, r.Data))
	}
	sort.Strings(all)
	return all
}

func lineOf(rr dns.RR) string {
	h := rr.Header()
	return fmt.Sprintf("%s %d %s %s", h.Name, h.Ttl, dns.TypeToString[h.Rrtype], strings.TrimPrefix(rr.String(), h.String()))
}

// throughZoneCheckers puts the text into a zone, which BIND and Knot must take, and reads what BIND writes anew.
func throughZoneCheckers(t *testing.T, printed string) []string {
	file := filepath.Join(t.TempDir(), "zone")
	writeFile(t, file, zoneFile(printed), 0o644)
	if out, err := exec.Command("kzonecheck", "-o", domain, file).CombinedOutput(); err != nil {
		t.Errorf("kzonecheck: %v\n%s", err, out)
	}
	rewritten := file + ".new"
	// -i local: names outside of the zone are not looked up, there is no network.
	if out, err := exec.Command("named-checkzone", "-i", "local", "-D", "-o", rewritten, domain, file).CombinedOutput(); err != nil {
		t.Fatalf("named-checkzone: %v\n%s", err, out)
	}
	text, err := os.ReadFile(rewritten)
	if err != nil {
		t.Fatal(err)
	}
	without := map[string]bool{}
	for _, rr := range parseZone(t, zoneFile("")) {
		without[lineOf(rr)] = true
	}
	var all []string
	for _, rr := range parseZone(t, string(text)) {
		if !without[lineOf(rr)] && rr.Header().Rrtype != dns.TypeSOA {
			all = append(all, lineOf(rr))
		}
	}
	sort.Strings(all)
	return all
}

// throughNSUpdate lets nsupdate send the script, to a server that only looks at the one update that comes.
func throughNSUpdate(t *testing.T, printed string) []string {
	updates := make(chan *dns.Msg, 8)
	zone := parseZone(t, zoneFile(""))
	at := startUpdatable(t, func(w dns.ResponseWriter, query *dns.Msg) {
		reply := new(dns.Msg).SetReply(query)
		if query.Opcode == dns.OpcodeUpdate {
			updates <- query
		} else {
			reply = answer(zone, query)
		}
		_ = w.WriteMsg(reply) // when nsupdate has gone it has failed itself
	})
	script := filepath.Join(t.TempDir(), "script")
	writeFile(t, script, "server "+strings.Replace(at, ":", " ", 1)+"\n"+strings.ReplaceAll(printed, "${DOMAIN}", domain), 0o644)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "nsupdate", script).CombinedOutput(); err != nil {
		t.Fatalf("nsupdate: %v\n%s", err, out)
	}
	if len(updates) != 1 {
		t.Fatalf("%d updates, want one", len(updates))
	}
	var all []string
	for _, rr := range (<-updates).Ns {
		if rr.Header().Class == dns.ClassINET { // the others delete (RFC 2136 section 2.5)
			all = append(all, lineOf(rr))
		}
	}
	sort.Strings(all)
	return all
}

// startUpdatable starts a server on one port over UDP and TCP that takes updates, which the library refuses by default.
func startUpdatable(t *testing.T, handle dns.HandlerFunc) string {
	packets, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	streams, err := net.Listen("tcp", packets.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []*dns.Server{{PacketConn: packets}, {Listener: streams}} {
		started, stopped := make(chan struct{}), make(chan error, 1)
		server.Handler, server.NotifyStartedFunc = handle, func() { close(started) }
		server.MsgAcceptFunc = func(dns.Header) dns.MsgAcceptAction { return dns.MsgAccept }
		go func() { stopped <- server.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			if err := server.ShutdownContext(context.Background()); err != nil {
				t.Error(err)
			}
			<-stopped
		})
	}
	return packets.LocalAddr().String()
}

// throughDNSControl lets DNSControl's own code read the text, in the configuration of one zone.
func throughDNSControl(t *testing.T, printed string) []string {
	path := os.Getenv("REAL_DNSCONTROL")
	if path == "" {
		t.Fatal("REAL_DNSCONTROL must hold the path of tools/dnscontrol, built; run the tests by \"make test-real\"")
	}
	file := filepath.Join(t.TempDir(), "dnsconfig.js")
	config := `D("example.test", NewRegistrar("none"), DnsProvider(NewDnsProvider("bind")));` + "\n" + printed
	if strings.Contains(printed, "var MAILCONFD") {
		config = printed + `D("example.test", NewRegistrar("none"), DnsProvider(NewDnsProvider("bind")), MAILCONFD);`
	}
	writeFile(t, file, config, 0o644)
	out, err := exec.Command(path, file).Output()
	if err != nil {
		t.Fatalf("dnscontrol: %v\n%s", err, config)
	}
	var made struct {
		Domains []struct {
			Records []struct {
				Type, Name, Target string
				TTL                uint32
				SRVPriority        uint16 `json:"srvpriority"`
				SRVWeight          uint16 `json:"srvweight"`
				SRVPort            uint16 `json:"srvport"`
			}
		}
	}
	if err := json.Unmarshal(out, &made); err != nil || len(made.Domains) != 1 {
		t.Fatalf("what dnscontrol printed: %v\n%s", err, out)
	}
	var all []string
	for _, r := range made.Domains[0].Records {
		owner, data := r.Name+"."+domain+".", r.Target
		switch r.Type {
		case "SRV":
			data = fmt.Sprintf("%d %d %d %s", r.SRVPriority, r.SRVWeight, r.SRVPort, r.Target)
		case "TXT":
			data = fmt.Sprintf("%q", r.Target)
		}
		if r.Name == "@" {
			owner = domain + "."
		}
		all = append(all, fmt.Sprintf("%s %d %s %s", owner, r.TTL, r.Type, data))
	}
	sort.Strings(all)
	return all
}

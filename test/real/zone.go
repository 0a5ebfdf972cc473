//go:build real

package real

import (
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/miekg/dns"
)

// zoneFile is the zone example.test: its own records, the mail server's addresses, and more records as text.
func zoneFile(more string) string {
	return `$ORIGIN example.test.
$TTL 300
@    IN SOA  ns hostmaster 1 3600 600 86400 60
@    IN NS   ns
@    IN MX   10 mail
ns   IN A    ` + clientIPv4 + `
mail IN A    ` + mailIPv4 + `
mail IN AAAA ` + mailIPv6 + `
` + more
}

// checkZone lets BIND's named-checkzone read the zone example.test.
func checkZone(t *testing.T, zone string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "zone")
	writeFile(t, file, zone, 0o644)
	// -i local: names outside of the zone are not looked up, there is no network.
	out, err := exec.Command("named-checkzone", "-i", "local", domain, file).CombinedOutput()
	if err != nil {
		t.Errorf("named-checkzone: %v\n%s\nzone:\n%s", err, out, zone)
	}
}

// nameServer answers from zones that can be changed while it runs.
type nameServer struct {
	records atomic.Pointer[[]dns.RR]
}

// load makes the server answer from this zone file alone, from the next query on.
func (n *nameServer) load(t *testing.T, zone string) {
	t.Helper()
	records := parseZone(t, zone)
	n.records.Store(&records)
}

// resolver is HOST:PORT of the name server of the tests.
const resolver = "127.0.0.1:53"

// startNameServer serves a zone file on UDP and TCP until the test ends.
func startNameServer(t *testing.T, zone string) *nameServer {
	t.Helper()
	n := &nameServer{}
	n.load(t, zone)
	packets, err := net.ListenPacket("udp", resolver)
	if err != nil {
		t.Fatal(err)
	}
	streams, err := net.Listen("tcp", resolver)
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []*dns.Server{{PacketConn: packets}, {Listener: streams}} {
		server.Handler = dns.HandlerFunc(func(w dns.ResponseWriter, query *dns.Msg) {
			_ = w.WriteMsg(answer(*n.records.Load(), query)) // a client that has gone is no fault
		})
		started, stopped := make(chan struct{}), make(chan error, 1)
		server.NotifyStartedFunc = func() { close(started) }
		go func() { stopped <- server.ActivateAndServe() }()
		select {
		case <-started:
		case err := <-stopped:
			t.Fatalf("serve DNS: %v", err)
		}
		t.Cleanup(func() {
			if err := server.ShutdownContext(context.Background()); err != nil {
				t.Errorf("stop DNS: %v", err)
			}
			<-stopped
		})
	}
	return n
}

// parseZone reads a zone file.
func parseZone(t *testing.T, zone string) []dns.RR {
	t.Helper()
	var records []dns.RR
	parser := dns.NewZoneParser(strings.NewReader(zone), "", "")
	for record, ok := parser.Next(); ok; record, ok = parser.Next() {
		records = append(records, record)
	}
	if err := parser.Err(); err != nil {
		t.Fatalf("parse the zone: %v\n%s", err, zone)
	}
	return records
}

// answer is what an authoritative server says: the records, or that the name has none of the type, or that there is no
// such name. The SOA record is the zone's first; aliases are given and not followed.
func answer(records []dns.RR, query *dns.Msg) *dns.Msg {
	reply := new(dns.Msg).SetReply(query)
	reply.Authoritative = true
	reply.Rcode = dns.RcodeNameError
	question := query.Question[0]
	for _, record := range records {
		header := record.Header()
		if dns.IsSubDomain(question.Name, header.Name) { // what has a name below it exists: RFC 8020
			reply.Rcode = dns.RcodeSuccess
		}
		if !strings.EqualFold(header.Name, question.Name) {
			continue
		}
		if header.Rrtype == question.Qtype || header.Rrtype == dns.TypeCNAME {
			reply.Answer = append(reply.Answer, record)
		}
	}
	if len(reply.Answer) == 0 {
		reply.Ns = []dns.RR{records[0]}
	}
	return reply
}

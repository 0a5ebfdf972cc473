//go:build real

package real

import (
	"fmt"
	"sort"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"
)

// TestPublish is the promise of the whole: what the real servers offer is what the clients are told.
func TestPublish(t *testing.T) {
	w := newWorld(t)
	d := serve(t, w)
	t.Run("autoconfig", func(t *testing.T) {
		settles(t, d, autoconfigRequest, readAutoconfig, []setting{
			{"imap", mailName, "993", "SSL", "password-cleartext", "%EMAILADDRESS%"},
			{"pop3", mailName, "995", "SSL", "password-cleartext", "%EMAILADDRESS%"},
			{"smtp", mailName, "587", "STARTTLS", "password-cleartext", "%EMAILADDRESS%"},
		})
	})
	t.Run("autodiscover", func(t *testing.T) {
		settles(t, d, autodiscoverRequest, readAutodiscover, []setting{
			{"IMAP", mailName, "993", "on/SSL", "SPA off", "jane@example.test"},
			{"POP3", mailName, "995", "on/SSL", "SPA off", "jane@example.test"},
			{"SMTP", mailName, "587", "on/TLS", "SPA off", "jane@example.test"},
		})
	})
	t.Run("records", func(t *testing.T) { recordsArePrinted(t, w) })
}

// settles waits until an answer of serve says exactly these settings: the first answer may come before the last probe.
// The order within a document is another test's matter, so both sides are compared sorted.
func settles(t *testing.T, d *daemon, r request, read func([]byte) ([]setting, error), want []setting) {
	t.Helper()
	t.Helper()
	d.eventually(t, settleWithin, "publish the settings", func() error {
		document, err := fetch(r)
		if err != nil {
			return err
		}
		got, err := read(document)
		if err != nil {
			return fmt.Errorf("%w in\n%s", err, document)
		}
		byType := cmpopts.SortSlices(func(a, b setting) bool { return a.Type < b.Type })
		if diff := cmp.Diff(want, got, byType); diff != "" {
			return fmt.Errorf("settings (-want +got):\n%s", diff)
		}
		return nil
	})
}

// recordsArePrinted runs the command "records", which probes by itself, and has BIND check the zone.
func recordsArePrinted(t *testing.T, w *world) {
	printed := string(run(t, 0, "records", domain, "--config", configFile(t, w)))
	zone := zoneFile(printed)
	checkZone(t, zone)
	var got []string
	for _, record := range parseZone(t, zone) {
		if srv, ok := record.(*dns.SRV); ok && srv.Target == dns.Fqdn(mailName) {
			got = append(got, fmt.Sprintf("%s %d", srv.Hdr.Name, srv.Port))
		}
	}
	sort.Strings(got)
	want := []string{
		"_imaps._tcp.example.test. 993",
		"_pop3s._tcp.example.test. 995",
		"_sieve._tcp.example.test. 4190",
		"_submission._tcp.example.test. 587",
		"_submissions._tcp.example.test. 465",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("SRV records of the mail server (-want +got):\n%s\nprinted:\n%s", diff, printed)
	}
}

package doctor_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"mailconfd/doctor"
	"mailconfd/settings"
)

// world is a recorded deployment: doctor.World from a txtar file.
//
//	-- zone --
//	example.test. MX 10 mx.example.test.
//	_imaps._tcp.example.test. SRV 0 1 993 mail.example.test.
//	mail.example.test. A 192.0.2.1
//	-- services --
//	imaps://mail.example.test:993 ok PLAIN LOGIN
//	submission://mail.example.test:587 certificate_name
//	-- GET https://autoconfig.example.test/mail/config-v1.1.xml --
//	200 text/xml; charset=utf-8
//	took 10ms
//	certificate certificate_expired
//	location https://elsewhere.test/
//
//	<clientConfig …
//
// A URL that is recorded without its query answers every query, and {address} in its
// body is the address that was posted, or jane@example.test. A host that has no
// recorded URL is not in DNS; a URL that is not recorded on one that has is 404. What
// is not in the zone does not exist, save under a wildcard, and a service that is not
// listed is refused. A line "; signed" in the zone says that DNSSEC vouches for it.
type world struct {
	mu       sync.Mutex
	pages    map[string]doctor.Hop // "GET https://…"
	hosts    map[string]bool
	zone     map[string][]doctor.Record // "MX example.test"
	signed   bool
	gone     []string // "; NAME does not exist"
	services map[settings.Service]settings.Observation
	asked    []string // everything that was asked for
}

func loadWorld(t testing.TB, name string) *world {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return parseWorld(t, string(data))
}

func parseWorld(t testing.TB, text string) *world {
	t.Helper()
	w := &world{pages: map[string]doctor.Hop{}, hosts: map[string]bool{}, zone: map[string][]doctor.Record{}, services: map[settings.Service]settings.Observation{}}
	for _, f := range txtar.Parse([]byte(text)).Files {
		var err error
		switch method, address, isPage := strings.Cut(f.Name, " "); {
		case f.Name == "zone":
			err = w.parseZone(string(f.Data))
		case f.Name == "services":
			err = w.parseServices(string(f.Data))
		case isPage && (method == "GET" || method == "POST"):
			err = w.parsePage(method, address, string(f.Data))
		}
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
	}
	return w
}

func (w *world) parseZone(text string) error {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		w.signed = w.signed || strings.TrimSpace(line) == "; signed"
		if name, gone := strings.CutSuffix(strings.TrimSpace(line), " does not exist"); gone {
			w.gone = append(w.gone, strings.TrimPrefix(name, "; "))
		}
		if len(fields) == 0 || strings.HasPrefix(fields[0], ";") {
			continue
		}
		if len(fields) < 3 {
			return fmt.Errorf("%q: want NAME TYPE DATA", line)
		}
		name, kind, data := strings.TrimSuffix(fields[0], "."), fields[1], fields[2:]
		var r doctor.Record
		var err error
		switch kind {
		case "MX":
			_, err = fmt.Sscan(strings.Join(data, " "), &r.Priority, &r.Host)
		case "SRV":
			_, err = fmt.Sscan(strings.Join(data, " "), &r.Priority, &r.Weight, &r.Port, &r.Host)
		case "TXT":
			r.Text = strings.Trim(strings.Join(data, " "), `"`)
		default:
			r.Host = data[0]
		}
		if err != nil {
			return fmt.Errorf("%q: %w", line, err)
		}
		r.Host = strings.TrimSuffix(r.Host, ".")
		w.zone[kind+" "+name] = append(w.zone[kind+" "+name], r)
	}
	return nil
}

func (w *world) parseServices(text string) error {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		s, err := settings.ParseService(fields[0])
		if err != nil || len(fields) < 2 {
			return fmt.Errorf("%q: want URL OUTCOME [MECHANISM…]: %w", line, err)
		}
		a := settings.AddressResult{IP: netip.MustParseAddr("192.0.2.1"), Auth: fields[2:]}
		if len(a.Auth) == 0 {
			a.Auth = settings.Mechanisms{"PLAIN", "LOGIN"}
		}
		if fields[1] != "ok" {
			a.Failure = &settings.Failure{Kind: settings.FailureKind(fields[1]), Detail: "recorded"}
			a.Auth = nil
		}
		w.services[s] = settings.Observation{Service: s, Addresses: []settings.AddressResult{a}}
	}
	return nil
}

func (w *world) parsePage(method, address, text string) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	w.hosts[u.Hostname()] = true
	var h doctor.Hop
	head, body, _ := strings.Cut(text, "\n\n")
	lines := bufio.NewScanner(strings.NewReader(head))
	for lines.Scan() {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "took":
			h.Took, err = time.ParseDuration(rest)
		case "certificate":
			h.Certificate = &settings.Failure{Kind: settings.FailureKind(rest), Detail: "recorded"}
		case "location":
			h.Location = rest
		case "private":
			h.Private = true
		case "fails":
			h.Failure = &settings.Failure{Kind: settings.FailureKind(rest), Detail: "recorded"}
		default:
			_, err = fmt.Sscan(word, &h.Status)
			h.ContentType = rest
		}
		if err != nil {
			return fmt.Errorf("%q: %w", lines.Text(), err)
		}
	}
	h.Body = []byte(body)
	w.pages[method+" "+address] = h
	return nil
}

func (w *world) note(what string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, what)
}

// requests returns everything that was asked for, sorted.
func (w *world) requests() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(slices.Values(w.asked))
}

func (w *world) Fetch(_ context.Context, r doctor.Request) doctor.Hop {
	w.note(strings.TrimSpace(r.Method + " " + r.URL + " " + r.ContentType + " " + r.Body))
	bare, _, _ := strings.Cut(r.URL, "?")
	for _, key := range []string{r.Method + " " + r.URL, r.Method + " " + bare} {
		if h, ok := w.pages[key]; ok {
			h.Request = r
			h.Body = bytes.ReplaceAll(h.Body, []byte("{address}"), []byte(posted(r.Body)))
			return h
		}
	}
	u, err := url.Parse(r.URL)
	if err == nil && w.hosts[u.Hostname()] {
		return doctor.Hop{Request: r, Status: 404, ContentType: "text/plain", Body: []byte("no\n")}
	}
	return doctor.Hop{Request: r, Failure: &settings.Failure{Kind: settings.FailureDNS, Detail: "recorded: no such host"}}
}

// posted returns the address in a request for Autodiscover.
func posted(body string) string {
	_, rest, ok := strings.Cut(body, "<EMailAddress>")
	if !ok {
		return "jane@example.test"
	}
	address, _, _ := strings.Cut(rest, "<")
	return address
}

func (w *world) Lookup(_ context.Context, name string, kind doctor.RecordType) doctor.Answer {
	w.note(string(kind) + " " + name)
	if slices.Contains(w.gone, name) {
		return doctor.Answer{NoSuchName: true}
	}
	if !w.exists(name) {
		_, above, _ := strings.Cut(name, ".")
		name = "*." + above // RFC 4592
	}
	a := doctor.Answer{Records: w.zone[string(kind)+" "+name], Authentic: w.signed}
	if alias := w.zone["CNAME "+name]; len(alias) > 0 {
		a.Alias = alias[0].Host
		if len(a.Records) == 0 && kind != doctor.TypeCNAME {
			a.Records = w.zone[string(kind)+" "+a.Alias]
		}
	}
	return a
}

// exists tells whether the zone has a record of any kind at a name.
func (w *world) exists(name string) bool {
	for key := range w.zone {
		if strings.HasSuffix(key, " "+name) {
			return true
		}
	}
	return false
}

func (w *world) Probe(_ context.Context, s settings.Service) settings.Observation {
	w.note("probe " + s.String())
	if o, ok := w.services[s]; ok {
		return o
	}
	return settings.Observation{Service: s, Addresses: []settings.AddressResult{{
		IP: netip.MustParseAddr("192.0.2.1"), Failure: &settings.Failure{Kind: settings.FailureRefused, Detail: "recorded: connection refused"},
	}}}
}

// examine examines an address of a recorded deployment with some clients, or all.
func examine(t testing.TB, w *world, address string, clients ...string) doctor.Report {
	t.Helper()
	d, err := doctor.New(doctor.Options{World: w, Only: clients, Now: func() time.Time { return time.Date(2026, 11, 24, 9, 0, 0, 0, time.UTC) }})
	if err != nil {
		t.Fatal(err)
	}
	a, err := settings.ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	return d.Examine(t.Context(), a)
}

// say writes what a client would set up as "imap mail.example.test:993 tls jane@…; …".
func say(r doctor.ClientReport) string {
	var words []string
	for _, s := range r.Settings {
		words = append(words, fmt.Sprintf("%s %s:%d %s %s", s.Role, s.Host, s.Port, s.Security, s.Username))
	}
	return strings.Join(words, "; ")
}

package doctor_test

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"mailconfd/doctor"
	"mailconfd/settings"
)

// chaos is a world in which anything can answer anything, always the same to the same
// question.
type chaos struct {
	mu       sync.Mutex
	draw     func(key string, n int) int // 0 to n-1
	bodies   []string
	requests int
}

func (c *chaos) pick(key string, n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.requests++
	return c.draw(key, n)
}

func (c *chaos) Fetch(_ context.Context, r doctor.Request) doctor.Hop {
	key := r.Method + r.URL
	h := doctor.Hop{Request: r, Took: []time.Duration{0, 0, 3 * time.Second, 20 * time.Second}[c.pick(key+"took", 4)]}
	h.Status = []int{0, 200, 200, 200, 204, 301, 302, 307, 401, 404, 503}[c.pick(key+"status", 11)]
	h.ContentType = []string{"text/xml", "text/xml", "application/json", "text/html", "", "\x00;;"}[c.pick(key+"type", 6)]
	switch h.Status / 100 {
	case 0:
		h.Failure = &settings.Failure{Kind: []settings.FailureKind{settings.FailureDNS, settings.FailureTimeout, settings.FailureLocal}[c.pick(key+"why", 3)], Detail: "chaos"}
	case 3:
		h.Location = []string{r.URL, r.URL + "x", "http://www.example.test/", "https://10.0.0.1/", "mailto:a@b", ""}[c.pick(key+"to", 6)]
	default:
		h.Body = []byte(c.bodies[c.pick(key+"body", len(c.bodies))])
	}
	if strings.HasPrefix(r.URL, "https") && c.pick(key+"certificate", 6) == 0 {
		h.Certificate = &settings.Failure{Kind: settings.FailureCertificateName, Detail: "chaos"}
	}
	h.Private = c.pick(key+"private", 5) == 0
	return h
}

func (c *chaos) Lookup(_ context.Context, name string, kind doctor.RecordType) doctor.Answer {
	a := doctor.Answer{Authentic: c.pick("signed", 2) == 0}
	if c.pick(name+string(kind)+"fails", 12) == 0 {
		a.Failure = &settings.Failure{Kind: settings.FailureLocal, Detail: "chaos"}
		return a
	}
	hosts := []string{"mail.example.test", "mail.hoster.test", "", "192.0.2.7", "b\x07d.example.test", strings.Repeat("a", 300), name}
	for i := range c.pick(name+string(kind)+"count", 4) {
		key := fmt.Sprint(name, kind, i)
		a.Records = append(a.Records, doctor.Record{
			Host: hosts[c.pick(key+"host", len(hosts))], Priority: uint16(c.pick(key+"priority", 3)), Weight: uint16(c.pick(key+"weight", 3)),
			Port: []uint16{0, 25, 143, 465, 587, 993, 2525}[c.pick(key+"port", 7)], Text: "v=UAAC1; a=sha256; d=chaos",
		})
	}
	return a
}

func (c *chaos) Probe(_ context.Context, s settings.Service) settings.Observation {
	o := settings.Observation{Service: s}
	result := settings.AddressResult{IP: netip.MustParseAddr("192.0.2.1"), Local: c.pick(s.String()+"local", 4) == 0, Auth: settings.Mechanisms{"PLAIN", "LOGIN"}}
	if kinds := settings.Failures(); c.pick(s.String()+"works", 2) == 0 {
		result.Failure = &settings.Failure{Kind: kinds[c.pick(s.String()+"failure", len(kinds))].Kind, Detail: "chaos"}
	}
	o.Addresses = append(o.Addresses, result)
	return o
}

// rude are documents that somebody could serve.
func rude() []string {
	many := strings.Repeat(server("imap", "993", "SSL"), 400)
	long := strings.Repeat("x", 100_000)
	return []string{
		good, configFile(server("imap", "143", "plain"), server("pop3", "995", "SSL"), server("smtp", "25", "STARTTLS")),
		configFile(many), configFile(server("imap", long, long, "mx1.example.test", long)), configFile(server("imap", "993", "\x1b[31m")),
		configFile(server("smtp", "587", "STARTTLS", "%EMAILADDRESS%", "%EMAILLOCALPART%.%EMAILDOMAIN%"), server("imap", "993", "TLS", "mx1.example.test", "%EMAILDOMAIN%")),
		poxAnswer(protocol("IMAP", "993", "<Encryption>TLS</Encryption>"), protocol("SMTP", "587", "<SSL>off</SSL><Encryption>TLS</Encryption>")),
		poxAnswer(protocol("POP", "995"), protocol("SMTP", "465", "<SSL>true</SSL><TLS>on</TLS><LoginName/>")), poxAnswer(),
		account("<Action>redirectUrl</Action><RedirectUrl>https://example.test/autodiscover/autodiscover.xml</RedirectUrl>"),
		`{"protocols":{"imap":{"host":"mail.example.test"},"submit":7,"smtp":{}}}`, `{"protocols":[]}`, `{`, "", "<", "<html><br>", "<clientConfig/>", "<Autodiscover/>", "\xff\xfe", strings.Repeat("<a>", 10_000),
	}
}

// TestAnyWorld examines worlds in which anything answers: it ends after a bounded number
// of questions, and the report holds together.
func TestAnyWorld(t *testing.T) {
	t.Parallel()
	bodies := rude()
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		w := &chaos{bodies: bodies, draw: func(key string, n int) int { return int(hash(seed, key) % uint64(n)) }}
		d, err := doctor.New(doctor.Options{World: w})
		if err != nil {
			t.Fatal(err)
		}
		a, err := settings.ParseAddress(rapid.SampledFrom([]string{"jane@example.test", "jane+tag@example.test", "jane@xn--bcher-kva.test", "example.test", "jane@a.b.example.co.uk"}).Draw(t, "address"))
		if err != nil {
			a.Domain = "example.test"
		}
		r := d.Examine(context.Background(), a)
		if w.requests > 20_000 {
			t.Errorf("%d questions", w.requests)
		}
		holdsTogether(t, r)
	})
}

// hash spreads a key over all numbers (FNV-1a).
func hash(seed uint64, key string) uint64 {
	h := seed ^ 14695981039346656037
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * 1099511628211
	}
	return h ^ h>>29
}

// holdsTogether checks what is true of every report.
func holdsTogether(t interface {
	Errorf(string, ...any)
	Helper()
}, r doctor.Report,
) {
	t.Helper()
	var weights []doctor.Weight
	seen := map[string]bool{}
	for _, f := range r.Findings {
		weights = append(weights, f.Weight)
		if key := fmt.Sprint(f.Kind, f.Detail); seen[key] {
			t.Errorf("told twice: %s", key)
		} else {
			seen[key] = true
		}
		checkFinding(t, f)
	}
	order := map[doctor.Weight]int{doctor.Fault: 0, doctor.Warning: 1, doctor.Note: 2}
	if !slices.IsSortedFunc(weights, func(a, b doctor.Weight) int { return order[a] - order[b] }) {
		t.Errorf("not by weight: %v", weights)
	}
	some := func(v doctor.Verdict) bool {
		return slices.ContainsFunc(r.Clients, func(c doctor.ClientReport) bool { return c.Verdict == v })
	}
	switch {
	case r.Blind != "" && r.Verdict != doctor.Unknown,
		r.Blind == "" && slices.Contains(weights, doctor.Fault) && r.Verdict != doctor.Fails,
		r.Verdict == doctor.Works && slices.Contains(weights, doctor.Warning),
		(r.Verdict == doctor.Works || r.Verdict == doctor.Warns) && !some(doctor.Works) && !some(doctor.Warns):
		t.Errorf("verdict %s of %v, blind %q", r.Verdict, weights, r.Blind)
	}
	for _, c := range r.Clients {
		if (c.Verdict == doctor.Works || c.Verdict == doctor.Warns) && slices.ContainsFunc(c.Settings, func(s doctor.Setting) bool { return !s.Works }) {
			t.Errorf("%s %s with %s", c.Client, c.Verdict, say(c))
		}
		if c.Verdict == doctor.Fails && len(c.Findings) == 0 {
			t.Errorf("%s fails for no reason: %s", c.Client, say(c))
		}
	}
}

func checkFinding(t interface {
	Errorf(string, ...any)
	Helper()
}, f doctor.Finding,
) {
	t.Helper()
	if f.Kind.Text().Meaning == "" || f.Detail == "" || f.Remedy == "" || f.Reference == "" || f.Sees == "" || !slices.Contains([]string{"many", "some", "few"}, f.People) {
		t.Errorf("incomplete: %+v", f)
	}
	if len(f.Detail) > 4000 || strings.ContainsFunc(f.Detail, unicode.IsControl) {
		t.Errorf("not fit to print, %d bytes: %.200q", len(f.Detail), f.Detail)
	}
	if strings.Contains(f.Detail, "?emailaddress=") {
		t.Errorf("%s tells the address: %s", f.Kind, f.Detail)
	}
}

// TestAsksOnce: whatever is asked is asked once, however many clients would ask it, and
// nothing is asked of strangers. Where http leads to https some ask with care what
// others ask without.
func TestAsksOnce(t *testing.T) {
	t.Parallel()
	d := deploy(t, layouts[0])
	examineAs(t, d)
	for _, w := range []*world{loadWorld(t, "testdata/healthy-all.txtar"), d.world} {
		if w != d.world {
			examine(t, w, "jane@example.test")
		}
		asked := w.requests()
		for i, q := range asked {
			if i > 0 && q == asked[i-1] {
				t.Errorf("asked again: %s", q)
			}
			if !strings.Contains(q, "example.test") {
				t.Errorf("asked a stranger: %s", q)
			}
		}
		if len(asked) > 200 || len(asked) < 20 {
			t.Errorf("%d questions", len(asked))
		}
	}
}

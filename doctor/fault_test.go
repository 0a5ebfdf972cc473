package doctor_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"mailconfd/doctor"
	"mailconfd/internal/lab"
	"mailconfd/settings"
)

// TestSingleFault breaks one server of a whole deployment in every way that the lab
// knows. All is published then: nothing may send the operator to publish more.
func TestSingleFault(t *testing.T) {
	t.Parallel()
	for _, l := range []layout{layouts[0], layouts[1], layouts[5], layouts[8]} {
		for _, service := range published(t, l) {
			for _, fault := range lab.Faults(service.Security()) {
				t.Run(fmt.Sprint(l.name, " ", service, " ", fault), func(t *testing.T) {
					t.Parallel()
					d := deploy(t, l)
					d.broken = map[settings.Service]settings.FailureKind{service: fault.Kind}
					r := examineAs(t, d)
					holdsTogether(t, r)
					for _, f := range r.Findings {
						nothingIsMissing(t, "", f)
					}
					for _, c := range r.Clients {
						for _, f := range c.Findings {
							nothingIsMissing(t, c.Client, f)
						}
					}
					if !strings.Contains(findingLines(r), service.String()) {
						t.Errorf("not told:\n%s", findingLines(r))
					}
				})
			}
		}
	}
}

// published returns the services of a layout to which some client is led.
func published(t *testing.T, l layout) []settings.Service {
	t.Helper()
	var all []settings.Service
	for _, c := range examineAs(t, deploy(t, l)).Clients {
		for _, s := range c.Settings {
			if service, ok := s.Service(); ok && !slices.Contains(all, service) {
				all = append(all, service)
			}
		}
	}
	return all
}

func nothingIsMissing(t *testing.T, client string, f doctor.Finding) {
	t.Helper()
	text := f.Detail + " → " + f.Remedy
	if strings.Contains(text, "nothing published") || strings.Contains(text, "publish autoconfig") || f.Weight != doctor.Note && strings.Contains(text, "all is published") {
		t.Errorf("%s %s %s: %s", client, f.Weight, f.Kind, text)
	}
	if client == "" && f.Weight != doctor.Note && (f.Kind == doctor.KindGuess || f.Kind == doctor.KindNothingFound) {
		t.Errorf("%s %s: %s (%v)", f.Weight, f.Kind, text, f.Affected)
	}
}

// TestCutDocument: a document that breaks off is not one that is missing.
func TestCutDocument(t *testing.T) {
	t.Parallel()
	d := deploy(t, layouts[1])
	r := examineAs(t, cut{d})
	holdsTogether(t, r)
	for _, f := range r.Findings {
		nothingIsMissing(t, "", f)
	}
	for _, c := range r.Clients {
		for _, f := range c.Findings {
			if strings.Contains(f.Detail, "nothing published") {
				t.Errorf("%s: %s", c.Client, f.Detail)
			}
		}
	}
	if !strings.Contains(findingLines(r), "fault document_rejected: "+mainHTTPS) {
		t.Errorf("not told:\n%s", findingLines(r))
	}
}

// cut is a deployment whose autoconfig documents break off.
type cut struct{ *deployment }

func (c cut) Fetch(ctx context.Context, r doctor.Request) doctor.Hop {
	h := c.deployment.Fetch(ctx, r)
	if r.Method == "GET" {
		h.Body = h.Body[:len(h.Body)/2]
	}
	return h
}

// TestNotAllIsPublished: that a port is shut does not hide that there is no document.
func TestNotAllIsPublished(t *testing.T) {
	t.Parallel()
	w := parseWorld(t, `
-- zone --
example.test. MX 10 mail.example.test.
mail.example.test. A 192.0.2.1
_imaps._tcp.example.test. SRV 0 1 993 mail.example.test.
_submission._tcp.example.test. SRV 0 1 587 mail.example.test.
-- services --
imaps://mail.example.test refused
submission://mail.example.test ok
`)
	r := examine(t, w, "jane@example.test")
	if !strings.Contains(findingLines(r), "fault nothing_found: no settings are found") {
		t.Errorf("not told:\n%s", findingLines(r))
	}
	for _, f := range r.Findings {
		if strings.Contains(f.Remedy, "all is published") {
			t.Errorf("%s: %s (%v)", f.Detail, f.Remedy, f.Affected)
		}
	}
}

// TestRemedyMends does what the finding of a port that speaks other TLS says, and
// examines again: then it is gone, and nothing else is wrong.
func TestRemedyMends(t *testing.T) {
	t.Parallel()
	for _, l := range layouts {
		service := published(t, l)[0]
		kind := settings.FailureTLSOnPlaintextPort
		if service.Security() == settings.ImplicitTLS {
			kind = settings.FailurePlaintextOnTLSPort
		}
		d := deploy(t, l)
		d.broken = map[settings.Service]settings.FailureKind{service: kind}
		f := otherTLS(t, examineAs(t, d), service)
		if service.OnDefaultPort() {
			if !strings.Contains(f.Remedy, "switch implicit TLS") || strings.Contains(f.Remedy, "write") {
				t.Errorf("%s: %s", service, f.Remedy)
			}
			d.broken = nil // the server is mended
			if r := examineAs(t, d); r.Verdict != doctor.Works {
				t.Errorf("%s: %s\n%s", service, r.Verdict, findingLines(r))
			}
		} else if !strings.Contains(f.Remedy, "write <socketType>") {
			t.Errorf("%s: %s", service, f.Remedy)
		}
	}
	for _, tt := range []struct{ said, truth string }{
		{"imap 143 SSL", "imap://mx1.example.test"}, {"smtp 587 SSL", "submission://mx1.example.test"}, {"smtp 465 STARTTLS", "submissions://mx1.example.test"}, {"imap 1143 SSL", "imap://mx1.example.test:1143"},
	} {
		followRemedy(t, tt.said, tt.truth)
	}
}

// followRemedy lets every format say a port wrongly, and corrects each line that the
// remedy names.
func followRemedy(t *testing.T, said, truth string) {
	t.Helper()
	words := strings.Fields(said)
	other := server("imap", "993", "SSL")
	pox := protocol("IMAP", "993", "<SPA>off</SPA>", "<SSL>on</SSL>", "<Encryption>SSL</Encryption>")
	if words[0] == "imap" {
		other = server("smtp", "2525", "STARTTLS")
		pox = protocol("SMTP", "2465", "<SPA>off</SPA>", "<SSL>on</SSL>", "<Encryption>SSL</Encryption>")
	}
	service, err := settings.ParseService(truth)
	if err != nil {
		t.Fatal(err)
	}
	wrong := fmt.Sprintf("%ss://%s:%d tls_on_plaintext_port", service.Scheme, service.Host, service.Port)
	if service.Security() == settings.ImplicitTLS {
		wrong = fmt.Sprintf("%s://%s:%d plaintext_on_tls_port", strings.TrimSuffix(string(service.Scheme), "s"), service.Host, service.Port)
	}
	encryption := map[string]string{"SSL": "SSL", "STARTTLS": "TLS"}[words[2]]
	world := fmt.Sprintf("-- zone --\nmx1.example.test. A 192.0.2.1\n; signed\n-- services --\n%s ok\n%s\nimaps://mx1.example.test ok\nsubmission://mx1.example.test:2525 ok\nsubmissions://mx1.example.test:2465 ok\n", truth, wrong) +
		get(mainHTTPS, configFile(server(words[0], words[1], words[2]), other)) + get(knownHTTPS, configFile(server(words[0], words[1], words[2]), other)) +
		post(poxHost, poxAnswer(protocol(strings.ToUpper(words[0]), words[1], "<SPA>off</SPA>", "<SSL>on</SSL>", "<Encryption>"+encryption+"</Encryption>"), pox))
	r := examine(t, parseWorld(t, world), "jane@example.test")
	i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool {
		return strings.Contains(f.Detail, ":"+words[1]+": ") && strings.HasPrefix(f.Remedy, "in ")
	})
	if i < 0 {
		t.Errorf("%s: no line to change\n%s", said, findingLines(r))
		return
	}
	remedy := r.Findings[i].Remedy
	mended := world
	if strings.Contains(remedy, mainHTTPS+" and "+knownHTTPS+", write <socketType>") {
		_, line, _ := strings.Cut(remedy, "write <socketType>")
		line, _, _ = strings.Cut(line, "<")
		mended = strings.ReplaceAll(mended, "<port>"+words[1]+"</port><socketType>"+words[2], "<port>"+words[1]+"</port><socketType>"+line)
	}
	if strings.Contains(remedy, "in "+poxHost+", write <SSL>on</SSL><Encryption>") {
		_, line, _ := strings.Cut(remedy, "<Encryption>")
		line, _, _ = strings.Cut(line, "<")
		mended = strings.Replace(mended, "<Encryption>"+encryption, "<Encryption>"+line, 1)
	} else if !service.OnDefaultPort() && strings.Contains(remedy, "in "+poxHost+", publish another service") {
		mended = strings.Replace(mended, "<Port>"+words[1]+"</Port><SPA>off</SPA><SSL>on</SSL><Encryption>"+encryption, "<Port>993</Port><SPA>off</SPA><SSL>on</SSL><Encryption>SSL", 1)
	}
	for _, f := range examine(t, parseWorld(t, mended), "jane@example.test").Findings {
		if f.Weight == doctor.Fault {
			t.Errorf("%s: after %q: %s %s: %s", said, remedy, f.Weight, f.Kind, f.Detail)
		}
	}
}

func otherTLS(t *testing.T, r doctor.Report, s settings.Service) doctor.Finding {
	t.Helper()
	for _, f := range r.Findings {
		if f.Kind == doctor.KindOtherTLS && strings.HasPrefix(f.Detail, s.String()) {
			return f
		}
	}
	t.Fatalf("%s: not found:\n%s", s, findingLines(r))
	return doctor.Finding{}
}

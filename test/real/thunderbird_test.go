//go:build real

package real

import (
	"bufio"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// The services of the mail host.
const (
	imaps        = "imaps://" + mailName + ":993"
	imapSTARTTLS = "imap://" + mailName + ":143"
	pop3s        = "pop3s://" + mailName + ":995"
	pop3STLS     = "pop3://" + mailName + ":110"
	onPort587    = "submission://" + mailName + ":587"
	onPort2525   = "submission://" + mailName + ":2525"
	onPort465    = "submissions://" + mailName + ":465"
)

// shown is a deployment that Thunderbird is shown, and what it makes of it: the account that is offered, unless another
// one or nothing is wanted here.
type shown struct {
	deployment
	want      account
	nothing   bool
	from      string   // the way by which it finds it; "" is ispHTTPS
	questions []string // hosts of other domains that it asks its user about
	waits     bool     // its user waits for a time-out of five seconds
	setUp     bool     // an account is made with it, and used
}

// shownToThunderbird are the layouts; docs/real-clients.md has them in a table.
func shownToThunderbird() []shown {
	return slices.Concat(layoutsOfPorts(), layoutsOfNames(), layoutsOfAutodiscover(), layoutsOfAddresses())
}

// layoutsOfPorts differ in what the mail servers offer.
func layoutsOfPorts() []shown {
	return []shown{
		{
			deployment: deployment{name: "every port", domain: domain},
			want:       account{imaps, onPort587, "jane@example.test"}, setUp: true,
		},
		{deployment: deployment{name: "587 and 993", domain: "submission.test", services: []string{onPort587, imaps}}},
		{
			deployment: deployment{name: "465 only", domain: "submissions.test", services: []string{onPort465, imaps}},
			setUp:      true,
		},
		{
			deployment: deployment{name: "2525 only", domain: "other-port.test", services: []string{onPort2525, imaps}},
			setUp:      true,
		},
		{
			deployment: deployment{
				name: "143 with STARTTLS only", domain: "starttls.test", services: []string{onPort587, imapSTARTTLS},
			},
			setUp: true,
		},
		{deployment: deployment{name: "POP3 only", domain: "pop3s.test", services: []string{onPort587, pop3s}}, setUp: true},
		{
			deployment: deployment{name: "POP3 with STLS only", domain: "pop3.test", services: []string{onPort587, pop3STLS}},
			setUp:      true,
		},
	}
}

// layoutsOfNames differ in the names for autoconfig and in how they are reached.
func layoutsOfNames() []shown {
	both := []string{onPort587, imaps}
	return []shown{
		{deployment: deployment{
			name: "the domain's own web site only", domain: "website.test", services: both,
			names: map[string]web{"website.test": webWhole},
		}},
		{
			deployment: deployment{
				name: "http only", domain: "http.test", services: both,
				names: map[string]web{"autoconfig.http.test": webPlain},
			},
			from: ispHTTP, setUp: true,
		},
		{
			deployment: deployment{
				name: "no certificate for autoconfig", domain: "untrusted.test", services: both,
				names: map[string]web{"autoconfig.untrusted.test": webUntrusted},
			},
			from: ispHTTP,
		},
		{
			deployment: deployment{
				name: "the MX of a hoster", domain: "customer.test", services: both,
				names:   map[string]web{"autoconfig.hoster.test": webWhole},
				records: "@ IN MX 10 mx1.in.hoster.test.\n", mx: "mx1.in.hoster.test",
			},
			setUp: true,
		},
		{
			deployment: deployment{
				name: "a silent autoconfig host", domain: "silent-autoconfig.test", services: both,
				names: map[string]web{"silent-autoconfig.test": webWhole, "autoconfig.silent-autoconfig.test": webSilent},
			},
			waits: true,
		},
		{
			deployment: deployment{
				name: "a silent Autodiscover host", domain: "silent.test", services: both,
				names: map[string]web{"autoconfig.silent.test": webWhole, "autodiscover.silent.test": webSilent},
			},
			waits: true, // although autoconfig has answered
		},
	}
}

// layoutsOfAutodiscover have Autodiscover, and but for one of them no autoconfig.
func layoutsOfAutodiscover() []shown {
	both := []string{onPort587, imaps}
	others := []string{onPort465, imapSTARTTLS}
	return []shown{
		{
			deployment: deployment{
				name: "Autodiscover only", domain: "autodiscover.test", services: both,
				names: map[string]web{"autodiscover.autodiscover.test": webWhole},
			},
			from: exchangeHTTPS, setUp: true,
		},
		{
			deployment: deployment{
				name: "Autodiscover only, 143 and 465", domain: "autodiscover-others.test", services: others,
				names: map[string]web{"autodiscover.autodiscover-others.test": webWhole},
			},
			from: exchangeHTTPS, setUp: true,
		},
		{
			deployment: deployment{
				name: "Autodiscover only, 2525 only", domain: "autodiscover-2525.test",
				services: []string{onPort2525, imaps},
				names:    map[string]web{"autodiscover.autodiscover-2525.test": webWhole},
			},
			nothing: true, // Autodiscover cannot say 2525
		},
		{
			deployment: deployment{
				name: "Autodiscover, login by local part", domain: "localpart-autodiscover.test",
				services: both, login: "localpart",
				names: map[string]web{"autodiscover.localpart-autodiscover.test": webWhole},
			},
			from: exchangeHTTPS,
		},
		{
			// To the canonical host, the only one with a certificate. Were the POST not preserved, Thunderbird would ask there
			// by GET, without the address, and be told the settings of that host's own domain.
			deployment: deployment{
				name: "Autodiscover by http, redirected", domain: "redirected.test", services: others,
				names: map[string]web{"autodiscover.redirected.test": webPlain},
			},
			from: exchangeRedirected,
		},
		{
			deployment: deployment{
				name: "Autodiscover by SRV", domain: "srv.test", services: both, names: map[string]web{},
				records: "_autodiscover._tcp IN SRV 0 0 443 autodiscover.example.test.\n",
			},
			from: exchangeSRV, questions: []string{"https://example.test"},
		},
		{
			deployment: deployment{
				name: "autoconfig, and Autodiscover by SRV", domain: "both.test", services: both,
				names:   map[string]web{"autoconfig.both.test": webWhole},
				records: "_autodiscover._tcp IN SRV 0 0 443 autodiscover.example.test.\n",
			},
			questions: []string{"https://example.test"}, // although autoconfig has answered
		},
	}
}

// layoutsOfAddresses differ in the address and in the login.
func layoutsOfAddresses() []shown {
	both := []string{onPort587, imaps}
	return []shown{
		{deployment: deployment{
			name: "a plus sign in the address", domain: "plus.test", address: "jane+tag@plus.test", services: both,
		}},
		{deployment: deployment{name: "a domain in A-labels", domain: "xn--bcher-kva.test", services: both}},
		{
			deployment: deployment{name: "login by local part", domain: "localpart.test", services: both, login: "localpart"},
			setUp:      true,
		},
	}
}

// thunderbirdWaits is Thunderbird's time-out for a request, and longer than any answer here takes.
const thunderbirdWaits = 5 * time.Second

// TestThunderbird shows Thunderbird each layout. What it chooses must be what mailconfd has verified and serves.
func TestThunderbird(t *testing.T) {
	w := newWorld(t)
	layouts := shownToThunderbird()
	var deployments []deployment
	for _, s := range layouts {
		deployments = append(deployments, s.deployment)
	}
	serveDeployments(t, w, deployments)
	b := startThunderbird(t, w)
	t.Logf("thunderbird %s", packageVersion(t, "thunderbird"))
	for _, s := range layouts {
		t.Run(s.name, func(t *testing.T) { checkThunderbird(t, w, b, s) })
	}
	t.Run("a domain in its own letters", func(t *testing.T) { asksNothing(t, w, b) })
}

// checkThunderbird shows Thunderbird a layout.
func checkThunderbird(t *testing.T, w *world, b *thunderbird, s shown) {
	found := b.discover(t, s.user())
	t.Logf("found: %+v", found)
	if waited := found.waited(); s.waits != (waited >= thunderbirdWaits) {
		t.Errorf("the user waited for %v; want a time-out of %v: %v", waited, thunderbirdWaits, s.waits)
	}
	want, from := s.wants()
	if diff := cmp.Diff(want, found.account()); diff != "" {
		t.Errorf("found (-want +got):\n%s", diff)
	}
	if found.SubSource != from {
		t.Errorf("found by %q, want %q", found.SubSource, from)
	}
	if diff := cmp.Diff(s.questions, found.Questions, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("questions to the user (-want +got):\n%s", diff)
	}
	isPredicted(t, w, s.user(), found)
	if t.Failed() {
		return
	}
	if !s.nothing {
		isServed(t, s, found)
	}
	if s.setUp {
		account := b.setUpAndSend(t, s.user(), password, s.user())
		if diff := cmp.Diff(want, account.account()); diff != "" {
			t.Errorf("account (-want +got):\n%s", diff)
		}
	}
}

// isPredicted holds what Thunderbird did against what "mailconfd doctor" says that it does.
func isPredicted(t *testing.T, w *world, address string, found foundConfig) {
	t.Helper()
	_, domain, _ := strings.Cut(address, "@")
	said := predicted(t, w, address, "thunderbird")
	got := conduct{found.account(), found.SubSource, found.waited() >= thunderbirdWaits, len(found.Questions)}
	if diff := cmp.Diff(said.conduct(domain), got); diff != "" {
		t.Errorf("what it did, against what doctor said (-doctor +got):\n%s\nsteps: %+v", diff, said.Steps)
	}
	for _, question := range found.Questions {
		_, host, _ := strings.Cut(question, "://")
		if !slices.ContainsFunc(said.questions(), func(detail string) bool { return strings.Contains(detail, host) }) {
			t.Errorf("it asked about %s; doctor says: %q", host, said.questions())
		}
	}
}

// wants is what must be found, and by which way.
func (s shown) wants() (want account, from string) {
	switch {
	case s.nothing:
		return account{}, ""
	case s.want != account{}:
		want = s.want
	default:
		want = s.offers()
	}
	if s.from == "" {
		return want, ispHTTPS
	}
	return want, s.from
}

// isServed holds what Thunderbird has chosen against what mailconfd serves, which is what it has verified.
func isServed(t *testing.T, s shown, found foundConfig) {
	t.Helper()
	settings, err := served(s.user())
	if err != nil {
		t.Fatal(err)
	}
	for _, chosen := range []foundServer{found.Incoming, found.Outgoing} {
		said := func(s setting) bool {
			security := map[string]string{"SSL": "tls", "STARTTLS": "starttls"}[s.Security]
			return serviceURL(s.Type, security, s.Host, s.Port) == chosen.service()
		}
		if !slices.ContainsFunc(settings, said) {
			t.Errorf("chosen: %s, which is not among what is served: %+v", chosen.service(), settings)
		}
	}
}

// asksNothing: Thunderbird takes no host name with letters beyond ASCII, so it sends no request at all.
func asksNothing(t *testing.T, w *world, b *thunderbird) {
	const address = "jane@bücher.test" // its A-labels are among the layouts
	before := requests(t)
	found := b.discover(t, address)
	if found.Source != "" {
		t.Errorf("found %+v, want nothing", found)
	}
	if sent := requests(t) - before; sent != 0 {
		t.Errorf("%d requests came, want none", sent)
	}
	isPredicted(t, w, address, found)
}

// requests is how many requests of mail clients mailconfd has answered, by its own count.
func requests(t *testing.T) int {
	t.Helper()
	response, err := http.Get("http://" + adminAddress + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	sum := 0
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), "mailconfd_http_requests_total{") {
			continue
		}
		_, value, _ := strings.Cut(lines.Text(), "} ")
		count, err := strconv.Atoi(value)
		if err != nil {
			t.Fatal(err)
		}
		sum += count
	}
	if sum == 0 {
		t.Fatal("no request has been counted yet, so the count is worth nothing")
	}
	return sum
}

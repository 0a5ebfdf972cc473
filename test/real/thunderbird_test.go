//go:build real

package real

import (
	"bufio"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	imaps        = "imaps://" + mailName + ":993"
	imapSTARTTLS = "imap://" + mailName + ":143"
	pop3s        = "pop3s://" + mailName + ":995"
	pop3STLS     = "pop3://" + mailName + ":110"
	onPort587    = "submission://" + mailName + ":587"
	onPort2525   = "submission://" + mailName + ":2525"
	onPort465    = "submissions://" + mailName + ":465"

	ispHTTPS = "xml-from-isp-https" // also what the provider that the MX names publishes
	ispHTTP  = "xml-from-isp-http"
)

// thunderbirdDeployments are what Thunderbird is shown.
func thunderbirdDeployments() []deployment {
	return slices.Concat(portDeployments(), nameDeployments(), addressDeployments())
}

// portDeployments differ in what the mail servers offer.
func portDeployments() []deployment {
	return []deployment{
		{
			name: "every port", domain: domain, setUp: true,
			want: choice{SubSource: ispHTTPS, Incoming: imaps, Outgoing: onPort587, Username: "jane@example.test"},
		},
		{
			name: "587 and 993", domain: "submission.test", services: []string{onPort587, imaps},
			want: choice{SubSource: ispHTTPS, Incoming: imaps, Outgoing: onPort587, Username: "jane@submission.test"},
		},
		{
			name: "465 only", domain: "submissions.test", services: []string{onPort465, imaps}, setUp: true,
			want: choice{SubSource: ispHTTPS, Incoming: imaps, Outgoing: onPort465, Username: "jane@submissions.test"},
		},
		{
			name: "2525 only", domain: "another-port.test", services: []string{onPort2525, imaps}, setUp: true,
			want: choice{SubSource: ispHTTPS, Incoming: imaps, Outgoing: onPort2525, Username: "jane@another-port.test"},
		},
		{
			name: "143 with STARTTLS only", domain: "starttls.test", services: []string{onPort587, imapSTARTTLS}, setUp: true,
			want: choice{SubSource: ispHTTPS, Incoming: imapSTARTTLS, Outgoing: onPort587, Username: "jane@starttls.test"},
		},
		{
			name: "POP3 only", domain: "pop3s.test", services: []string{onPort587, pop3s}, setUp: true,
			want: choice{SubSource: ispHTTPS, Incoming: pop3s, Outgoing: onPort587, Username: "jane@pop3s.test"},
		},
		{
			name: "POP3 with STLS only", domain: "pop3.test", services: []string{onPort587, pop3STLS}, setUp: true,
			want: choice{SubSource: ispHTTPS, Incoming: pop3STLS, Outgoing: onPort587, Username: "jane@pop3.test"},
		},
	}
}

// nameDeployments differ in the names for the settings and in how they are reached.
func nameDeployments() []deployment {
	both := []string{onPort587, imaps}
	return []deployment{
		{
			name: "the domain's own web site only", domain: "website.test", services: both,
			names: map[string]web{"website.test": webWhole},
			want:  choice{SubSource: ispHTTPS, Incoming: imaps, Outgoing: onPort587, Username: "jane@website.test"},
		},
		{
			name: "autoconfig by http only", domain: "http.test", services: both,
			names: map[string]web{"autoconfig.http.test": webPlain},
			want:  choice{SubSource: ispHTTP, Incoming: imaps, Outgoing: onPort587, Username: "jane@http.test"},
		},
		{
			name: "no certificate for autoconfig", domain: "untrusted.test", services: both,
			names: map[string]web{"autoconfig.untrusted.test": webUntrusted},
			want:  choice{SubSource: ispHTTP, Incoming: imaps, Outgoing: onPort587, Username: "jane@untrusted.test"},
		},
		{
			name: "Autodiscover only", domain: "autodiscover.test", services: both, setUp: true,
			names: map[string]web{"autodiscover.autodiscover.test": webWhole},
			want: choice{
				SubSource: "exchange-from-url1", Incoming: imaps, Outgoing: onPort587,
				Username: "jane@autodiscover.test",
			},
		},
		{
			name: "Autodiscover only, 143 and 465", domain: "autodiscover-others.test",
			services: []string{onPort465, imapSTARTTLS}, setUp: true,
			names: map[string]web{"autodiscover.autodiscover-others.test": webWhole},
			want: choice{
				SubSource: "exchange-from-url1", Incoming: imapSTARTTLS, Outgoing: onPort465,
				Username: "jane@autodiscover-others.test",
			},
		},
		{
			name: "Autodiscover only, 2525 only", domain: "autodiscover-2525.test", // which cannot be said there
			services: []string{onPort2525, imaps},
			names:    map[string]web{"autodiscover.autodiscover-2525.test": webWhole},
		},
		{
			name: "Autodiscover by http, redirected", domain: "redirected.test", services: both,
			names: map[string]web{"autodiscover.redirected.test": webPlain},
			want: choice{
				SubSource: "exchange-from-url3", Incoming: imaps, Outgoing: onPort587,
				Username: "jane@redirected.test", Questions: []string{"https://example.test"},
			},
		},
		{
			name: "Autodiscover by SRV", domain: "srv.test", services: both, names: map[string]web{},
			records: "_autodiscover._tcp IN SRV 0 0 443 autodiscover.example.test.\n",
			want: choice{
				SubSource: "exchange-from-srv", Incoming: imaps, Outgoing: onPort587,
				Username: "jane@srv.test", Questions: []string{"https://example.test"},
			},
		},
		{
			name: "the MX of a hoster", domain: "customer.test", mx: "mx1.in.hoster.test", services: both, setUp: true,
			names:   map[string]web{"autoconfig.hoster.test": webWhole},
			records: "@ IN MX 10 mx1.in.hoster.test.\n",
			want:    choice{SubSource: ispHTTPS, Incoming: imaps, Outgoing: onPort587, Username: "jane@customer.test"},
		},
		{
			name: "a silent Autodiscover host", domain: "silent.test", services: both, waits: true,
			names: map[string]web{"autoconfig.silent.test": webWhole, "autodiscover.silent.test": webSilent},
			want:  choice{SubSource: ispHTTPS, Incoming: imaps, Outgoing: onPort587, Username: "jane@silent.test"},
		},
		{
			name: "a silent autoconfig host", domain: "silent-autoconfig.test", services: both, waits: true,
			names: map[string]web{"silent-autoconfig.test": webWhole, "autoconfig.silent-autoconfig.test": webSilent},
			want:  choice{SubSource: ispHTTPS, Incoming: imaps, Outgoing: onPort587, Username: "jane@silent-autoconfig.test"},
		},
	}
}

// addressDeployments differ in the address and in the login.
func addressDeployments() []deployment {
	both := []string{onPort587, imaps}
	return []deployment{
		{
			name: "a plus sign in the address", domain: "plus.test", address: "jane+tag@plus.test", services: both,
			want: choice{SubSource: ispHTTPS, Incoming: imaps, Outgoing: onPort587, Username: "jane+tag@plus.test"},
		},
		{
			name: "a domain in A-labels", domain: "xn--bcher-kva.test", services: both,
			want: choice{SubSource: ispHTTPS, Incoming: imaps, Outgoing: onPort587, Username: "jane@xn--bcher-kva.test"},
		},
		{
			name: "login by local part", domain: "localpart.test", login: "localpart", services: both, setUp: true,
			want: choice{SubSource: ispHTTPS, Incoming: imaps, Outgoing: onPort587, Username: "jane"},
		},
		{
			name: "login by local part, Autodiscover only", domain: "localpart-autodiscover.test", login: "localpart", services: both,
			names: map[string]web{"autodiscover.localpart-autodiscover.test": webWhole},
			want: choice{
				SubSource: "exchange-from-url1", Incoming: imaps, Outgoing: onPort587, Username: "jane",
			},
		},
	}
}

// thunderbirdWaits is Thunderbird's time-out for a request, and longer than any answer here takes.
const thunderbirdWaits = 5 * time.Second

// TestThunderbird shows Thunderbird each deployment. What it chooses must be what mailconfd has verified and serves.
func TestThunderbird(t *testing.T) {
	w := newWorld(t)
	deployments := thunderbirdDeployments()
	serveDeployments(t, w, deployments)
	b := startThunderbird(t, w)
	for _, d := range deployments {
		t.Run(d.name, func(t *testing.T) {
			found := b.discover(t, d.user())
			t.Logf("%+v", found)
			checkChoice(t, d, found)
			if d.setUp {
				account := b.setUpAndSend(t, d.user(), password, d.user())
				checkAccount(t, d, account)
			}
		})
	}
	t.Run("a domain in its own letters", func(t *testing.T) { asksNothing(t, b) })
}

// checkChoice holds what Thunderbird found against what must be found and against what is served.
func checkChoice(t *testing.T, d deployment, found foundConfig) {
	t.Helper()
	if waited := time.Duration(found.Milliseconds) * time.Millisecond; d.waits != (waited >= thunderbirdWaits) {
		t.Errorf("the user waited for %v, want a time-out of %v: %v", waited, thunderbirdWaits, d.waits)
	}
	if diff := cmp.Diff(d.want, found.choice(), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("choice (-want +got):\n%s", diff)
	}
	if !found.Found {
		return
	}
	settings, err := served(d.user())
	if err != nil {
		t.Fatal(err)
	}
	for _, chosen := range []foundServer{found.Incoming, found.Outgoing} {
		if !slices.ContainsFunc(settings, func(s setting) bool { return s.sameAs(chosen) }) {
			t.Errorf("chosen: %+v, which is not among what is served: %+v", chosen, settings)
		}
	}
}

// choice is what the test's table says, of what was found.
func (f foundConfig) choice() choice {
	if !f.Found {
		return choice{Questions: f.Questions}
	}
	username := f.Incoming.Username
	if f.Outgoing.Username != username {
		username += " and " + f.Outgoing.Username
	}
	return choice{f.SubSource, f.Incoming.service(), f.Outgoing.service(), username, f.Questions}
}

// sameAs says whether a server of an autoconfig document is what Thunderbird has taken.
func (s setting) sameAs(found foundServer) bool {
	security := map[int]string{2: "STARTTLS", 3: "SSL"}[found.SocketType]
	return s.Type == found.Type && s.Host == found.Hostname && s.Port == fmt.Sprint(found.Port) && s.Security == security
}

// checkAccount holds the account that was made against what was found.
func checkAccount(t *testing.T, d deployment, account foundConfig) {
	t.Helper()
	got := choice{d.want.SubSource, account.Incoming.service(), account.Outgoing.service(), account.Incoming.Username, nil}
	if diff := cmp.Diff(d.want, got); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
}

// asksNothing: Thunderbird takes no host name with letters beyond ASCII, so it sends no request at all.
func asksNothing(t *testing.T, b *thunderbird) {
	before := requests(t)
	found := b.discover(t, "jane@bücher.test")
	if found.Found {
		t.Errorf("found %+v, want nothing", found)
	}
	if sent := requests(t) - before; sent != 0 {
		t.Errorf("%d requests came, want none", sent)
	}
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

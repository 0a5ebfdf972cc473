//go:build real

package real

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// mailClient is a real client that looks for settings.
type mailClient struct {
	name      string
	pkg       string // Debian's
	simulator string // its name in "mailconfd doctor --client"; "" when doctor has none
	ask       func(t *testing.T, w *world, address string) account

	// differs holds, by domain, what the client sets up where that is not what the domain offers.
	differs map[string]account
	// later holds, by domain, what doctor says where it speaks of a later version, which does something else.
	later map[string]account
}

// clientDeployments are what the clients are shown. Each offers one way in and one way out, so that the client has
// nothing to choose.
func clientDeployments() []deployment {
	both := func(services ...string) []string { return services }
	return []deployment{
		{name: "587 and 993", domain: domain, services: both(onPort587, imaps)},
		{
			name: "465 only", domain: "submissions.test", services: both(onPort465, imaps),
			names: map[string]web{"autoconfig.submissions.test": webWhole, "autodiscover.submissions.test": webWhole},
		},
		{
			name: "143 with STARTTLS only", domain: "starttls.test", services: both(onPort587, imapSTARTTLS),
		},
		{
			name: "the domain's own web site only", domain: "website.test", services: both(onPort587, imaps),
			names: map[string]web{"website.test": webWhole},
		},
		{
			name: "SRV records only", domain: "records.test", services: both(onPort587, imaps),
			names: map[string]web{},
		},
		{
			name: "login by local part", domain: "localpart.test", services: both(onPort587, imaps), login: "localpart",
		},
	}
}

func mailClients() []mailClient {
	wholeAddress := account{imaps, onPort587, "jane@localpart.test"}
	return []mailClient{
		{
			name: "KDE", pkg: "accountwizard", simulator: "kmail", ask: askKDE,
			differs: map[string]account{"records.test": {}}, // it does not ask for SRV records
		},
		{name: "Evolution", pkg: "libevolution", simulator: "evolution", ask: askEvolution},
		{name: "exchangelib", pkg: "python3-exchangelib", ask: askExchange},
		{
			name: "Geary", pkg: "geary", simulator: "geary", ask: askGeary,
			differs: map[string]account{
				"website.test":   {},           // it asks the host autoconfig. only
				"records.test":   {},           // nor for SRV records
				"localpart.test": wholeAddress, // it does not read the user name
			},
		},
		{
			name: "Claws Mail", pkg: "claws-mail", ask: askClaws,
			differs: map[string]account{
				// It does not ask for _submissions. What it leaves in the form is its own first guess, for a server of
				// the network it is in, and in clear.
				"submissions.test": {imaps, "clear-smtp://smtp.example.test:25", "jane@submissions.test"},
				"localpart.test":   wholeAddress, // SRV says no user name
			},
		},
		{
			name: "aerc", pkg: "aerc", simulator: "aerc", ask: askAerc,
			differs: map[string]account{
				"submissions.test": {imaps, "submissions://submissions.test", "jane@submissions.test"}, // its own guess
				"localpart.test":   wholeAddress,
			},
			// Where SRV tells of one direction, later versions guess nothing for the other.
			later: map[string]account{"submissions.test": {imaps, "", "jane@submissions.test"}},
		},
	}
}

// TestClients shows each client each deployment. What it sets up must be what mailconfd has verified and serves, as
// far as the client can read it.
func TestClients(t *testing.T) {
	w := newWorld(t)
	ip(t, "route", "add", "default", "via", mailIPv4) // without one, KDE believes that it is offline
	deployments := clientDeployments()
	serveDeployments(t, w, deployments)
	loadRecords(t, w, deployments)
	for _, c := range mailClients() {
		t.Run(c.name, func(t *testing.T) {
			t.Logf("%s %s", c.pkg, packageVersion(t, c.pkg))
			for _, d := range deployments {
				t.Run(d.name, func(t *testing.T) { checkClient(t, w, c, d) })
			}
		})
	}
}

// checkClient shows a client a deployment.
func checkClient(t *testing.T, w *world, c mailClient, d deployment) {
	start := time.Now()
	got := c.ask(t, w, d.user())
	t.Logf("%+v, after %v", got, time.Since(start).Round(time.Millisecond))
	want, differs := c.differs[d.domain]
	if !differs {
		want = d.offers()
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what %s set up (-want +got):\n%s", c.name, diff)
	}
	if c.simulator == "" {
		return
	}
	said, expected := predicted(t, w, d.user(), c.simulator).account(), got
	if later, ok := c.later[d.domain]; ok {
		expected = later
	}
	if diff := cmp.Diff(said, expected); diff != "" {
		t.Errorf("what %s set up, against what doctor said (-doctor +got):\n%s", c.name, diff)
	}
}

// offers is the account that the deployment is for: all its services, and the user name for them.
func (d deployment) offers() account {
	name := d.user()
	if d.login == "localpart" {
		name, _, _ = strings.Cut(name, "@")
	}
	return account{Incoming: d.services[1], Outgoing: d.services[0], Username: name}
}

// loadRecords puts into DNS what mailconfd says that each domain should have there. The names of its own web servers
// have addresses there already, so of what is printed only the SRV records are new.
func loadRecords(t *testing.T, w *world, deployments []deployment) {
	t.Helper()
	zone := zoneFile("")
	for _, d := range deployments {
		zone += d.zone()
		printed := string(run(t, 0, "records", d.domain, "--config", filepath.Join(w.dir, "deployments.yaml")))
		lines := slices.DeleteFunc(strings.SplitAfter(printed, "\n"), func(line string) bool {
			return !strings.Contains(line, " IN SRV ")
		})
		zone += strings.Join(lines, "")
	}
	w.names.load(t, zone)
}

// packageVersion is the version that is installed, for the log.
func packageVersion(t *testing.T, name string) string {
	t.Helper()
	version, err := exec.Command("dpkg-query", "-W", "-f", "${Version}", name).Output()
	if err != nil {
		t.Fatalf("package %s: %v", name, err)
	}
	return string(version)
}

//go:build real

package real

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// prediction is what "mailconfd doctor" says of one client.
type prediction struct {
	Client   string
	Settings []struct {
		Role, Host, Security, Username, Source string
		Port                                   uint16
	}
	Steps    []struct{ Did, Saw string }
	Findings []struct{ Kind, Weight, Detail string }
}

// predicted is what "mailconfd doctor" says that a client would do; client is a name that --client takes.
func predicted(t *testing.T, w *world, address, client string) prediction {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, program(t), "doctor", address, "--format", "json", "--client", client,
		"--ca-file", w.authority.rootFile, "--resolver", w.resolver)
	command.Stdout, command.Stderr = &stdout, &stderr
	// A finding about another matter is exit code 1, and no matter here.
	if err := command.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	if command.ProcessState.ExitCode() == 2 {
		t.Fatalf("mailconfd doctor, for %s: %s", client, stderr.Bytes())
	}
	return readPrediction(t, client, stdout.Bytes())
}

// readPrediction takes the client out of a report.
func readPrediction(t *testing.T, client string, document []byte) prediction {
	t.Helper()
	var report struct{ Clients []prediction }
	if err := json.Unmarshal(document, &report); err != nil {
		t.Fatalf("what doctor printed: %v\n%s", err, document)
	}
	if len(report.Clients) != 1 || report.Clients[0].Client != client {
		t.Fatalf("doctor reports on %d clients, want %s alone:\n%s", len(report.Clients), client, document)
	}
	return report.Clients[0]
}

// account is what the client would set up.
func (p prediction) account() account {
	var result account
	incoming, outgoing := "", ""
	for _, s := range p.Settings {
		if s.Role == "submission" {
			result.Outgoing, outgoing = serviceURL("smtp", s.Security, s.Host, fmt.Sprint(s.Port)), s.Username
		} else if result.Incoming == "" { // the first is the client's choice
			result.Incoming, incoming = serviceURL(s.Role, s.Security, s.Host, fmt.Sprint(s.Port)), s.Username
		}
	}
	if result.Outgoing == "" {
		outgoing = incoming
	}
	result.Username = bothNames(incoming, outgoing)
	return result
}

// conduct is what Thunderbird makes of a domain, as its user meets it.
type conduct struct {
	Account   account
	From      string // SubSource
	Waits     bool
	Questions int
}

// conduct is the prediction for Thunderbird.
func (p prediction) conduct(domain string) conduct {
	c := conduct{Account: p.account(), Questions: len(p.questions())}
	for _, f := range p.Findings {
		c.Waits = c.Waits || f.Kind == "slow_answer"
	}
	if len(p.Settings) > 0 {
		c.From = p.thunderbirdWay(domain, p.Settings[0].Source)
	}
	return c
}

// questions are the findings that Thunderbird asks its user something. A note is about other ways to type the address.
func (p prediction) questions() (details []string) {
	for _, f := range p.Findings {
		if f.Kind == "asks_the_user" && f.Weight != "note" {
			details = append(details, f.Detail)
		}
	}
	return details
}

// thunderbirdWay is the way to a source of settings, in Thunderbird's word; a source that it can have by several was
// led to by what the steps tell.
func (p prediction) thunderbirdWay(domain, source string) string {
	const path = "/autodiscover/autodiscover.xml"
	u, err := url.Parse(source)
	switch {
	case err != nil:
		return err.Error()
	case strings.HasSuffix(u.Path, "/mail/config-v1.1.xml"):
		return map[string]string{"https": ispHTTPS, "http": ispHTTP}[u.Scheme]
	case source == "https://autodiscover."+domain+path:
		return exchangeHTTPS
	case source == "https://"+domain+path:
		return exchangeDomain
	case source == "http://autodiscover."+domain+path: // it answers by a redirect that keeps the POST
		return exchangeRedirected
	}
	for _, s := range p.Steps {
		switch {
		case s.Did == "POST http://autodiscover."+domain+path && strings.HasSuffix(s.Saw, " to "+source):
			return exchangeRedirected
		case s.Did == "SRV _autodiscover._tcp."+domain && strings.Contains(s.Saw, u.Hostname()):
			return exchangeSRV
		}
	}
	return "no way that is known, to " + source
}

package probe_test

import (
	"bufio"
	"context"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailconfd/internal/lab"
	"mailconfd/probe"
	"mailconfd/settings"
)

// TestOpen: what is handed on is inside TLS, at the point where a client may log in.
func TestOpen(t *testing.T) {
	t.Parallel()
	_, prober := atLab(t, func(o *probe.Options) { o.Timeouts = probe.Timeouts{} })
	says := map[settings.Scheme]string{ // what the server says first, or to this
		settings.SchemeSubmission:  "EHLO x\r\n",
		settings.SchemeSubmissions: "220 ",
		settings.SchemeIMAP:        "a NOOP\r\n",
		settings.SchemeIMAPS:       "* OK ",
		settings.SchemePOP3:        "CAPA\r\n",
		settings.SchemePOP3S:       "+OK ",
		settings.SchemeSieve:       `"IMPLEMENTATION" `,
	}
	answers := map[string]string{"EHLO x\r\n": "250-", "a NOOP\r\n": "a OK", "CAPA\r\n": "+OK"}
	for _, s := range settings.Candidates(lab.Host) {
		conn, helo, failure := prober.Open(t.Context(), s)
		if failure != nil {
			t.Errorf("%s: %s", s, failure)
			continue
		}
		want := says[s.Scheme]
		if answer, ours := answers[want]; ours {
			_, _ = io.WriteString(conn, want)
			want = answer
		}
		line, err := bufio.NewReader(conn).ReadString('\n')
		if !strings.HasPrefix(line, want) || helo != "client.example.test" {
			t.Errorf("%s: %q, %v, want %q; helo %q", s, line, err, want, helo)
		}
		if err := conn.Close(); err != nil {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// TestOpenRefusesWhatProbeRefuses breaks services in each way that shows before a client
// may log in. Where TLS is implicit the greeting comes later, and its faults are not seen.
func TestOpenRefusesWhatProbeRefuses(t *testing.T) {
	t.Parallel()
	later := map[string]string{
		"imap://" + lab.Host: "client_certificate no_auth oauth_only",
		"submissions://" + lab.Host: "client_certificate no_auth oauth_only " +
			"timeout reset too_long protocol protocol/http temporary greeting",
	}
	var all sync.WaitGroup
	for url, unseen := range later {
		internet, prober := atLab(t, nil)
		s := service(t, url)
		all.Go(func() {
			for _, fault := range lab.Faults(s.Security()) {
				if slices.Contains(strings.Fields(unseen), fault.String()) {
					continue
				}
				if err := internet.BreakAs(s, fault); err != nil {
					t.Errorf("%s: %v", s, err)
					continue
				}
				conn, _, failure := prober.Open(t.Context(), s)
				if kindOf(failure) != fault.Kind || conn != nil {
					t.Errorf("%s: %s: got %v", s, fault, failure)
				}
			}
		})
	}
	all.Wait()
}

// TestOpenClamps: neither a caller nor a server can stretch an open connection.
func TestOpenClamps(t *testing.T) {
	t.Parallel()
	cert := newPKI(t).leaf(t, leafOptions{}).pair()
	for name, cancel := range map[string]bool{"the time is over": false, "ctx ends": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := &stage{t: t, connections: [][]string{{"TLS", "WAIT 10h"}}, cert: cert, end: make(chan struct{})}
				prober := probe.New(probe.Options{
					Resolver: address("192.0.2.1"), Dial: network.dial, Roots: pkiPool(cert), HELO: "client.example.org",
					Now: func() time.Time { return testNow },
				})
				ctx, stop := context.WithCancel(t.Context())
				conn, _, failure := prober.Open(ctx, service(t, "imaps://mail.example.org"))
				if failure != nil {
					t.Fatal(failure)
				}
				start := time.Now()
				for _, set := range []func(time.Time) error{conn.SetDeadline, conn.SetReadDeadline, conn.SetWriteDeadline} {
					_ = set(time.Now().Add(time.Hour))
					_ = set(time.Time{})
				}
				if cancel {
					time.AfterFunc(time.Second, stop)
				}
				_, err := conn.Read(make([]byte, 1))
				if took := time.Since(start); err == nil || cancel && took != time.Second || !cancel && took != time.Minute {
					t.Errorf("a read ended after %s with %v", took, err)
				}
				_ = conn.Close()
				stop()
				close(network.end)
				network.servers.Wait()
			})
		})
	}
}

// TestOpenGoesOnToTheNextAddress: as clients do, from an address that cannot be reached,
// and not from one whose certificate is wrong.
func TestOpenGoesOnToTheNextAddress(t *testing.T) {
	t.Parallel()
	internet, prober := atLab(t, nil)
	s := service(t, "imaps://"+lab.Host)
	ips := internet.Lookup(lab.Host)
	for kind, want := range map[settings.FailureKind]settings.FailureKind{
		settings.FailureRefused: "", settings.FailureCertificateName: settings.FailureCertificateName,
	} {
		if err := internet.BreakAt(ips[0], s, lab.Fault{Kind: kind}); err != nil {
			t.Fatal(err)
		}
		conn, _, failure := prober.Open(t.Context(), s)
		if failure == nil {
			_ = conn.Close()
		}
		if got := kindOf(failure); got != want {
			t.Errorf("%s at the first address: %v", kind, failure)
		}
	}
	if _, _, failure := prober.Open(t.Context(), settings.Service{Scheme: "gopher", Host: lab.Host, Port: 70}); kindOf(failure) != settings.FailureLocal {
		t.Errorf("an unknown scheme: %v", failure)
	}
	if _, _, failure := prober.Open(t.Context(), service(t, "imaps://nowhere.example.test")); kindOf(failure) != settings.FailureDNS {
		t.Errorf("a name without an address: %v", failure)
	}
}

func kindOf(f *settings.Failure) settings.FailureKind {
	if f == nil {
		return ""
	}
	return f.Kind
}

package probe_test

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"mailconfd/internal/lab"
	"mailconfd/probe"
	"mailconfd/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// labNames looks names up in the lab's data.
type labNames struct{ *lab.Internet }

func (n labNames) Addresses(_ context.Context, host string) ([]netip.Addr, bool, error) {
	return n.Lookup(host), false, nil
}

// atLab returns a prober that sees a new lab. Its waits are short where a fault makes it
// wait, and long where only a healthy server does.
func atLab(t *testing.T, change func(*probe.Options)) (*lab.Internet, *probe.Prober) {
	t.Helper()
	internet, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = internet.Close() })
	options := probe.Options{
		Resolver: labNames{internet},
		Dial:     internet.Dial,
		Roots:    internet.CA().Pool(),
		HELO:     "client.example.test",
		Timeouts: probe.Timeouts{
			Connect: 2 * time.Second, Greeting: 4 * time.Second, Silence: 500 * time.Millisecond,
			Handshake: 5 * time.Second, Dialogue: 20 * time.Second,
		},
	}
	if change != nil {
		change(&options)
	}
	return internet, probe.New(options)
}

// An address that never answers, as a host's IPv6 address often is, must not hold back
// what is known of the service.
func TestOneSilentAddressDoesNotHoldBackTheOther(t *testing.T) {
	t.Parallel()
	internet, prober := atLab(t, func(o *probe.Options) {
		o.Timeouts = probe.Timeouts{Others: 100 * time.Millisecond}
	})
	s := settings.Service{Scheme: settings.SchemeIMAPS, Host: lab.Host, Port: 993}
	ips := internet.Lookup(lab.Host)
	if err := internet.BreakAt(ips[1], s, lab.Fault{Kind: settings.FailureTimeout}); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	o := prober.Probe(t.Context(), s)
	if took := time.Since(start); took > 15*time.Second {
		t.Errorf("took %s, as long as the silent address would", took)
	}
	v := o.Verdict()
	if !v.Verified || len(v.Warnings) != 1 || v.Warnings[0].Kind != settings.WarnAddressFailed || !strings.Contains(v.Warnings[0].Detail, "timeout: no result long after another") {
		t.Errorf("got %+v, want verified with a warning", v)
	}
}

// Nothing that is seen through a proxy proves a port closed.
func TestProxiedIsSaid(t *testing.T) {
	t.Parallel()
	for _, proxied := range []bool{false, true} {
		internet, prober := atLab(t, func(o *probe.Options) { o.Proxied = proxied })
		s := settings.Service{Scheme: settings.SchemePOP3, Host: lab.Host, Port: 110}
		if err := internet.Break(s, settings.FailureRefused); err != nil {
			t.Fatal(err)
		}
		o := prober.Probe(t.Context(), s)
		if v := o.Verdict(); v.Failure == nil || v.Failure.Kind != settings.FailureRefused || o.Closed() == proxied {
			t.Errorf("proxied %v: %v, closed %v", proxied, v.Failure, o.Closed())
		}
	}
}

func TestHealthyLab(t *testing.T) {
	t.Parallel()
	_, prober := atLab(t, func(o *probe.Options) { o.Timeouts = probe.Timeouts{} })
	want := map[settings.Service]settings.Mechanisms{}
	for _, s := range settings.Candidates(lab.Host) {
		want[s] = settings.Mechanisms{"PLAIN", "LOGIN"}
	}
	got := map[settings.Service]settings.Mechanisms{}
	prober.Round(t.Context(), settings.Candidates(lab.Host), func(o settings.Observation) {
		v := o.Verdict()
		if !v.Verified || len(o.Addresses) != 2 || v.Local {
			t.Errorf("%s: %v, %d addresses, local %v; transcript:\n%s", o.Service, v.Failure, len(o.Addresses), v.Local, transcripts(o))
		}
		if len(v.Warnings) > 0 {
			t.Errorf("%s: warnings %v", o.Service, v.Warnings)
		}
		if v.TLS == nil || v.TLS.Version != "TLS 1.3" || !slices.Equal(v.TLS.SubjectNames, []string{lab.Host}) || len(v.TLS.SPKISHA256) != 64 {
			t.Errorf("%s: TLS %+v", o.Service, v.TLS)
		}
		mechanisms := slices.DeleteFunc(slices.Clone(v.Auth), func(m string) bool { return m == "USER" })
		slices.SortFunc(mechanisms, func(a, b string) int { return strings.Compare(b, a) })
		got[o.Service] = mechanisms
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mechanisms (-want +got):\n%s", diff)
	}
}

func transcripts(o settings.Observation) string {
	text := ""
	for _, a := range o.Addresses {
		for _, line := range a.Transcript {
			text += line + "\n"
		}
	}
	return text
}

// TestEveryFault breaks each service in each way that the lab knows: it must be seen as
// what it is, at every address. The services take turns of their own, side by side, as
// most of the time is spent waiting.
func TestEveryFault(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for _, s := range settings.Candidates(lab.Host) {
		internet, prober := atLab(t, nil)
		all.Go(func() {
			for _, fault := range lab.Faults(s.Security()) {
				if err := internet.BreakAs(s, fault); err != nil {
					t.Errorf("%s: %v", s, err)
					continue
				}
				checkFault(t, prober.Probe(t.Context(), s), fault)
			}
			if err := internet.Mend(s); err != nil {
				t.Errorf("%s: %v", s, err)
			}
			if o := prober.Probe(t.Context(), s); !o.Verdict().Verified {
				t.Errorf("%s: mended: %v", s, o.Verdict().Failure)
			}
		})
	}
	all.Wait()
}

func checkFault(t *testing.T, o settings.Observation, fault lab.Fault) {
	t.Helper()
	for _, a := range o.Addresses {
		if a.Failure == nil || a.Failure.Kind != fault.Kind {
			t.Errorf("%s: %s: got %v\n%s", o.Service, fault, a.Failure, transcripts(o))
			return
		}
	}
	v := o.Verdict()
	if len(o.Addresses) != 2 || v.Verified || v.Failure.Kind != fault.Kind {
		t.Errorf("%s: %s: %d addresses, verdict %+v", o.Service, fault, len(o.Addresses), v)
	}
	// What the handshake told is kept when the certificate is refused.
	if certificate := strings.HasPrefix(string(fault.Kind), "certificate_"); certificate && (v.TLS == nil || v.TLS.SPKISHA256 == "") {
		t.Errorf("%s: %s: TLS %+v", o.Service, fault, v.TLS)
	}
	checkBounds(t, o)
}

// checkBounds checks what holds for every observation, whatever a server does.
func checkBounds(t *testing.T, o settings.Observation) {
	t.Helper()
	for _, a := range o.Addresses {
		if len(a.Transcript) > 61 {
			t.Errorf("%s: a transcript of %d lines", o.Service, len(a.Transcript))
		}
		for _, line := range a.Transcript {
			if len(line) > 210 {
				t.Errorf("%s: a line of %d bytes", o.Service, len(line))
			}
		}
		if a.Failure != nil && (a.Failure.Detail == "" || len(a.Failure.Detail) > 310) {
			t.Errorf("%s: detail %q", o.Service, a.Failure.Detail)
		}
	}
}

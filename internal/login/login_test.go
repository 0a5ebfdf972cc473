package login_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"mailconfd/internal/lab"
	"mailconfd/internal/login"
	"mailconfd/probe"
	"mailconfd/settings"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// labNames looks names up in the lab's data.
type labNames struct{ *lab.Internet }

func (n labNames) Addresses(_ context.Context, host string) ([]netip.Addr, bool, error) {
	return n.Lookup(host), false, nil
}

// wiretap is what went over the wire, from us, as whoever is on the way sees it.
type wiretap struct {
	mu   sync.Mutex
	sent strings.Builder
}

type tapped struct {
	net.Conn
	*wiretap
}

func (t *tapped) Write(p []byte) (int, error) {
	t.mu.Lock()
	_, _ = t.sent.Write(p)
	t.mu.Unlock()
	return t.Conn.Write(p)
}

func (w *wiretap) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sent.String()
}

// atLab returns a lab and the prober that looks at it, whose octets are recorded.
func atLab(t testing.TB) (*lab.Internet, *probe.Prober, *wiretap) {
	t.Helper()
	internet, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = internet.Close() })
	tap := &wiretap{}
	return internet, probe.New(probe.Options{
		Resolver: labNames{internet},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			conn, err := internet.Dial(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return &tapped{conn, tap}, nil
		},
		Roots: internet.CA().Pool(), HELO: "client.example.test",
	}), tap
}

func address(t testing.TB, text string) settings.Address {
	t.Helper()
	a, err := settings.ParseAddress(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func jane(t testing.TB) login.Account {
	t.Helper()
	return login.NewAccount(address(t, lab.User), lab.Password)
}

// say writes a login as "ADDRESS LOCALPART KIND: DETAIL", with + for accepted, - for
// rejected and ? for untried.
func say(l settings.Login) string {
	marks := map[settings.LoginOutcome]string{settings.LoginAccepted: "+", settings.LoginRejected: "-", settings.LoginUntried: "?"}
	text := marks[l.Address] + " " + marks[l.LocalPart]
	if l.Failure != nil {
		text += " " + l.Failure.String()
	}
	return text
}

// TestForms: every service of the lab, with every form that it may take.
func TestForms(t *testing.T) {
	t.Parallel()
	rejections := map[settings.Role]string{
		settings.RoleSubmission: "answered 535 5.7.8", settings.RoleIMAP: "answered NO [AUTHENTICATIONFAILED]",
		settings.RolePOP3: "answered -ERR [AUTH]", settings.RoleSieve: "answered NO",
	}
	for _, tt := range []struct {
		name     string
		takes    lab.Logins
		declared settings.Username
		password string
		want     string // NO stands for how the protocol rejects
	}{
		{"address", lab.Logins{Address: true}, settings.UsernameAddress, lab.Password, "+ ?"},
		{"address, and the local part works too", lab.Logins{Address: true, LocalPart: true}, settings.UsernameAddress, lab.Password, "+ ?"},
		{"address, but it is the local part", lab.Logins{LocalPart: true}, settings.UsernameAddress, lab.Password, "- + login_rejected: the whole address: NO"},
		{"local part", lab.Logins{LocalPart: true}, settings.UsernameLocalPart, lab.Password, "- + login_rejected: the whole address: NO"},
		{"local part, and the address works too", lab.Logins{Address: true, LocalPart: true}, settings.UsernameLocalPart, lab.Password, "+ +"},
		{"local part, but it is the address", lab.Logins{Address: true}, settings.UsernameLocalPart, lab.Password, "+ - login_rejected: the local part: NO"},
		{"wrong password", lab.Logins{Address: true, LocalPart: true}, settings.UsernameAddress, "wrong", "- - login_rejected: the whole address: NO; the local part: NO"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			internet, prober, tap := atLab(t)
			account := login.NewAccount(address(t, lab.User), tt.password)
			for _, s := range settings.Candidates(lab.Host) {
				if err := internet.SetLogins(s, tt.takes); err != nil {
					t.Fatal(err)
				}
				before := connections(internet, s)
				l := login.Check(t.Context(), prober, s, account, tt.declared)
				want := strings.ReplaceAll(tt.want, "NO", rejections[s.Role()])
				if diff := cmp.Diff(want, say(l)); diff != "" {
					t.Errorf("%s (-want +got)\n%s", s, diff)
				}
				if l.Service != s || l.Tried.IsZero() || !l.At.Equal(l.Tried) {
					t.Errorf("%s: %+v", s, l)
				}
				tries := 2 - strings.Count(tt.want[:3], "?")
				if got := connections(internet, s) - before; got != tries {
					t.Errorf("%s: %d connections, want one for each form", s, got)
				}
			}
			if hidden(tap.String(), tt.password) != "" {
				t.Error("the password went over the wire in clear")
			}
		})
	}
}

func connections(internet *lab.Internet, s settings.Service) int {
	n := 0
	for _, ip := range internet.Lookup(s.Host) {
		n += internet.Dials(netip.AddrPortFrom(ip, s.Port))
	}
	return n
}

// TestRefused: a server that offers passwords and takes none, as Microsoft 365 does.
func TestRefused(t *testing.T) {
	t.Parallel()
	internet, prober, _ := atLab(t)
	for url, want := range map[string]string{
		"submission://" + lab.Host: "- ? login_refused: the whole address: answered 535 5.7.139, basic authentication is disabled",
		"imaps://" + lab.Host:      "- - login_rejected: the whole address: answered NO [AUTHENTICATIONFAILED]; the local part: answered NO [AUTHENTICATIONFAILED]",
	} {
		s, err := settings.ParseService(url)
		if err != nil {
			t.Fatal(err)
		}
		if err := internet.SetLogins(s, lab.Logins{}); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, say(login.Check(t.Context(), prober, s, jane(t), settings.UsernameAddress))); diff != "" {
			t.Errorf("%s (-want +got)\n%s", url, diff)
		}
	}
}

// TestWithoutTLSThereIsNoLogin breaks services after they were verified, in each way in
// which TLS can fail: nothing that is sent holds the password.
func TestWithoutTLSThereIsNoLogin(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"submission", "imap", "pop3", "sieve", "submissions", "imaps", "pop3s"} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			internet, prober, tap := atLab(t)
			s, err := settings.ParseService(url + "://" + lab.Host)
			if err != nil {
				t.Fatal(err)
			}
			kinds := []settings.FailureKind{
				settings.FailureNoSTARTTLS, settings.FailureSTARTTLSInjection, settings.FailurePlaintextOnTLSPort, settings.FailureTLS, settings.FailureCertificateName,
				settings.FailureCertificateExpired, settings.FailureCertificateNotYet, settings.FailureCertificateChain, settings.FailureCertificateRoot,
			}
			for _, kind := range kinds {
				if internet.Break(s, kind) != nil {
					continue // not in this kind of service
				}
				l := login.Check(t.Context(), prober, s, jane(t), settings.UsernameAddress)
				if l.Failure == nil || l.Failure.Kind != kind || l.Accepted() || l.Rejected() || !l.At.IsZero() {
					t.Errorf("%s: %s", kind, say(l))
				}
			}
			if leak := hidden(tap.String(), lab.Password); leak != "" {
				t.Errorf("%q was sent", leak)
			}
		})
	}
}

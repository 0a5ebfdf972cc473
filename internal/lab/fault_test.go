package lab_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailconfd/internal/lab"
	"mailconfd/settings"
)

// Every fault, on every service that can have it, is seen on the wire as it was meant.
func TestFaultsAreShown(t *testing.T) {
	t.Parallel()
	looks := looks()
	for _, s := range settings.Candidates(lab.Host) {
		t.Run(address(s), func(t *testing.T) {
			t.Parallel()
			internet := newLab(t)
			for _, fault := range lab.Faults(s.Security()) {
				look, ok := looks[fault]
				if !ok {
					t.Errorf("%s: no test looks at it", fault)
					continue
				}
				if fault.Does() == "" {
					t.Errorf("%s: nothing says what it does", fault)
				}
				if err := internet.BreakAs(s, fault); err != nil {
					t.Fatal(err)
				}
				t.Run(fault.String(), func(t *testing.T) { look(t, internet, s) })
			}
			if err := internet.Mend(s); err != nil {
				t.Fatal(err)
			}
			if err := dial(t, internet, s).enter(trusting(internet)); err != nil {
				t.Errorf("mended: %v", err)
			}
		})
	}
}

// Every kind that a server can show to a prober is shown; those that it cannot show, and
// those that only a login meets, are refused.
func TestFaultsAreComplete(t *testing.T) {
	t.Parallel()
	all := append(lab.Faults(settings.STARTTLS), lab.Faults(settings.ImplicitTLS)...)
	internet := newLab(t)
	for _, text := range settings.Failures() {
		shown := slices.ContainsFunc(all, func(f lab.Fault) bool { return f.Kind == text.Kind })
		unseen := []settings.FailureKind{
			settings.FailureDNS, settings.FailureLocal, settings.FailureLoginRejected, settings.FailureLoginRefused,
			settings.FailureInsecureRedirect, settings.FailureWellKnown, // the lab has no services over HTTP
		}
		if want := !slices.Contains(unseen, text.Kind); shown != want {
			t.Errorf("%s: shown %t, want %t", text.Kind, shown, want)
		}
		if err := internet.Break(service(t, "imaps"), text.Kind); !shown && err == nil {
			t.Errorf("%s: want an error", text.Kind)
		}
	}
}

func TestFaultThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	err := internet.Break(service(t, "submissions"), settings.FailureNoSTARTTLS)
	want := "break submissions://mail.example.test:465: no_starttls makes no sense there; possible are unreachable, refused, timeout, "
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s …", err, want)
	}
	err = internet.Break(settings.Service{Scheme: settings.SchemeIMAP, Host: "other.test", Port: 143}, settings.FailureRefused)
	want = `break a service: no service "imap://other.test:143"; there are submission, submission:2525, submissions, imaps, imap, pop3s, pop3, sieve`
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}

type look func(*testing.T, *lab.Internet, settings.Service)

// looks says for every fault how it is seen.
func looks() map[lab.Fault]look {
	kind := func(k settings.FailureKind) lab.Fault { return lab.Fault{Kind: k} }
	all := map[lab.Fault]look{
		kind(settings.FailureUnreachable):                    wantDialError(syscall.EHOSTUNREACH),
		kind(settings.FailureRefused):                        wantDialError(syscall.ECONNREFUSED),
		{settings.FailureTimeout, lab.VariantConnect}:        wantConnectTimeout,
		{settings.FailureTimeout, lab.VariantSilent}:         wantSilence,
		kind(settings.FailureTimeout):                        wantTarPit,
		kind(settings.FailureReset):                          wantReset,
		kind(settings.FailureTooLong):                        wantFlood,
		kind(settings.FailureProtocol):                       wantInstead(always("SSH-2.0-")),
		{settings.FailureProtocol, lab.VariantHTTP}:          wantInstead(always("HTTP/1.1 408 ")),
		kind(settings.FailureTemporary):                      wantInstead(busyGreeting),
		{settings.FailureTemporary, lab.VariantClose}:        func(t *testing.T, n *lab.Internet, s settings.Service) { dial(t, n, s).wantEnd() },
		{settings.FailureTemporary, lab.VariantSTARTTLS}:     wantBusyTLS,
		kind(settings.FailureGreeting):                       wantInstead(refusal),
		kind(settings.FailurePlaintextOnTLSPort):             wantPlaintextGreeting,
		kind(settings.FailureTLSOnPlaintextPort):             wantImplicitTLS,
		kind(settings.FailureNoSTARTTLS):                     wantNoSTARTTLS,
		kind(settings.FailureSTARTTLSInjection):              wantInjection,
		{settings.FailureSTARTTLSInjection, lab.VariantLate}: wantLateInjection,
		kind(settings.FailureTLS):                            wantOldTLS,
		{settings.FailureTLS, lab.VariantAlert}:              wantAlert,
		kind(settings.FailureClientCertificate):              wantClientCertificate,
		kind(settings.FailureNoAuth):                         wantMechanisms(nil),
		kind(settings.FailureOAuthOnly):                      wantMechanisms([]string{"XOAUTH2", "OAUTHBEARER"}),
	}
	for fault, flaw := range flaws() {
		all[fault] = func(t *testing.T, internet *lab.Internet, s settings.Service) {
			c := dial(t, internet, s)
			if err := c.enter(trustful()); err != nil {
				t.Fatal(err)
			}
			flaw(t, internet.CA(), c.conn.(*tls.Conn).ConnectionState().PeerCertificates)
			wantPassword(t, c)
		}
	}
	return all
}

func always(text string) func(settings.Role) string {
	return func(settings.Role) string { return text }
}

func busyGreeting(role settings.Role) string {
	return map[settings.Role]string{
		settings.RoleSubmission: "421 4.7.0 ",
		settings.RoleIMAP:       "* BYE [UNAVAILABLE] ",
		settings.RolePOP3:       "-ERR [SYS/TEMP] ",
		settings.RoleSieve:      "BYE (TRYLATER) ",
	}[role]
}

func refusal(role settings.Role) string {
	return map[settings.Role]string{
		settings.RoleSubmission: "554 5.7.1 ",
		settings.RoleIMAP:       "* BYE IMAP ",
		settings.RolePOP3:       "-ERR [SYS/PERM] ",
		settings.RoleSieve:      "BYE \"ManageSieve ",
	}[role]
}

// open connects, and starts TLS where it is implicit.
func open(t *testing.T, internet *lab.Internet, s settings.Service) *client {
	t.Helper()
	c := dial(t, internet, s)
	if s.Security() == settings.ImplicitTLS {
		if err := c.handshake(trusting(internet)); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func wantDialError(want error) look {
	return func(t *testing.T, internet *lab.Internet, s settings.Service) {
		if _, err := internet.Dial(t.Context(), "tcp", address(s)); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
	}
}

func wantConnectTimeout(t *testing.T, internet *lab.Internet, s settings.Service) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := internet.Dial(ctx, "tcp4", address(s)); !isTimeout(err) {
		t.Errorf("got %v, want a time-out", err)
	}
}

func wantSilence(t *testing.T, internet *lab.Internet, s settings.Service) {
	c := dial(t, internet, s)
	c.send("anything")
	if err := c.conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.reader.Read(make([]byte, 100)); n != 0 || !isTimeout(err) {
		t.Errorf("got %d bytes and %v, want a time-out", n, err)
	}
}

// A tar pit goes on beyond any deadline for a single read.
func wantTarPit(t *testing.T, internet *lab.Internet, s settings.Service) {
	c := open(t, internet, s)
	got := make([]byte, 3)
	if _, err := io.ReadFull(c.reader, got); err != nil {
		t.Fatal(err)
	}
	greeting := map[settings.Role]string{
		settings.RoleSubmission: "220", settings.RoleIMAP: "* O", settings.RolePOP3: "+OK", settings.RoleSieve: `"XC`,
	}
	if string(got) != greeting[s.Role()] {
		t.Errorf("got %q, want what looks like a greeting", got)
	}
}

func wantReset(t *testing.T, internet *lab.Internet, s settings.Service) {
	c := open(t, internet, s)
	c.greeting()
	c.send("NOOP")
	if _, err := io.ReadAll(c.reader); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("got %v, want a reset", err)
	}
}

func wantFlood(t *testing.T, internet *lab.Internet, s settings.Service) {
	c := open(t, internet, s)
	longest, total := 0, 0
	for _, line := range c.greeting() {
		longest, total = max(longest, len(line)), total+len(line)
	}
	if total < 9_000_000 {
		t.Errorf("got a greeting of %d bytes, want 10 MB", total)
	}
	oneLine := s.Role() == settings.RoleIMAP || s.Role() == settings.RolePOP3
	if oneLine != (longest == total) || !oneLine && longest > 512 {
		t.Errorf("got lines of up to %d bytes", longest)
	}
	wantPasswordOrStart(t, c)
}

// wantInstead expects a line in place of the greeting, inside TLS where it is implicit,
// and the end.
func wantInstead(line func(settings.Role) string) look {
	return func(t *testing.T, internet *lab.Internet, s settings.Service) {
		c := open(t, internet, s)
		c.want(line(s.Role()))
		if _, err := io.ReadAll(c.reader); err != nil {
			t.Errorf("got %v, want the end", err)
		}
	}
}

func wantBusyTLS(t *testing.T, internet *lab.Internet, s settings.Service) {
	c := dial(t, internet, s)
	c.greeting()
	if !offersStart(c.capabilities()) {
		t.Error("STARTTLS is not offered")
	}
	command, _ := c.startCommand()
	c.send(command)
	c.want(map[settings.Role]string{
		settings.RoleSubmission: "454 4.7.0 ",
		settings.RoleIMAP:       "s1 NO [UNAVAILABLE] ",
		settings.RolePOP3:       "-ERR [SYS/TEMP] ",
		settings.RoleSieve:      "NO (TRYLATER) ",
	}[s.Role()])
}

func wantPlaintextGreeting(t *testing.T, internet *lab.Internet, s settings.Service) {
	c := dial(t, internet, s)
	c.greeting()
	if !offersStart(c.capabilities()) {
		t.Error("STARTTLS is not offered")
	}
	other := dial(t, internet, s)
	var plain tls.RecordHeaderError
	if err := other.handshake(trusting(internet)); !errors.As(err, &plain) {
		t.Errorf("handshake: got %v, want what is no TLS record", err)
	}
}

func wantImplicitTLS(t *testing.T, internet *lab.Internet, s settings.Service) {
	c := dial(t, internet, s)
	if err := c.handshake(trusting(internet)); err != nil {
		t.Fatal(err)
	}
	c.greeting()
	wantPassword(t, c)
}

func wantNoSTARTTLS(t *testing.T, internet *lab.Internet, s settings.Service) {
	c := dial(t, internet, s)
	c.greeting()
	if offersStart(c.capabilities()) {
		t.Error("STARTTLS is offered")
	}
	wantPassword(t, c)
	command, _ := c.startCommand()
	c.send(command)
	c.want(map[settings.Role]string{
		settings.RoleSubmission: "502 5.5.1 ",
		settings.RoleIMAP:       "s1 BAD ",
		settings.RolePOP3:       "-ERR ",
		settings.RoleSieve:      "NO ",
	}[s.Role()])
}

func wantInjection(t *testing.T, internet *lab.Internet, s settings.Service) {
	c := dial(t, internet, s)
	c.greeting()
	command, yes := c.startCommand()
	c.send(command)
	segment := make([]byte, 4096)
	n, err := c.conn.Read(segment)
	if err != nil {
		t.Fatal(err)
	}
	answer, extra, _ := strings.Cut(string(segment[:n]), "\r\n")
	if !strings.HasPrefix(answer, yes) || !strings.HasSuffix(extra, "\r\n") {
		t.Fatalf("got %q, want the answer and more in one segment", segment[:n])
	}
	c.reader.Reset(c.conn)
	if err := c.handshake(trusting(internet)); err != nil {
		t.Errorf("a client that takes no notice gets no TLS: %v", err)
	}
}

func wantLateInjection(t *testing.T, internet *lab.Internet, s settings.Service) {
	c := dial(t, internet, s)
	c.greeting()
	var plain tls.RecordHeaderError
	if err := c.startTLS(trusting(internet)); !errors.As(err, &plain) {
		t.Fatalf("got %v, want text in place of a TLS record", err)
	}
	for _, b := range plain.RecordHeader {
		if (b < ' ' || b > '~') && b != '\r' && b != '\n' {
			t.Errorf("record header %q is no text", plain.RecordHeader)
		}
	}
}

func wantOldTLS(t *testing.T, internet *lab.Internet, s settings.Service) {
	c := dial(t, internet, s)
	if err := c.enter(trusting(internet)); err == nil || !strings.Contains(err.Error(), "protocol version not supported") {
		t.Errorf("got %v, want the alert protocol_version", err)
	}
	old := trusting(internet)
	old.MinVersion, old.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	c = dial(t, internet, s)
	if err := c.enter(old); err != nil {
		t.Fatalf("an old client gets: %v", err)
	}
	if got := c.conn.(*tls.Conn).ConnectionState().Version; got != tls.VersionTLS11 {
		t.Errorf("got %s, want TLS 1.1", tls.VersionName(got))
	}
}

func wantAlert(t *testing.T, internet *lab.Internet, s settings.Service) {
	if err := dial(t, internet, s).enter(trustful()); err == nil || !strings.Contains(err.Error(), "internal error") {
		t.Errorf("got %v, want the alert internal_error", err)
	}
}

func wantClientCertificate(t *testing.T, internet *lab.Internet, s settings.Service) {
	c := dial(t, internet, s)
	if s.Security() == settings.STARTTLS {
		c.greeting()
	}
	if err := c.startTLS(trusting(internet)); err != nil {
		t.Fatalf("handshake: %v, want it to end well for the client", err)
	}
	_, err := c.reader.ReadByte()
	var alert tls.AlertError
	if err == nil || !errors.As(err, &alert) && !strings.Contains(err.Error(), "certificate required") {
		t.Errorf("first read: got %v, want the alert certificate_required", err)
	}
}

func wantMechanisms(want []string) look {
	return func(t *testing.T, internet *lab.Internet, s settings.Service) {
		c := dial(t, internet, s)
		if err := c.enter(trusting(internet)); err != nil {
			t.Fatal(err)
		}
		offered := c.capabilities()
		if diff := cmp.Diff(want, mechanismsIn(offered)); diff != "" {
			t.Errorf("mechanisms in %q (-want +got):\n%s", offered, diff)
		}
		if s.Role() == settings.RoleIMAP && !slices.Contains(offered, "LOGINDISABLED") {
			t.Errorf("no LOGINDISABLED in %q", offered)
		}
		if slices.Contains(offered, "USER") {
			t.Errorf("USER in %q", offered)
		}
	}
}

// wantPassword expects PLAIN and LOGIN to be offered here.
func wantPassword(t *testing.T, c *client) {
	t.Helper()
	offered := c.capabilities()
	if diff := cmp.Diff([]string{"PLAIN", "LOGIN"}, mechanismsIn(offered)); diff != "" {
		t.Errorf("mechanisms in %q (-want +got):\n%s", offered, diff)
	}
	if slices.Contains(offered, "LOGINDISABLED") {
		t.Errorf("LOGINDISABLED in %q", offered)
	}
}

// wantPasswordOrStart expects the server to go on as a healthy one.
func wantPasswordOrStart(t *testing.T, c *client) {
	t.Helper()
	if c.service.Security() == settings.ImplicitTLS {
		wantPassword(t, c)
	} else if !offersStart(c.capabilities()) {
		t.Error("STARTTLS is not offered")
	}
}

func offersStart(capabilities []string) bool {
	return slices.ContainsFunc(capabilities, func(line string) bool {
		return slices.Contains([]string{"STARTTLS", "250-STARTTLS", "STLS", `"STARTTLS"`}, line)
	})
}

// mechanismsIn finds the SASL mechanisms in any of the four protocols' lists.
func mechanismsIn(capabilities []string) []string {
	var found []string
	for _, line := range capabilities {
		if mechanism, ok := strings.CutPrefix(line, "AUTH="); ok {
			found = append(found, mechanism)
		}
		for _, prefix := range []string{"250-AUTH ", "250 AUTH ", "SASL ", `"SASL" `} {
			if list, ok := strings.CutPrefix(line, prefix); ok {
				found = append(found, strings.Fields(strings.Trim(list, `"`))...)
			}
		}
	}
	return found
}

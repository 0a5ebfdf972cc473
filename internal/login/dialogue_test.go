package login_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailconfd/internal/login"
	"mailconfd/settings"
)

// theatre is an Opener behind which scripted servers stand, in place of TLS.
type theatre struct {
	t       testing.TB
	play    func(conn net.Conn)
	servers sync.WaitGroup
	opened  int
}

func (o *theatre) Open(ctx context.Context, _ settings.Service) (net.Conn, string, *settings.Failure) {
	o.opened++
	ours, theirs := net.Pipe()
	o.servers.Go(func() {
		defer theirs.Close()
		o.play(theirs)
	})
	end := time.Now().Add(time.Minute)
	if by, ok := ctx.Deadline(); ok && by.Before(end) {
		end = by
	}
	return &clamped{ours, end}, "client.example.test", nil
}

// clamped keeps deadlines as probe's Open does.
type clamped struct {
	net.Conn
	end time.Time
}

func (c *clamped) at(t time.Time) time.Time {
	if t.IsZero() || t.After(c.end) {
		return c.end
	}
	return t
}

func (c *clamped) SetDeadline(t time.Time) error      { return c.Conn.SetDeadline(c.at(t)) }
func (c *clamped) SetReadDeadline(t time.Time) error  { return c.Conn.SetReadDeadline(c.at(t)) }
func (c *clamped) SetWriteDeadline(t time.Time) error { return c.Conn.SetWriteDeadline(c.at(t)) }

// script plays lines: "S: " is sent, "C: " is what must come, a word in capitals is done.
// In "C: " lines PLAIN, USER and PASS stand for what holds the password.
func script(t testing.TB, a login.Account, password string, lines ...string) func(net.Conn) {
	return func(conn net.Conn) {
		user := a.Address().String()
		stand := strings.NewReplacer(
			"PLAIN64", base64.StdEncoding.EncodeToString([]byte("\x00"+user+"\x00"+password)),
			"USER64", base64.StdEncoding.EncodeToString([]byte(user)), "PASS64", base64.StdEncoding.EncodeToString([]byte(password)),
			"USERNAME", user, "PASSWORD", password)
		reader := bufio.NewReader(conn)
		for _, line := range lines {
			switch word, rest, _ := strings.Cut(line, " "); word {
			case "S:":
				if _, err := io.WriteString(conn, stand.Replace(rest)+"\r\n"); err != nil {
					return
				}
			case "RAW":
				text, err := strconv.Unquote(rest)
				if err != nil {
					t.Error(err)
				}
				_, _ = io.WriteString(conn, text)
			case "C:":
				got, err := reader.ReadString('\n')
				if want := stand.Replace(rest) + "\r\n"; got != want {
					t.Errorf("got %q, %v, want %q", got, err, want)
					return
				}
			case "HANG":
				_, _ = io.Copy(io.Discard, reader)
			case "DROP":
				return
			}
		}
		_, _ = io.Copy(io.Discard, reader) // the goodbye
	}
}

// TestDialogues plays servers of every kind. What is expected comes from the protocols'
// specifications, and from the servers named.
func TestDialogues(t *testing.T) {
	t.Parallel()
	smtp := []string{"S: 220 mail.example.test ESMTP", "C: EHLO client.example.test", "S: 250-mail.example.test", "S: 250 AUTH PLAIN LOGIN", "C: AUTH PLAIN PLAIN64"}
	imap := []string{"S: * OK ready", "C: a1 CAPABILITY", "S: * CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN", "S: a1 OK", "C: a2 AUTHENTICATE PLAIN", "S: + ", "C: PLAIN64"}
	pop := []string{"S: +OK ready", "C: CAPA", "S: +OK", "S: USER", "S: SASL PLAIN", "S: .", "C: AUTH PLAIN", "S: + ", "C: PLAIN64"}
	user := []string{"S: +OK ready", "C: CAPA", "S: -ERR what?", "C: USER USERNAME"}
	filter := []string{`S: "IMPLEMENTATION" "x"`, `S: "SASL" "PLAIN LOGIN"`, "S: OK", `C: AUTHENTICATE "PLAIN" "PLAIN64"`}
	with := func(lines []string, more ...string) []string { return append(lines[:len(lines):len(lines)], more...) }
	for name, tt := range map[string]struct {
		scheme settings.Scheme
		lines  []string
		want   string
	}{
		"SMTP accepts":              {"submissions", with(smtp, "S: 235 2.7.0 ok", "C: QUIT", "S: 221 bye"), "+ ?"},
		"SMTP after STARTTLS":       {"submission", with(smtp[1:], "S: 235 ok", "C: QUIT"), "+ ?"},
		"SMTP with LOGIN":           {"submissions", with(smtp[:3], "S: 250 AUTH LOGIN", "C: AUTH LOGIN", "S: 334 VXNlcm5hbWU6", "C: USER64", "S: 334 UGFzc3dvcnQ6", "C: PASS64", "S: 235 ok", "C: QUIT"), "+ ?"},
		"SMTP, AUTH in small":       {"submissions", with(smtp[:3], "S: 250 auth PLAIN", "C: AUTH PLAIN PLAIN64", "S: 235 ok"), "+ ?"},
		"SMTP, CRAM-MD5 alone":      {"submissions", with(smtp[:3], "S: 250 AUTH CRAM-MD5 XOAUTH2"), "? ? no_auth: no mechanism that this check knows is offered: it knows PLAIN, LOGIN and the protocol's own"},
		"SMTP for now":              {"submissions", with(smtp, "S: 454 4.7.0 Temporary authentication failure"), "? ? temporary: AUTH: answered 454 4.7.0"},
		"SMTP, too many":            {"submissions", with(smtp, "S: 535 5.7.8 Too many failures for PASSWORD"), "? ? temporary: answered 535 5.7.8, for now"},
		"SMTP, no AUTH at all":      {"submissions", with(smtp, "S: 503 5.5.1 Error: authentication not enabled"), "? ? protocol: AUTH: answered 503 5.5.1"},
		"SMTP asks on":              {"submissions", with(smtp, "S: 334 ", "C: *", "S: 501 no"), "? ? protocol: AUTH: the answer is none of the protocol"},
		"SMTP, 250 in place of 235": {"submissions", with(smtp, "S: 250 fine"), "? ? protocol: AUTH: answered 250"},
		"SMTP, Gmail":               {"submissions", with(smtp, "S: 534-5.7.9 Application-specific password required. Learn more", "S: 534 5.7.9  https://support.google.com"), "- ? login_refused: the whole address: answered 534 5.7.9, an application-specific password is wanted"},
		"SMTP, Microsoft 365":       {"submissions", with(smtp, "S: 535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the Tenant."), "- ? login_refused: the whole address: answered 535 5.7.139, SMTP client authentication is disabled"},
		"SMTP, a weak mechanism":    {"submissions", with(smtp, "S: 534 5.7.9 Authentication mechanism is too weak"), "- ? login_refused: the whole address: answered 534 5.7.9"},
		"SMTP repeats the password": {"submissions", with(smtp, "S: 535 5.7.99999 PASSWORD PLAIN64"), "- x login_rejected: the whole address: answered 535"},
		"SMTP drops after AUTH":     {"submissions", with(smtp, "DROP"), "? ? reset: AUTH: the connection ended without an answer"},
		"SMTP hangs after AUTH":     {"submissions", with(smtp, "HANG"), "? ? timeout: AUTH: no answer in time"},
		"SMTP greets with 554":      {"submissions", []string{"S: 554 no service"}, "? ? protocol: EHLO: answered 554"},
		"SMTP is something else":    {"submissions", []string{"S: HTTP/1.1 408"}, "? ? protocol: EHLO: the answer is none of the protocol"},

		"IMAP accepts":             {"imaps", with(imap, "S: a2 OK [CAPABILITY IMAP4rev1] in", "C: z LOGOUT", "S: * BYE", "S: z OK"), "+ ?"},
		"IMAP after STARTTLS":      {"imap", with(imap[1:], "S: * CAPABILITY IMAP4rev1", "S: a2 ok in", "C: z LOGOUT"), "+ ?"},
		"IMAP with AUTH=LOGIN":     {"imaps", with(imap[:2], "S: * CAPABILITY IMAP4rev1 auth=login", "S: a1 OK", "C: a2 AUTHENTICATE LOGIN", "S: + VXNlcm5hbWU6", "C: USER64", "S: + UGFzc3dvcmQ6", "C: PASS64", "S: a2 OK in"), "+ ?"},
		"IMAP with LOGIN":          {"imaps", with(imap[:2], "S: * CAPABILITY IMAP4rev1", "S: a1 OK", "C: a2 LOGIN {17}", "S: + go on", "C: USERNAME {22}", "S: +", "C: PASSWORD", "S: a2 OK in"), "+ ?"},
		"IMAP, much unasked":       {"imaps", with(imap[:2], "S: * OK [ALERT] be careful", "S: * CAPABILITY IMAP4rev1 AUTH=PLAIN", `RAW "* X {3}\r\na1 OK\r\n"`, "S: a1 OK", "C: a2 AUTHENTICATE PLAIN", "S: + ", "C: PLAIN64", "S: * BAD x", "S: a2 OK in"), "+ ?"},
		"IMAP, LOGINDISABLED":      {"imaps", with(imap[:2], "S: * CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2", "S: a1 OK"), "? ? no_auth: no mechanism that this check knows is offered: it knows PLAIN, LOGIN and the protocol's own"},
		"IMAP, Microsoft 365":      {"imaps", with(imap, "S: a2 NO AUTHENTICATE failed."), "- x login_rejected: the whole address: answered NO"},
		"IMAP, Gmail":              {"imaps", with(imap, "S: a2 NO [ALERT] Application-specific password required: https://support.google.com (Failure)"), "- ? login_refused: the whole address: answered NO [ALERT], an application-specific password is wanted"},
		"IMAP for now":             {"imaps", with(imap, "S: a2 NO [UNAVAILABLE] Temporary authentication failure."), "? ? temporary: login: answered NO [UNAVAILABLE]"},
		"IMAP wants TLS in TLS":    {"imaps", with(imap, "S: a2 NO [PRIVACYREQUIRED] x"), "? ? protocol: login: answered NO [PRIVACYREQUIRED] inside TLS"},
		"IMAP, a code of its own":  {"imaps", with(imap, "S: a2 NO [PLAIN64] PASSWORD"), "- x login_rejected: the whole address: answered NO"},
		"IMAP, BAD":                {"imaps", with(imap, "S: a2 BAD PASSWORD"), "? ? protocol: login: refused, and not for the user name or password"},
		"IMAP, PREAUTH":            {"imaps", []string{"S: * PREAUTH [CAPABILITY IMAP4rev1 AUTH=PLAIN] welcome"}, "? ? protocol: greeting: the server takes us for somebody who has logged in"},
		"IMAP, BYE":                {"imaps", []string{"S: * BYE PASSWORD"}, "? ? protocol: greeting: the server does not let us in"},
		"IMAP drops after AUTH":    {"imaps", with(imap, "DROP"), "? ? reset: login: the connection ended without an answer"},
		"IMAP hangs after AUTH":    {"imaps", with(imap, "HANG"), "? ? timeout: login: no answer in time"},
		"IMAP hangs before":        {"imaps", []string{"HANG"}, "? ? timeout: greeting: no answer in time"},
		"IMAP says BYE and goes":   {"imaps", with(imap, "S: * BYE too many", "DROP"), "? ? reset: login: the connection ended without an answer"},
		"IMAP asks on":             {"imaps", with(imap, "S: + "), "? ? protocol: login: the answer is none of the protocol"},
		"IMAP drops in LOGIN":      {"imaps", with(imap[:2], "S: * CAPABILITY IMAP4rev1", "S: a1 OK", "C: a2 LOGIN {17}", "DROP"), "? ? reset: login: the connection ended without an answer"},
		"IMAP answers another tag": {"imaps", with(imap, "S: a9 OK in"), "? ? protocol: login: the answer is none of the protocol"},
		"IMAP that never ends":     {"imaps", with(imap[:2], "S: * CAPABILITY (IMAP4rev1", "HANG"), "? ? timeout: CAPABILITY: no answer in time"},

		"POP3 accepts":           {"pop3s", with(pop, "S: +OK in", "C: QUIT", "S: +OK"), "+ ?"},
		"POP3 after STLS":        {"pop3", with(pop[1:], "S: +OK in", "C: QUIT"), "+ ?"},
		"POP3 with USER":         {"pop3s", with(user, "S: +OK", "C: PASS PASSWORD", "S: +OK in", "C: QUIT"), "+ ?"},
		"POP3 refuses USER":      {"pop3s", with(user, "S: -ERR PASSWORD"), "- x login_rejected: the whole address: answered -ERR"},
		"POP3, nothing to use":   {"pop3s", []string{"S: +OK ready", "C: CAPA", "S: +OK", "S: SASL CRAM-MD5", "S: ."}, "? ? no_auth: no mechanism that this check knows is offered: it knows PLAIN, LOGIN and the protocol's own"},
		"POP3, somebody is in":   {"pop3s", with(pop, "S: -ERR [IN-USE] locked by PASSWORD"), "? ? temporary: login: answered -ERR [IN-USE]"},
		"POP3 for now":           {"pop3s", with(pop, "S: -ERR [SYS/TEMP] out of memory"), "? ? temporary: login: answered -ERR [SYS/TEMP]"},
		"POP3 is out of order":   {"pop3s", with(pop, "S: -ERR [SYS/PERM] no such disk"), "? ? protocol: login: answered -ERR [SYS/PERM]"},
		"POP3 refuses AUTH":      {"pop3s", with(pop[:7], "S: -ERR unknown mechanism"), "? ? protocol: AUTH: answered -ERR"},
		"POP3 says nothing":      {"pop3s", []string{"S: -ERR [SYS/TEMP] too busy"}, "? ? temporary: greeting: answered -ERR [SYS/TEMP]"},
		"POP3 drops after AUTH":  {"pop3s", with(pop, "DROP"), "? ? reset: login: the connection ended without an answer"},
		"POP3 hangs after AUTH":  {"pop3s", with(pop, "HANG"), "? ? timeout: login: no answer in time"},
		"POP3 speaks HTTP":       {"pop3s", with(pop, "S: HTTP/1.1 200 OK"), "? ? protocol: login: the answer is none of the protocol"},
		"POP3, +OKAY is no +OK":  {"pop3s", with(pop, "S: +OKAY"), "? ? protocol: login: the answer is none of the protocol"},
		"POP3, an endless line":  {"pop3s", with(pop, "RAW "+strconv.Quote(strings.Repeat("x", 10000))), "? ? protocol: login: the answer is none of the protocol"},
		"sieve accepts":          {"sieve", with(filter, "S: OK", "C: LOGOUT", "S: OK"), "+ ?"},
		"sieve, to be asked":     {"sieve", with([]string{"C: CAPABILITY"}, with(filter, "S: OK (SASL \"cnNwYXV0aA==\")")...), "+ ?"},
		"sieve, in literals":     {"sieve", []string{`RAW "{4}\r\nSASL {5+}\r\nPLAIN\r\nok \"x {4}\"\r\n"`, `C: AUTHENTICATE "PLAIN" "PLAIN64"`, "S: ok", "C: LOGOUT"}, "+ ?"},
		"sieve rejects":          {"sieve", with(filter, `S: NO "PASSWORD is wrong"`), "- x login_rejected: the whole address: answered NO"},
		"sieve for now":          {"sieve", with(filter, `S: NO (TRYLATER) {3+}`, "RAW \"abc\\r\\n\""), "? ? temporary: login: answered NO (TRYLATER)"},
		"sieve, too weak":        {"sieve", with(filter, `S: NO (AUTH-TOO-WEAK) "x"`), "? ? protocol: login: answered NO (AUTH-TOO-WEAK)"},
		"sieve goes away":        {"sieve", with(filter, `S: BYE (REFERRAL "sieve://evil.example") "x"`), "? ? protocol: login: answered BYE (REFERRAL)"},
		"sieve, nothing to use":  {"sieve", []string{`S: "SASL" ""`, "S: OK"}, "? ? no_auth: no mechanism that this check knows is offered: it knows PLAIN, LOGIN and the protocol's own"},
		"sieve drops after AUTH": {"sieve", with(filter, "DROP"), "? ? reset: AUTHENTICATE: the connection ended without an answer"},
		"sieve hangs after AUTH": {"sieve", with(filter, "HANG"), "? ? timeout: AUTHENTICATE: no answer in time"},
		"sieve speaks POP3":      {"sieve", []string{"S: +OK"}, "? ? protocol: capabilities: the answer is none of the protocol"},
		"sieve, a huge literal":  {"sieve", []string{`S: "SASL" {60000}`}, "? ? protocol: capabilities: the answer is none of the protocol"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				account, password := secretive(jane(t))
				first := true
				o := &theatre{t: t}
				o.play = func(conn net.Conn) {
					if first {
						first = false
						script(t, account, password, tt.lines...)(conn)
					}
					// The other form of the user name finds nobody at home.
				}
				start := time.Now()
				s := settings.Service{Scheme: tt.scheme, Host: "mail.example.test", Port: 1}
				l := login.Check(t.Context(), o, s, account, settings.UsernameAddress)
				o.servers.Wait()
				got := strings.Replace(say(l), "- ? login_rejected", "- x login_rejected", 1)
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("login (-want +got)\n%s", diff)
				}
				if took := time.Since(start); took > 61*time.Second {
					t.Errorf("it took %s", took)
				}
				if leak := hidden(fmt.Sprintf("%+v %s", l, say(l)), password); leak != "" {
					t.Errorf("%q is shown", leak)
				}
				if l.At.IsZero() == (l.Accepted() || l.Rejected()) {
					t.Errorf("seen at %s: %s", l.At, say(l))
				}
			})
		})
	}
}

package lab_test

import (
	"crypto/tls"
	"encoding/base64"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/google/go-cmp/cmp"

	"mailconfd/internal/lab"
	"mailconfd/settings"
)

// Before TLS no service offers a password, and STARTTLS services offer STARTTLS; after
// it that is the other way round.
func TestHealthyServersOffer(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	for _, s := range settings.Candidates(lab.Host) {
		t.Run(address(s), func(t *testing.T) {
			t.Parallel()
			c := dial(t, internet, s)
			if s.Security() == settings.STARTTLS {
				c.greeting()
				before := c.capabilities()
				if !offersStart(before) || len(mechanismsIn(before)) > 0 || slices.Contains(before, "USER") {
					t.Errorf("before TLS: got %q, want STARTTLS and no mechanism", before)
				}
				if s.Role() == settings.RoleIMAP && !slices.Contains(before, "LOGINDISABLED") {
					t.Errorf("before TLS: no LOGINDISABLED in %q", before)
				}
				c = dial(t, internet, s)
			}
			if err := c.enter(trusting(internet)); err != nil {
				t.Fatal(err)
			}
			wantPassword(t, c)
			if offersStart(c.capabilities()) {
				t.Error("STARTTLS is offered inside TLS")
			}
		})
	}
}

// Dovecot's words, as Debian 12 has them.
func TestLineServersSpeakLikeDovecot(t *testing.T) {
	t.Parallel()
	internet := newLab(t)

	pop3 := dial(t, internet, service(t, "pop3"))
	pop3.want("+OK Dovecot (Debian) ready.")
	want := []string{"+OK", "CAPA", "TOP", "UIDL", "RESP-CODES", "PIPELINING", "AUTH-RESP-CODE", "STLS", "SASL", "."}
	if diff := cmp.Diff(want, pop3.capabilities()); diff != "" {
		t.Errorf("POP3 before TLS (-want +got):\n%s", diff)
	}
	pop3.send("USER " + lab.User)
	pop3.want("-ERR [AUTH] Plaintext authentication disallowed")
	if err := pop3.startTLS(trusting(internet)); err != nil {
		t.Fatal(err)
	}
	want = []string{"+OK", "CAPA", "TOP", "UIDL", "RESP-CODES", "PIPELINING", "AUTH-RESP-CODE", "USER", "SASL PLAIN LOGIN", "."}
	if diff := cmp.Diff(want, pop3.capabilities()); diff != "" {
		t.Errorf("POP3 inside TLS (-want +got):\n%s", diff)
	}
	pop3.send("QUIT")
	pop3.want("+OK Logging out")
	pop3.wantEnd()

	sieve := dial(t, internet, service(t, "sieve"))
	sieve.want(`"IMPLEMENTATION" "Dovecot (Debian) Pigeonhole"`)
	sieve.want(`"SIEVE" "fileinto `)
	sieve.want(`"NOTIFY" "mailto"`)
	sieve.want(`"SASL" ""`)
	sieve.want(`"STARTTLS"`)
	sieve.want(`"VERSION" "1.0"`)
	sieve.want(`OK "Dovecot (Debian) ready."`)
	sieve.send(`AUTHENTICATE "PLAIN" "` + plain(lab.User, lab.Password) + `"`)
	sieve.want("NO (ENCRYPT-NEEDED) ")
	if err := sieve.startTLS(trusting(internet)); err != nil {
		t.Fatal(err)
	}
	sieve.want(`"IMPLEMENTATION" "Dovecot (Debian) Pigeonhole"`)
	sieve.want(`"SIEVE" "fileinto `)
	sieve.want(`"NOTIFY" "mailto"`)
	sieve.want(`"SASL" "PLAIN LOGIN"`)
	sieve.want(`"VERSION" "1.0"`)
	sieve.want(`OK "TLS negotiation successful."`)
	sieve.send("LOGOUT")
	sieve.want(`OK "Logout completed."`)
	sieve.wantEnd()
}

func plain(user, password string) string {
	return base64.StdEncoding.EncodeToString([]byte("\x00" + user + "\x00" + password))
}

func TestSubmissionWithGoSMTP(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	for _, name := range []string{"submission", "submission:2525", "submissions"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			open := func() *smtp.Client {
				conn := dial(t, internet, service(t, name)).conn
				if name == "submissions" {
					return smtp.NewClient(tls.Client(conn, trusting(internet)))
				}
				client, err := smtp.NewClientStartTLS(conn, trusting(internet))
				if err != nil {
					t.Fatal(err)
				}
				return client
			}
			for _, good := range []sasl.Client{sasl.NewPlainClient("", lab.User, lab.Password), sasl.NewLoginClient(lab.User, lab.Password)} {
				client := open()
				if err := client.Auth(good); err != nil {
					t.Errorf("right password: %v", err)
				}
				if err := client.SendMail(lab.User, []string{"joe@example.test"}, strings.NewReader("Subject: hello\r\n\r\nHi\r\n")); err != nil {
					t.Errorf("send: %v", err)
				}
				if err := client.Quit(); err != nil {
					t.Errorf("quit: %v", err)
				}
			}
			client := open()
			var refused *smtp.SMTPError
			for _, bad := range []sasl.Client{sasl.NewPlainClient("", lab.User, "wrong"), sasl.NewLoginClient("joe@example.test", lab.Password)} {
				if err := client.Auth(bad); !errors.As(err, &refused) || refused.Code != 535 {
					t.Errorf("wrong password: got %v, want 535", err)
				}
			}
			if err := client.Mail(lab.User, nil); !errors.As(err, &refused) || refused.Code != 530 {
				t.Errorf("mail without a login: got %v, want 530", err)
			}
		})
	}
}

func TestSubmissionWantsTLSFirst(t *testing.T) {
	t.Parallel()
	c := dial(t, newLab(t), service(t, "submission"))
	c.greeting()
	c.capabilities()
	c.send("AUTH PLAIN " + plain(lab.User, lab.Password))
	c.want("5")
}

func TestIMAPWithGoIMAP(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	open := func(t *testing.T, name string) *imapclient.Client {
		t.Helper()
		conn := dial(t, internet, service(t, name)).conn
		if name == "imaps" {
			return imapclient.New(tls.Client(conn, trusting(internet)), nil)
		}
		client, err := imapclient.NewStartTLS(conn, &imapclient.Options{TLSConfig: trusting(internet)})
		if err != nil {
			t.Fatal(err)
		}
		return client
	}
	logins := map[string]func(*imapclient.Client, string) error{
		"LOGIN": func(c *imapclient.Client, p string) error { return c.Login(lab.User, p).Wait() },
		"AUTHENTICATE PLAIN": func(c *imapclient.Client, p string) error {
			return c.Authenticate(sasl.NewPlainClient("", lab.User, p))
		},
		"AUTHENTICATE LOGIN": func(c *imapclient.Client, p string) error { return c.Authenticate(sasl.NewLoginClient(lab.User, p)) },
	}
	for _, name := range []string{"imap", "imaps"} {
		for how, login := range logins {
			t.Run(name+" "+how, func(t *testing.T) {
				t.Parallel()
				client := open(t, name)
				defer client.Close()
				var refused *imap.Error
				if err := login(client, "wrong"); !errors.As(err, &refused) || refused.Code != imap.ResponseCodeAuthenticationFailed {
					t.Errorf("wrong password: got %v, want AUTHENTICATIONFAILED", err)
				}
				if err := login(client, lab.Password); err != nil {
					t.Fatalf("right password: %v", err)
				}
				inbox, err := client.Select("INBOX", nil).Wait()
				if err != nil || inbox.NumMessages != 0 {
					t.Errorf("INBOX: got %v and %v, want no messages", inbox, err)
				}
				if err := client.Logout().Wait(); err != nil {
					t.Errorf("logout: %v", err)
				}
			})
		}
	}
}

func TestPOP3Login(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	encode := base64.StdEncoding.EncodeToString
	for name, lines := range map[string][][2]string{
		"USER":            {{"USER " + lab.User, "+OK"}, {"PASS " + lab.Password, "+OK Logged in."}},
		"USER unknown":    {{"USER joe", "+OK"}, {"PASS " + lab.Password, "-ERR [AUTH] "}},
		"PASS alone":      {{"PASS " + lab.Password, "-ERR [AUTH] "}},
		"PLAIN":           {{"AUTH PLAIN " + plain(lab.User, lab.Password), "+OK Logged in."}},
		"plain, asked":    {{"auth plain", "+ "}, {plain(lab.User, lab.Password), "+OK Logged in."}},
		"PLAIN, wrong":    {{"AUTH PLAIN " + plain(lab.User, "x"), "-ERR [AUTH] "}},
		"PLAIN, nonsense": {{"AUTH PLAIN ???", "-ERR [AUTH] "}},
		"LOGIN": {
			{"AUTH LOGIN", "+ " + encode([]byte("Username:"))},
			{encode([]byte(lab.User)), "+ " + encode([]byte("Password:"))},
			{encode([]byte(lab.Password)), "+OK Logged in."},
		},
		"LOGIN given up":    {{"AUTH LOGIN", "+ "}, {"*", "-ERR [AUTH] "}},
		"another mechanism": {{"AUTH CRAM-MD5", "-ERR "}},
		"no mechanism":      {{"AUTH", "-ERR "}},
		"nonsense":          {{"", "-ERR "}, {"MAKE COFFEE", "-ERR "}, {"STLS", "-ERR "}, {"STAT", "-ERR "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, internet, service(t, "pop3s"))
			if err := c.enter(trusting(internet)); err != nil {
				t.Fatal(err)
			}
			in := false
			for _, line := range lines {
				c.send(line[0])
				in = strings.HasPrefix(c.want(line[1]), "+OK Logged in.")
			}
			if in {
				for _, line := range [][2]string{{"STAT", "+OK 0 0"}, {"LIST", "+OK"}, {"NOOP", "."}, {"RETR 1", "+OK"}, {"LIST 1", "-ERR "}, {"USER x", "-ERR "}, {"CAPA", "-ERR "}} {
					c.send(line[0])
					c.want(line[1])
				}
			}
		})
	}
}

func TestSieveLogin(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	encode := func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }
	right := plain(lab.User, lab.Password)
	for name, lines := range map[string][][2]string{
		"PLAIN":         {{`AUTHENTICATE "PLAIN" "` + right + `"`, `OK "Logged in."`}, {"LISTSCRIPTS", "OK "}},
		"PLAIN, asked":  {{`AUTHENTICATE "PLAIN"`, `""`}, {`"` + right + `"`, `OK "Logged in."`}},
		"PLAIN literal": {{"AUTHENTICATE \"PLAIN\" {" + itoa(len(right)) + "+}\r\n" + right, `OK "Logged in."`}},
		"LOGIN": {
			{`authenticate "login"`, `"` + encode("Username:") + `"`},
			{`"` + encode(lab.User) + `"`, `"` + encode("Password:") + `"`},
			{`"` + encode(lab.Password) + `"`, `OK "Logged in."`},
		},
		"wrong":             {{`AUTHENTICATE "PLAIN" "` + plain(lab.User, "x") + `"`, "NO "}, {"LISTSCRIPTS", "NO "}},
		"given up":          {{`AUTHENTICATE "LOGIN"`, `"`}, {`"*"`, "NO "}},
		"another mechanism": {{`AUTHENTICATE "CRAM-MD5"`, "NO "}},
		"no string":         {{"AUTHENTICATE PLAIN", "NO "}, {`AUTHENTICATE "PLAIN`, "NO "}, {"AUTHENTICATE {99999+}", "NO "}, {"AUTHENTICATE {x+}", "NO "}},
		"nonsense":          {{"", "NO "}, {"MAKE COFFEE", "NO "}, {"STARTTLS", "NO "}, {"NOOP", "OK "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := dial(t, internet, service(t, "sieve"))
			if err := c.enter(trusting(internet)); err != nil {
				t.Fatal(err)
			}
			for _, line := range lines {
				c.send(line[0])
				c.want(line[1])
			}
		})
	}
}

// A server never takes for a command what came in clear after STARTTLS
// (CVE-2011-0411).
func TestPlaintextAfterSTARTTLSIsNoCommand(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	for _, name := range []string{"submission", "imap", "pop3", "sieve"} {
		c := dial(t, internet, service(t, name))
		c.greeting()
		c.capabilities()
		command, yes := c.startCommand()
		c.send(command + "\r\nx NOOP")
		c.want(yes)
		if err := c.handshake(trusting(internet)); err != nil {
			continue // the connection is dropped: good
		}
		c.send("x NOOP")
		c.line()
		if c.reader.Buffered() > 0 {
			t.Errorf("%s: answered the command that came before TLS", name)
		}
	}
}

// A line that never ends is cut off, in clear and inside TLS.
func TestLineServersHaveALimit(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	for _, name := range []string{"pop3", "pop3s", "sieve"} {
		c := dial(t, internet, service(t, name))
		if name == "pop3s" {
			if err := c.handshake(trusting(internet)); err != nil {
				t.Fatal(err)
			}
		}
		c.greeting()
		_, err := c.conn.Write([]byte(strings.Repeat("x", 1<<20)))
		for err == nil {
			_, err = c.reader.ReadByte()
		}
		if isTimeout(err) || errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: got %v, want the server to hang up", name, err)
		}
	}
}

// The scripted servers say what Postfix and Dovecot say, as Debian 12 has them.
func TestScriptedServersSpeakLikePostfixAndDovecot(t *testing.T) {
	t.Parallel()
	busyTLS := lab.Fault{Kind: settings.FailureTemporary, Variant: lab.VariantSTARTTLS}
	noAuth := lab.Fault{Kind: settings.FailureNoAuth}
	oauthOnly := lab.Fault{Kind: settings.FailureOAuthOnly}
	for _, c := range []struct {
		why, service string
		fault        lab.Fault
		secure       bool
		lines        []string // "> " is sent, all else expected whole
	}{
		{"Postfix in clear", "submission", busyTLS, false, []string{
			"220 mail.example.test ESMTP Postfix (Debian)",
			"> EHLO client.example.test",
			"250-mail.example.test", "250-PIPELINING", "250-SIZE 10240000", "250-VRFY", "250-ETRN", "250-STARTTLS",
			"250-ENHANCEDSTATUSCODES", "250-8BITMIME", "250-DSN", "250-SMTPUTF8", "250 CHUNKING",
			"> HELO client.example.test", "250 mail.example.test",
			"> AUTH PLAIN", "530 5.7.0 Must issue a STARTTLS command first",
			"> MAIL FROM:<>", "530 5.7.0 Must issue a STARTTLS command first",
			"> NOOP", "250 2.0.0 Ok",
			"> COFFEE", "502 5.5.2 Error: command not recognized",
			"> QUIT", "221 2.0.0 Bye",
		}},
		{"Postfix inside TLS", "submissions", noAuth, true, []string{
			"220 mail.example.test ESMTP Postfix (Debian)",
			"> STARTTLS", "554 5.5.1 Error: TLS already active",
			"> AUTH PLAIN", "503 5.5.1 Error: authentication not enabled",
			"> QUIT", "221 2.0.0 Bye",
		}},
		{"Postfix with OAuth", "submissions", oauthOnly, true, []string{
			"220 mail.example.test ESMTP Postfix (Debian)",
			"> AUTH PLAIN", "535 5.7.8 Error: authentication failed: authentication failure",
		}},
		{"Dovecot in clear", "imap", busyTLS, false, []string{
			"* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ STARTTLS LOGINDISABLED] Dovecot (Debian) ready.",
			"> a CAPABILITY",
			"* CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ STARTTLS LOGINDISABLED",
			"a OK Pre-login capabilities listed, post-login capabilities have more.",
			"> b LOGIN jane x",
			"* BAD [ALERT] Plaintext authentication not allowed without SSL/TLS, but your client did it anyway. If anyone was listening, the password was exposed.",
			"b NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.",
			"> c ID NIL", `* ID ("name" "Dovecot")`, "c OK ID completed.",
			"> d NOOP", "d OK NOOP completed.",
			"> e COFFEE", "e BAD Error in IMAP command received by server.",
			"> f LOGOUT", "* BYE Logging out", "f OK Logout completed.",
		}},
		{"Dovecot inside TLS", "imaps", noAuth, true, []string{
			"* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ LOGINDISABLED] Dovecot (Debian) ready.",
			"> a STARTTLS", "a BAD TLS is already active.",
			"> b LOGIN jane x", "b NO Unsupported authentication mechanism.",
		}},
		{"Dovecot without TLS", "imap", lab.Fault{Kind: settings.FailureNoSTARTTLS}, false, []string{
			"* OK [CAPABILITY IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ AUTH=PLAIN AUTH=LOGIN] Dovecot (Debian) ready.",
			"> a LOGIN jane x", "a NO [AUTHENTICATIONFAILED] Authentication failed.",
		}},
		{"Dovecot POP3 with OAuth", "pop3s", oauthOnly, true, []string{
			"+OK Dovecot (Debian) ready.",
			"> AUTH PLAIN", "-ERR Unsupported authentication mechanism.",
		}},
	} {
		t.Run(c.why, func(t *testing.T) {
			t.Parallel()
			internet := newLab(t)
			s := service(t, c.service)
			if err := internet.BreakAs(s, c.fault); err != nil {
				t.Fatal(err)
			}
			client := dial(t, internet, s)
			if c.secure {
				if err := client.handshake(trusting(internet)); err != nil {
					t.Fatal(err)
				}
			}
			for _, line := range c.lines {
				if sent, ok := strings.CutPrefix(line, "> "); ok {
					client.send(sent)
				} else if got := client.line(); got != line {
					t.Fatalf("got  %q\nwant %q", got, line)
				}
			}
		})
	}
}

func TestSetLogins(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	for _, tt := range []struct {
		logins lab.Logins
		user   string
		want   string
	}{
		{lab.Logins{Address: true}, "jane", "-ERR"},
		{lab.Logins{LocalPart: true}, "jane", "+OK"},
		{lab.Logins{LocalPart: true}, lab.User, "-ERR"},
		{lab.Logins{Address: true, LocalPart: true}, lab.User, "+OK"},
		{lab.Logins{}, lab.User, "-ERR"},
	} {
		if err := internet.SetLogins(service(t, "pop3s"), tt.logins); err != nil {
			t.Fatal(err)
		}
		c := dial(t, internet, service(t, "pop3s"))
		if err := c.enter(trusting(internet)); err != nil {
			t.Fatal(err)
		}
		c.send("AUTH PLAIN " + plain(tt.user, lab.Password))
		c.want(tt.want)
	}
	if err := internet.SetLogins(settings.Service{}, lab.Logins{}); err == nil {
		t.Error("an unknown service has logins")
	}
}

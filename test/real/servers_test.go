//go:build real

package real

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestServersAnswer speaks to each server without mailconfd. It tells a server that is set up wrongly, or that another
// version of Debian has changed, from a fault of mailconfd: when it fails, look here first.
func TestServersAnswer(t *testing.T) {
	w := newWorld(t)
	for _, port := range []string{"587", "2525"} {
		t.Run("submission "+port, func(t *testing.T) { submissionAnswers(t, w, port) })
	}
	t.Run("submissions", func(t *testing.T) { submissionsAnswers(t, w) })
	t.Run("imap", func(t *testing.T) { imapAnswers(t, w) })
	t.Run("imaps", func(t *testing.T) { imapsAnswers(t, w) })
	t.Run("pop3", func(t *testing.T) { pop3Answers(t, w) })
	t.Run("pop3s", func(t *testing.T) { pop3sAnswers(t, w) })
	t.Run("sieve", func(t *testing.T) { sieveAnswers(t, w) })
}

// saslPlain is the initial response of SASL PLAIN (RFC 4616, section 2) for jane and the right password.
func saslPlain() string {
	return base64.StdEncoding.EncodeToString([]byte("\x00jane@example.test\x00" + password))
}

// extensions are the lines of an EHLO reply without the first, which names the server.
func extensions(reply []string) []string {
	var names []string
	for _, line := range reply[1:] {
		names = append(names, line[len("250-"):])
	}
	return names
}

func submissionAnswers(t *testing.T, w *world, port string) {
	d := dial(t, w, port)
	check(t, d.hear("220 "), "220 mail.example.test ESMTP Postfix (Debian/GNU)")
	d.ask("EHLO client.example.test")
	check(t, extensions(d.hear("250 ")), "PIPELINING", "SIZE 10240000", "VRFY", "ETRN", "STARTTLS",
		"ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING")
	for _, command := range []string{"AUTH PLAIN " + saslPlain(), "MAIL FROM:<jane@example.test>"} {
		d.ask(command)
		check(t, d.hear("5"), "530 5.7.0 Must issue a STARTTLS command first")
	}
	d.ask("STARTTLS")
	check(t, d.hear("220 "), "220 2.0.0 Ready to start TLS")
	d.upgrade()
	submissionLogin(t, d)
}

func submissionsAnswers(t *testing.T, w *world) {
	d := dialTLS(t, w, "465")
	check(t, d.hear("220 "), "220 mail.example.test ESMTP Postfix (Debian/GNU)")
	submissionLogin(t, d)

	plain := dial(t, w, "465")
	plain.ask("EHLO client.example.test")
	if line, err := plain.reader.ReadString('\n'); err == nil {
		t.Errorf("plain text sent to 465: answer %q, want none", line)
	}
}

// submissionLogin continues a dialogue that has TLS.
func submissionLogin(t *testing.T, d *dialogue) {
	d.ask("EHLO client.example.test")
	check(t, extensions(d.hear("250 ")), "PIPELINING", "SIZE 10240000", "VRFY", "ETRN", "AUTH PLAIN LOGIN",
		"ENHANCEDSTATUSCODES", "8BITMIME", "DSN", "SMTPUTF8", "CHUNKING")
	d.ask("AUTH PLAIN " + saslPlain())
	check(t, d.hear("2", "4", "5"), "235 2.7.0 Authentication successful")
	d.ask("QUIT")
	check(t, d.hear("221 "), "221 2.0.0 Bye")
}

const (
	imapBefore = "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ STARTTLS LOGINDISABLED"
	imapAfter  = "IMAP4rev1 SASL-IR LOGIN-REFERRALS ID ENABLE IDLE LITERAL+ AUTH=PLAIN AUTH=LOGIN"
)

func imapAnswers(t *testing.T, w *world) {
	d := dial(t, w, "143")
	check(t, d.hear("* "), "* OK [CAPABILITY "+imapBefore+"] Dovecot (Debian) ready.")
	d.ask("a LOGIN jane wrong")
	check(t, d.hear("a "),
		"* BAD [ALERT] Plaintext authentication not allowed without SSL/TLS, but your client did it anyway. "+
			"If anyone was listening, the password was exposed.",
		"a NO [PRIVACYREQUIRED] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.")
	d.ask("b STARTTLS")
	check(t, d.hear("b "), "b OK Begin TLS negotiation now.")
	d.upgrade()
	d.ask("c CAPABILITY")
	check(t, d.hear("c ")[:1], "* CAPABILITY "+imapAfter)
	imapLogin(t, d)
}

func imapsAnswers(t *testing.T, w *world) {
	d := dialTLS(t, w, "993")
	check(t, d.hear("* "), "* OK [CAPABILITY "+imapAfter+"] Dovecot (Debian) ready.")
	imapLogin(t, d)
}

// imapLogin continues a dialogue that has TLS.
func imapLogin(t *testing.T, d *dialogue) {
	d.ask("d LOGIN jane@example.test " + password)
	checkEnd(t, d.hear("d "), "d OK ")
	d.ask("e LOGOUT")
	checkEnd(t, d.hear("e "), "e OK ")
}

func pop3Answers(t *testing.T, w *world) {
	d := dial(t, w, "110")
	check(t, d.hear("+"), "+OK Dovecot (Debian) ready.")
	d.ask("CAPA")
	check(t, d.hear("."), "+OK", "CAPA", "TOP", "UIDL", "RESP-CODES", "PIPELINING", "AUTH-RESP-CODE", "STLS", "SASL", ".")
	d.ask("STLS")
	check(t, d.hear("+"), "+OK Begin TLS negotiation now.")
	d.upgrade()
	pop3Login(t, d)
}

func pop3sAnswers(t *testing.T, w *world) {
	d := dialTLS(t, w, "995")
	check(t, d.hear("+"), "+OK Dovecot (Debian) ready.")
	pop3Login(t, d)
}

// pop3Login continues a dialogue that has TLS.
func pop3Login(t *testing.T, d *dialogue) {
	d.ask("CAPA")
	check(t, d.hear("."), "+OK", "CAPA", "TOP", "UIDL", "RESP-CODES", "PIPELINING", "AUTH-RESP-CODE", "USER",
		"SASL PLAIN LOGIN", ".")
	d.ask("AUTH PLAIN " + saslPlain())
	checkEnd(t, d.hear("+", "-"), "+OK")
	d.ask("QUIT")
	checkEnd(t, d.hear("+"), "+OK")
}

func sieveAnswers(t *testing.T, w *world) {
	d := dial(t, w, "4190")
	greeting := d.hear("OK")
	checkEnd(t, greeting, `OK "Dovecot (Debian) ready."`)
	checkHas(t, greeting, `"SASL" ""`, `"STARTTLS"`)
	d.ask("STARTTLS")
	check(t, d.hear("OK"), `OK "Begin TLS negotiation now."`)
	d.upgrade()
	unasked := d.hear("OK") // RFC 5804, section 2.2: the server sends its capabilities again
	checkEnd(t, unasked, `OK "TLS negotiation successful."`)
	checkHas(t, unasked, `"SASL" "PLAIN LOGIN"`)
	d.ask(`AUTHENTICATE "PLAIN" "` + saslPlain() + `"`)
	checkEnd(t, d.hear("OK", "NO", "BYE"), "OK")
	d.ask("LOGOUT")
	checkEnd(t, d.hear("OK"), "OK")
}

func check(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the server's lines (-want +got):\n%s", diff)
	}
}

func checkEnd(t *testing.T, got []string, want string) {
	t.Helper()
	checkBegins(t, got[len(got)-1], want)
}

func checkBegins(t *testing.T, got, want string) {
	t.Helper()
	if !strings.HasPrefix(got, want) {
		t.Errorf("the server's line: got %q, want %q at its beginning", got, want)
	}
}

func checkHas(t *testing.T, got []string, want ...string) {
	t.Helper()
	for _, line := range want {
		if !slices.Contains(got, line) {
			t.Errorf("the server's lines: got %q, want %q among them", got, line)
		}
	}
}

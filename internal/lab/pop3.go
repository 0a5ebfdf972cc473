package lab

import (
	"encoding/base64"
	"strings"
)

// pop3Dialogue is how the scripted server speaks POP3 (RFC 1939, RFC 2449, RFC 2595,
// RFC 5034): as Dovecot 2.3 does, with an empty mailbox.
func pop3Dialogue() dialogue {
	return dialogue{
		greeting: func(*session) string { return "+OK Dovecot (Debian) ready.\r\n" },
		refusal:  "-ERR [SYS/PERM] POP3 is not offered on this host.\r\n",          // RFC 3206
		busy:     "-ERR [SYS/TEMP] Too many connections, please try later.\r\n",    // RFC 3206
		flood:    "+OK Dovecot (Debian) is about to be ready, says so at length, ", // one line is all POP3 allows
		injected: "+OK\r\nUSER\r\nSASL PLAIN LOGIN\r\n.\r\n",
		answer:   answerPOP3,
	}
}

const pop3ClearLogin = "-ERR [AUTH] Plaintext authentication disallowed on non-secure (SSL/TLS) connections.\r\n"

func answerPOP3(s *session, line string) (string, step) {
	verb, argument, _ := strings.Cut(line, " ")
	verb = strings.ToUpper(verb)
	switch verb {
	case "CAPA":
		return pop3Capabilities(s), stay
	case "QUIT":
		return "+OK Logging out\r\n", leave
	}
	if s.loggedIn {
		return answerPOP3Mailbox(verb, argument), stay
	}
	switch verb {
	case "STLS":
		return pop3STLS(s)
	case "USER", "PASS", "AUTH":
		if !s.offersPassword() && !s.secure() {
			return pop3ClearLogin, stay
		}
		return pop3Login(s, verb, argument), stay
	}
	return "-ERR Unknown command.\r\n", stay
}

// pop3Capabilities lists what Dovecot lists; in clear that has a SASL line without a
// mechanism.
func pop3Capabilities(s *session) string {
	lines := []string{"+OK", "CAPA", "TOP", "UIDL", "RESP-CODES", "PIPELINING", "AUTH-RESP-CODE"}
	if s.mayUpgrade() {
		lines = append(lines, "STLS")
	}
	if s.offersPassword() {
		lines = append(lines, "USER")
	}
	lines = append(lines, strings.Join(append([]string{"SASL"}, s.mechanisms()...), " "), ".")
	return strings.Join(lines, "\r\n") + "\r\n"
}

func pop3STLS(s *session) (string, step) {
	switch {
	case s.secure():
		return "-ERR TLS is already active.\r\n", stay
	case !s.mayUpgrade():
		return "-ERR TLS support isn't enabled.\r\n", stay
	case s.script.busyTLS:
		return "-ERR [SYS/TEMP] TLS is not available for now.\r\n", stay
	}
	return "+OK Begin TLS negotiation now.\r\n", upgrade
}

// pop3Login takes USER and PASS (RFC 1939, section 7) or AUTH (RFC 5034, section 4).
func pop3Login(s *session, verb, argument string) string {
	switch {
	case !s.offersPassword():
		return "-ERR Unsupported authentication mechanism.\r\n"
	case verb == "USER":
		s.user = argument
		return "+OK\r\n"
	case verb == "PASS":
		s.login(s.user, argument)
	default:
		mechanism, initial, _ := strings.Cut(argument, " ")
		s.authenticate(mechanism, initial, func(challenge []byte) (string, error) {
			if err := s.write("+ " + base64.StdEncoding.EncodeToString(challenge) + "\r\n"); err != nil {
				return "", err
			}
			return s.readLine()
		})
	}
	if !s.loggedIn {
		return "-ERR [AUTH] Authentication failed.\r\n"
	}
	return "+OK Logged in.\r\n"
}

// answerPOP3Mailbox answers for a mailbox without messages.
func answerPOP3Mailbox(verb, argument string) string {
	switch verb {
	case "STAT":
		return "+OK 0 0\r\n"
	case "LIST", "UIDL":
		if argument == "" {
			return "+OK\r\n.\r\n"
		}
		return "-ERR There's no message " + argument + ".\r\n"
	case "RETR", "TOP", "DELE":
		return "-ERR There's no message " + argument + ".\r\n"
	case "NOOP", "RSET":
		return "+OK\r\n"
	}
	return "-ERR Unknown command.\r\n"
}

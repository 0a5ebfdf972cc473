package login

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/emersion/go-smtp"

	"mailconfd/settings"
)

// submission logs in by AUTH (RFC 4954), and says QUIT.
func submission(w *witness, helo string, implicit bool, c credentials) answer {
	conn := greet(w, "220 TLS is on\r\n")
	if implicit {
		conn = w
	}
	client := smtp.NewClient(conn)
	client.CommandTimeout = patience
	if err := client.Hello(helo); err != nil {
		return smtpRefusal(w, "EHLO", err)
	}
	// go-smtp reads the keyword only as AUTH, in capitals and without "=". Where it sees
	// none there is one all the same, since the prober saw a way to log in.
	_, words := client.Extension("AUTH")
	offered := strings.Fields(strings.ToUpper(words))
	mechanism := plainMechanism(c)
	switch {
	case len(offered) == 0, slices.Contains(offered, "PLAIN"):
	case slices.Contains(offered, "LOGIN"):
		mechanism = &loginMechanism{credentials: c}
	default:
		return noMechanism()
	}
	got := accepted()
	if err := client.Auth(mechanism); err != nil {
		got = smtpRefusal(w, "AUTH", err)
	}
	client.CommandTimeout = goodbye
	_ = client.Quit()
	return got
}

// noMechanism is for servers that offer nothing that hands over a password.
func noMechanism() answer {
	return unanswered(settings.FailureNoAuth, "no mechanism that this check knows is offered: it knows PLAIN, LOGIN and the protocol's own")
}

// smtpRefusal judges what go-smtp returned in place of success. 535 rejects the user name
// or password, 534 the mechanism (RFC 4954 section 6); 4xx is for now.
func smtpRefusal(w *witness, doing string, err error) answer {
	var reply *smtp.SMTPError
	if !errors.As(err, &reply) {
		return w.broken(doing)
	}
	code := fmt.Sprint(reply.Code)
	// RFC 3463 section 2: a digit, and two numbers of up to three.
	if e := reply.EnhancedCode; (e[0] == 4 || e[0] == 5) && e[1] >= 0 && e[1] < 1000 && e[2] >= 0 && e[2] < 1000 {
		code += fmt.Sprintf(" %d.%d.%d", e[0], e[1], e[2])
	}
	switch {
	case reply.Code/100 == 4:
		return unanswered(settings.FailureTemporary, doing+": answered "+code)
	case doing == "AUTH" && reply.Code == 534:
		got := rejected(code, reply.Message)
		if got.outcome == settings.LoginRejected {
			got.kind = settings.FailureLoginRefused
		}
		return got
	case doing == "AUTH" && reply.Code == 535:
		return rejected(code, reply.Message)
	}
	return unanswered(settings.FailureProtocol, doing+": answered "+code)
}

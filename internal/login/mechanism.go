package login

import (
	"errors"

	"github.com/emersion/go-sasl"
)

// plainMechanism is SASL PLAIN (RFC 4616).
func plainMechanism(c credentials) sasl.Client { return sasl.NewPlainClient("", c.user, c.password) }

// loginMechanism is SASL LOGIN (draft-murchison-sasl-login-00). That of go-sasl sends the
// user name before it is asked, and wants the question for the password word by word.
type loginMechanism struct {
	credentials
	asked int
}

// Start sends nothing yet.
func (l *loginMechanism) Start() (mechanism string, initial []byte, err error) {
	return sasl.Login, nil, nil
}

// Next answers the first question with the user name and the second with the password.
func (l *loginMechanism) Next([]byte) ([]byte, error) {
	l.asked++
	switch l.asked {
	case 1:
		return []byte(l.user), nil
	case 2:
		return []byte(l.password), nil
	}
	return nil, errors.New("a third question")
}

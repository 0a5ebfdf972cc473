package settings

import (
	"fmt"
	"time"
)

// LoginOutcome is what a server answered to one form of the user name.
type LoginOutcome string

// The outcomes.
const (
	LoginUntried  LoginOutcome = ""         // not tried, or no answer came
	LoginAccepted LoginOutcome = "accepted" // it logged in
	LoginRejected LoginOutcome = "rejected" // user name or password were refused
)

// Login is what trying to log in to a service came to, with an account of the operator's
// (internal/login). Where there is none, nothing is known and nothing follows.
type Login struct {
	Service   Service      `json:"service"`
	Account   string       `json:"account"`             // the address of the mailbox
	Address   LoginOutcome `json:"address,omitempty"`   // of the whole address as user name
	LocalPart LoginOutcome `json:"localpart,omitempty"` // of what stands before the @
	At        time.Time    `json:"at,omitzero"`         // when these were seen; zero: no answer ever came
	Tried     time.Time    `json:"tried"`               // the newest try
	// Failure says what was rejected, or why no answer came; nil: what was tried was
	// accepted. It holds no word of the server's.
	Failure *Failure `json:"failure,omitempty"`
}

// Of returns what was answered to a form of the user name.
func (l Login) Of(u Username) LoginOutcome {
	if u == UsernameLocalPart {
		return l.LocalPart
	}
	return l.Address
}

// Accepted tells whether the server took the password, with either form.
func (l Login) Accepted() bool { return l.Address == LoginAccepted || l.LocalPart == LoginAccepted }

// Rejected tells whether the server refused either form.
func (l Login) Rejected() bool { return l.Address == LoginRejected || l.LocalPart == LoginRejected }

// Then returns what is known after a newer try of the same service: its outcomes take the
// place of the old ones. One that brought no answer only counts as tried.
func (l Login) Then(newer Login) Login {
	if newer.At.IsZero() && !l.At.IsZero() {
		l.Tried = newer.Tried
		return l
	}
	return newer
}

// other is the form that a provider does not declare.
func (u Username) other() Username {
	if u == UsernameLocalPart {
		return UsernameAddress
	}
	return UsernameLocalPart
}

// words calls the form what people call it.
func (u Username) words() string {
	if u == UsernameLocalPart {
		return "the local part"
	}
	return "the whole address"
}

// says tells whether a client that simply tries the whole address gets in: what was seen
// counts before what is declared. That both forms are rejected says more of the
// password than of the form.
func (p Provider) says(l Login) bool {
	switch {
	case l.Address == LoginAccepted:
		return true
	case l.Address == LoginRejected && l.LocalPart == LoginAccepted:
		return false
	}
	return p.SaysAddress()
}

// refuses returns why logins show that the service must not be published, or nil. There
// are two reasons. The declared form of the user name is rejected where the other one
// logs in. Or every login is refused although the password is right: the server said
// so, or another service has taken the same password since; an older acceptance proves
// nothing, for the password may have been changed between the two.
func (p Provider) refuses(l Login, all []Login) *Failure {
	declared, other := p.Username, p.Username.other()
	switch {
	case l.Of(declared) != LoginRejected:
		return nil
	case l.Of(other) == LoginAccepted:
		return &Failure{FailureLoginRejected, fmt.Sprintf("username is %s, but %s is rejected and %s logs in; set username: %s%s",
			declared, declared.words(), other.words(), other, p.apart(l, all))}
	case l.Failure != nil && l.Failure.Kind == FailureLoginRefused:
		return l.Failure
	case l.Of(other) == LoginRejected:
		for _, a := range all {
			if a.Accepted() && a.At.After(l.At) {
				return &Failure{FailureLoginRefused, "every login is refused, while " + a.Service.String() + " takes the same password"}
			}
		}
	}
	return nil
}

// apart adds to the advice where services of one provider want different forms.
func (p Provider) apart(l Login, all []Login) string {
	for _, a := range all {
		if a.Service != l.Service && a.Of(p.Username) == LoginAccepted {
			return ", in a provider of its own: " + a.Service.String() + " takes " + p.Username.words()
		}
	}
	return ""
}

// loginsOf keeps the newest login of each candidate, in their order.
func (p Provider) loginsOf(logins []Login) (all []Login, by map[Service]Login) {
	by = make(map[Service]Login, len(logins))
	for _, l := range logins {
		if known, twice := by[l.Service]; !twice || l.Tried.After(known.Tried) {
			by[l.Service] = l
		}
	}
	for _, s := range p.Candidates() {
		if l, known := by[s]; known {
			all = append(all, l)
		}
	}
	return all, by
}

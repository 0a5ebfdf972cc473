package settings

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Observation is what one round of probing saw of one service from one vantage.
type Observation struct {
	Service Service
	Vantage string    // where it was made: a name that the operator chose
	Proxied bool      // made through a proxy, whose own failures may look like the service's
	At      time.Time // when the round ended
	// Failure is set when no address could be tried at all: the name has none, or
	// our own resolver does not work.
	Failure   *Failure
	Warnings  []Warning // about the name, not about one address
	Addresses []AddressResult
}

// AddressResult is what was seen at one address of the host.
type AddressResult struct {
	IP       netip.Addr
	Took     time.Duration // the whole dialogue
	Local    bool          // a loopback, private or own address: no firewall was passed
	Failure  *Failure      // nil: passed wholly
	TLS      *TLS          // nil: there was no TLS handshake
	Auth     Mechanisms    // what is offered after TLS
	Path     string        // of a service over HTTP: its context path, "" where it is asked for at its well-known path
	Warnings []Warning
	// Transcript is the dialogue, a line each: "S: " and "C: " for what the server and
	// we said, "*  " for what happened. Printable, and bounded by the prober.
	Transcript []string
}

// TLS is what the handshake told. It is kept also when the certificate was refused.
type TLS struct {
	Version      string    `json:"version"` // "TLS 1.3"
	Cipher       string    `json:"cipher"`
	SubjectNames []string  `json:"subject_names"` // the DNS names of the certificate, bounded by the prober
	Issuer       string    `json:"issuer"`
	NotBefore    time.Time `json:"not_before"`
	NotAfter     time.Time `json:"not_after"`
	SPKISHA256   string    `json:"spki_sha256"` // hexadecimal; what a TLSA 3 1 1 record holds (RFC 6698)
}

// Mechanisms are the ways to log in that a server offers after TLS, in upper
// case: SASL mechanisms by their registered names, LOGIN also for IMAP's LOGIN
// command, USER for POP3's USER and PASS; over HTTP the authentication schemes of RFC
// 9110 section 11.1: BASIC, DIGEST, BEARER.
type Mechanisms []string

// Password is how a client can log in with a password.
type Password string

// The forms, by the names of draft-ietf-mailmaint-autoconfig-06.
const (
	NoPassword        Password = ""
	PasswordCleartext Password = "password-cleartext" // PLAIN, LOGIN, BASIC or the protocol's own command, inside TLS
	PasswordEncrypted Password = "password-encrypted" // CRAM-MD5, DIGEST-MD5, DIGEST, SCRAM
)

// Password returns the form that most clients can use.
func (m Mechanisms) Password() Password {
	if slices.ContainsFunc(m, func(s string) bool { return s == "PLAIN" || s == "LOGIN" || s == "USER" || s == "BASIC" }) {
		return PasswordCleartext
	}
	if slices.ContainsFunc(m, func(s string) bool {
		return s == "CRAM-MD5" || s == "DIGEST-MD5" || s == "DIGEST" || strings.HasPrefix(s, "SCRAM-")
	}) {
		return PasswordEncrypted
	}
	return NoPassword
}

// OAuth tells whether OAuth is offered (RFC 7628, and XOAUTH2 before it; RFC 6750).
func (m Mechanisms) OAuth() bool {
	return slices.ContainsFunc(m, func(s string) bool { return s == "OAUTHBEARER" || s == "XOAUTH2" || s == "BEARER" })
}

// Verdict is what an observation comes to.
type Verdict struct {
	Verified bool
	Failure  *Failure // why not; nil when verified
	Local    bool     // verified, but seen over local addresses only
	TLS      *TLS     // of the first address that passed, or of the one whose failure stands
	Auth     Mechanisms
	Path     string // as in AddressResult, where all addresses that passed agree on it
	Warnings []Warning
}

// basis returns the basis of a verified service that was seen just now.
func (v Verdict) basis() Basis {
	if v.Local {
		return BasisLocal
	}
	return BasisProbed
}

// Verdict folds the addresses. A service is verified when at least one address
// passes wholly. Another address that fails is a warning, since clients go on to
// the next; but one with an unsafe failure withholds the service, since clients do
// not go on from there. An address for which we have no route is not evidence. The
// order of the addresses does not matter.
func (o Observation) Verdict() Verdict {
	addresses := slices.SortedStableFunc(slices.Values(o.Addresses), func(a, b AddressResult) int { return a.IP.Compare(b.IP) })
	passed := Verdict{Verified: true, Local: true, Warnings: slices.Clone(o.Warnings)}
	failed := Verdict{Failure: o.Failure, Warnings: passed.Warnings}
	seen := false
	for _, a := range addresses {
		switch {
		case a.Failure == nil:
			passed.pass(a, !seen)
			seen = true
		case failed.Failure == nil || worse(a.Failure.Kind, failed.Failure.Kind):
			failed.Failure, failed.TLS = a.Failure, a.TLS
		}
	}
	switch {
	case !seen && failed.Failure == nil:
		failed.Failure = &Failure{FailureLocal, "nothing was tried"}
		return failed
	case !seen || failed.Failure != nil && failed.Failure.Kind.Weight() == Unsafe:
		return failed
	}
	if passed.Auth.Password() == NoPassword {
		passed.differ(addresses)
	}
	for _, a := range addresses {
		if a.Failure != nil && a.Failure.Kind.Weight() != Local {
			passed.warn(Warning{WarnAddressFailed, a.IP.String() + ": " + a.Failure.String()})
		}
	}
	return passed
}

// Closed tells whether the round proves that the port is closed to everybody: every
// address refused the connection, apart from those for which we have no route. A
// refusal by a loopback, private or own address proves nothing about the world, nor
// does one that came through a proxy.
func (o Observation) Closed() bool {
	refused := false
	for _, a := range o.Addresses {
		switch {
		case a.Failure != nil && a.Failure.Kind == FailureRefused && a.TLS == nil && !a.Local:
			refused = true
		case a.Failure != nil && a.Failure.Kind.Weight() == Local:
		default:
			return false
		}
	}
	return refused && !o.Proxied
}

// pass takes an address that passed into the verdict. What clients can use is what
// every such address offers.
func (v *Verdict) pass(a AddressResult, first bool) {
	if first {
		v.TLS, v.Auth, v.Path = a.TLS, slices.Clone(a.Auth), a.Path
	} else {
		if v.Path != a.Path {
			v.Path = ""
		}
		v.Auth = slices.DeleteFunc(v.Auth, func(m string) bool { return !slices.Contains(a.Auth, m) })
	}
	v.Local = v.Local && a.Local
	for _, w := range a.Warnings {
		v.warn(w)
	}
}

// differ is for addresses that pass and have no way to log in in common: what the first
// of them offers is said, with a warning.
func (v *Verdict) differ(addresses []AddressResult) {
	first := true
	for _, a := range addresses {
		if a.Failure != nil {
			continue
		}
		if first {
			v.Auth, first = slices.Clone(a.Auth), false
		}
		v.warn(Warning{WarnAddressesDiffer, a.IP.String() + " offers " + strings.Join(a.Auth, " ")})
	}
}

// warn adds a warning that is not there yet.
func (v *Verdict) warn(w Warning) {
	if !slices.Contains(v.Warnings, w) {
		v.Warnings = append(v.Warnings, w)
	}
}

// worse tells which failure stands for a service whose addresses fail in several
// ways: an unsafe one before all others, then the one that got further in the
// dialogue, which tells more.
func worse(a, b FailureKind) bool {
	unsafe := func(k FailureKind) int {
		if k.Weight() == Unsafe {
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(unsafe(a), unsafe(b)), cmp.Compare(a.stage(), b.stage())) > 0
}

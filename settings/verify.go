package settings

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Basis is why a service may be published.
type Basis string

// The bases. BasisLocal is a probe that passed no firewall. BasisGrace is a service
// that worked and is failing, or has not been seen for longer than MaxAge.
// BasisTrusted was never seen to work; the operator vouches for it.
const (
	BasisProbed  Basis = "probed"
	BasisLocal   Basis = "local"
	BasisGrace   Basis = "grace"
	BasisTrusted Basis = "trusted"
)

// Published is a service that may be told to clients.
type Published struct {
	Service  Service
	Basis    Basis
	Password Password  // how a client logs in; never NoPassword
	Path     string    // of a service over HTTP: the context path as it was last seen, or ""
	Seen     time.Time // the last success; zero for one that is only trusted
	Reason   string    // of a trusted service
	Failure  *Failure  // what the newest probe met, if it failed
	// SaysAddress tells that a client which simply tries the whole address as user name
	// gets in: by the declaration, unless a login has shown it or the contrary.
	SaysAddress bool
}

// Why says why a candidate is withheld.
type Why string

// The reasons.
const (
	WhyNotProbed Why = "not_probed" // no probe has ended yet
	WhyUndecided Why = "undecided"  // it could be; one that ranks higher has no outcome yet
	WhyNeverSeen Why = "never_seen" // every probe so far failed
	WhyGraceOver Why = "grace_over" // it worked once, longer than Grace ago, and fails
	WhyLogin     Why = "login"      // it works, but users cannot log in as they would be told
)

// Withheld is a candidate that may not be told to clients, with the reason.
type Withheld struct {
	Service Service
	Why     Why
	Failure *Failure  // what the newest probe met, or the login; nil when none has failed
	Seen    time.Time // the last success; zero: never
	Closed  bool      // the newest probe proves the port closed (Observation.Closed): what DNS needs to say "not offered"
}

// String says it to a person.
func (w Withheld) String() string {
	failure := "no reason is known"
	if w.Failure != nil {
		failure = w.Failure.String()
	}
	switch w.Why {
	case WhyNotProbed:
		return w.Service.String() + ": not probed yet"
	case WhyUndecided:
		return w.Service.String() + ": held back until one that ranks higher has an outcome"
	case WhyLogin:
		return w.Service.String() + ": works, but " + failure
	case WhyGraceOver:
		return fmt.Sprintf("%s: last seen to work at %s; %s", w.Service, w.Seen.UTC().Format(time.RFC3339), failure)
	default:
		return w.Service.String() + ": never seen to work; " + failure
	}
}

// Verified is what may be published for a provider. Only Verify makes one that
// offers anything; it is immutable and safe for concurrent use.
type Verified struct {
	provider  Provider
	services  []Published
	undecided []Role
	unprobed  []Role
}

// Provider returns the declaration that the services belong to.
func (v Verified) Provider() Provider { return v.provider }

// Services returns what is published for a role, the answer first.
func (v Verified) Services(r Role) []Published {
	var of []Published
	for _, p := range v.services {
		if p.Service.Role() == r {
			of = append(of, p)
		}
	}
	return of
}

// Empty tells that nothing is published at all.
func (v Verified) Empty() bool { return len(v.services) == 0 }

// Undecided tells that the first round has not decided the role yet: what is not
// published for it now may be in a few seconds.
func (v Verified) Undecided(r Role) bool { return slices.Contains(v.undecided, r) }

// Unprobed tells that a service of the role has no outcome yet: what cannot be said of
// the others may be said of that one.
func (v Verified) Unprobed(r Role) bool { return slices.Contains(v.unprobed, r) }

// Equal tells whether both offer the same: then every document is the same too.
func (v Verified) Equal(w Verified) bool {
	same := func(a, b Published) bool {
		return a.Service == b.Service && a.Basis == b.Basis && a.Password == b.Password && a.Path == b.Path && a.SaysAddress == b.SaysAddress
	}
	return slices.Equal(v.undecided, w.undecided) && slices.Equal(v.unprobed, w.unprobed) && slices.EqualFunc(v.services, w.services, same) && v.provider.equal(w.provider)
}

func (p Provider) equal(q Provider) bool {
	return p.Name == q.Name && p.DisplayName == q.DisplayName && p.ShortName == q.ShortName &&
		p.Username == q.Username && p.AcceptsAddress == q.AcceptsAddress &&
		slices.Equal(p.Services, q.Services) && slices.Equal(p.Trusted, q.Trusted) && slices.Equal(p.NotOffered, q.NotOffered)
}

// Unsayable is the error of a document that cannot be made: no service of a role
// that it needs can be said in its format.
type Unsayable struct {
	Format string   // "autoconfig", "autodiscover", …
	Needs  string   // "an outgoing service", "an incoming service"
	Why    []string // for each published service of the role, why this format cannot say it
}

// Error says it to a person.
func (u *Unsayable) Error() string {
	text := u.Format + " is not published: it needs " + u.Needs
	if len(u.Why) == 0 {
		return text + ", and none is verified"
	}
	return text + " that it can say; " + strings.Join(u.Why, "; ")
}

// Choose returns the first published service of the role that a format can say.
// cannot returns why it cannot say a service, or "". Without one, why holds the
// reasons.
func (v Verified) Choose(r Role, cannot func(Published) string) (p Published, why []string, ok bool) {
	for _, p := range v.Services(r) {
		reason := cannot(p)
		if reason == "" {
			return p, nil, true
		}
		why = append(why, p.Service.String()+": "+reason)
	}
	return Published{}, why, false
}

// Result is what Verify found.
type Result struct {
	Verified Verified
	Withheld []Withheld // every candidate that is not published, in the order of candidates
	Disagree []Disagreement
	// NextChange is when time alone changes the result: a success gets old, a grace
	// ends, a first answer is due. Zero: never.
	NextChange time.Time
}

// candidate is a service on its way through Verify.
type candidate struct {
	service Service
	views   Views
	history History // of the vantage that decides
	trust   *Trust
	since   time.Time // failing since; zero: not failing
	basis   Basis     // "": withheld
	over    bool      // its grace is over
	login   *Failure  // why logins speak against it; nil: they do not
	says    bool      // the whole address logs in
	path    string    // the context path, where all vantages that see the service work agree on it
}

// seen tells whether a probe of the service has ended.
func (c candidate) seen() bool { return !c.history.Newest.At.IsZero() }

// Verify decides what may be published: only services that were seen to work, and have
// not been failing for longer than Grace, or that the operator trusts; in the order of the policy, except that a
// failing service steps back behind those of its role that have succeeded since.
// A service without a history is one that has not been probed. Where several vantages
// differ, Policy.Vantage says who decides.
//
// Logins are what login checks came to, the newest of each service counting; they are
// optional and decide nothing but this. A service is withheld where the declared form
// of the user name is rejected and the other one logs in (login_rejected), and where
// every login is refused although the password is right (login_refused); one that is
// trusted stays trusted. Published.SaysAddress follows what was seen. Where all
// services reject both forms, the account is at fault, and nothing changes.
//
// The same arguments give the same result.
func Verify(p Provider, histories map[Service]Views, now time.Time, policy Policy, logins ...Login) Result {
	candidates := rank(p, histories, now, policy)
	all, login := p.loginsOf(logins)
	for i, c := range candidates {
		candidates[i].login, candidates[i].says = p.refuses(login[c.service], all), p.says(login[c.service])
	}
	result := Result{Verified: Verified{provider: p}}
	var next earliest
	for i := range candidates {
		candidates[i].judge(now, policy, &next)
	}
	undecided := undecidedRoles(candidates, now, &next)
	result.Verified.undecided = undecided
	for _, r := range Roles() {
		var fit []candidate
		for _, c := range candidates {
			if c.service.Role() == r && c.basis != "" && !slices.Contains(undecided, r) {
				fit = append(fit, c)
			}
		}
		for _, c := range stepBack(fit) {
			result.Verified.services = append(result.Verified.services, c.published())
		}
	}
	for _, c := range candidates {
		if r := c.service.Role(); !c.seen() && !slices.Contains(result.Verified.unprobed, r) {
			result.Verified.unprobed = append(result.Verified.unprobed, r)
		}
		if c.basis == "" || slices.Contains(undecided, c.service.Role()) {
			result.Withheld = append(result.Withheld, c.withheld())
		}
	}
	for _, c := range candidates {
		if d := c.views.disagree(c.service); d != nil {
			result.Disagree = append(result.Disagree, *d)
		}
	}
	result.NextChange = next.after(now)
	return result
}

// rank returns the candidates in order of preference: by role, then as the policy
// ranks the ports, then as written.
func rank(p Provider, histories map[Service]Views, now time.Time, policy Policy) []candidate {
	var all []candidate
	for _, s := range p.Candidates() {
		c := candidate{service: s, views: histories[s], history: histories[s].decide(now, policy)}
		if i := slices.IndexFunc(p.Trusted, func(t Trust) bool { return t.Service == s }); i >= 0 {
			c.trust = &p.Trusted[i]
		}
		all = append(all, c)
	}
	slices.SortStableFunc(all, func(a, b candidate) int {
		ra, rb := slices.Index(Roles(), a.service.Role()), slices.Index(Roles(), b.service.Role())
		if ra != rb {
			return ra - rb
		}
		return policy.Rank(a.service) - policy.Rank(b.service)
	})
	return all
}

// judge sets the basis, and notes when it will change by itself.
func (c *candidate) judge(now time.Time, policy Policy, next *earliest) {
	since, failing := c.history.Failing(now, policy)
	c.since = since
	success := c.history.Success
	c.path = c.views.path(now, policy, success.Verdict().Path)
	if !success.At.IsZero() {
		next.consider(success.At.Add(policy.Grace))
		next.consider(success.At.Add(policy.MaxAge))
	}
	// A success that nothing speaks against does not run out: our own network may be down.
	c.over = c.history.doubted() && !now.Before(success.At.Add(policy.Grace))
	switch {
	case success.At.IsZero() || c.over || c.login != nil:
		if c.trust != nil {
			c.basis = BasisTrusted
		}
	case failing || !now.Before(success.At.Add(policy.MaxAge)):
		c.basis = BasisGrace
	default:
		c.basis = success.Verdict().basis()
		if c.basis == BasisLocal && c.views.outside(now, policy) {
			c.basis = BasisProbed
		}
	}
}

// undecidedRoles returns the roles whose best candidate has to wait: one that ranks
// higher has no outcome yet, and the first success is not FirstAnswer ago. For POP3,
// IMAP ranks higher too.
func undecidedRoles(candidates []candidate, now time.Time, next *earliest) []Role {
	var undecided []Role
	for _, r := range Roles() {
		var first time.Time
		open, fit := false, false
		for _, c := range candidates {
			own := c.service.Role() == r
			if !own && !(r == RolePOP3 && c.service.Role() == RoleIMAP) {
				continue
			}
			if own && !c.history.FirstSuccess.IsZero() && (first.IsZero() || c.history.FirstSuccess.Before(first)) {
				first = c.history.FirstSuccess
			}
			fit = fit || own && c.basis != ""
			open = open || !fit && !c.seen()
		}
		due := first.Add(FirstAnswer)
		if open && (!fit || first.IsZero() || now.Before(due)) {
			undecided = append(undecided, r)
			if !first.IsZero() {
				next.consider(due)
			}
		}
	}
	return undecided
}

// stepBack puts each failing service behind those that have succeeded since it began
// to fail, and leaves everything else in order.
func stepBack(ranked []candidate) []candidate {
	behind := func(f, s candidate) bool { return !f.since.IsZero() && s.history.Success.At.After(f.since) }
	var ordered []candidate
	for len(ranked) > 0 {
		// Some service is always free to go next: whoever stands behind another failed
		// after its own last success and before the other's, so no circle can close.
		next := slices.IndexFunc(ranked, func(c candidate) bool {
			return !slices.ContainsFunc(ranked, func(s candidate) bool { return behind(c, s) })
		})
		ordered = append(ordered, ranked[next])
		ranked = slices.Delete(ranked, next, next+1)
	}
	return ordered
}

func (c candidate) published() Published {
	p := Published{Service: c.service, Basis: c.basis, Password: PasswordCleartext, Seen: c.history.Success.At, SaysAddress: c.says}
	if c.basis == BasisTrusted {
		p.Seen, p.Reason = time.Time{}, c.trust.Reason
	} else {
		p.Password, p.Path = c.history.Success.Verdict().Auth.Password(), c.path
	}
	p.Failure = c.failure()
	return p
}

func (c candidate) withheld() Withheld {
	w := Withheld{Service: c.service, Why: WhyNeverSeen, Seen: c.history.Success.At, Failure: c.failure(), Closed: c.history.Newest.Closed()}
	switch {
	case c.basis != "":
		w.Why = WhyUndecided
	case !c.seen():
		w.Why = WhyNotProbed
	case !w.Seen.IsZero() && !c.over:
		w.Why, w.Failure = WhyLogin, c.login
	case !w.Seen.IsZero():
		w.Why = WhyGraceOver
	}
	return w
}

// failure returns what the newest probe met, or else why logins speak against the
// service; nil if neither did, or there was none.
func (c candidate) failure() *Failure {
	if !c.seen() {
		return nil
	}
	return cmp.Or(c.history.Newest.Verdict().Failure, c.login)
}

// earliest collects moments and returns the first that lies ahead.
type earliest struct{ moments []time.Time }

func (e *earliest) consider(t time.Time) { e.moments = append(e.moments, t) }

func (e *earliest) after(now time.Time) time.Time {
	var first time.Time
	for _, t := range e.moments {
		if t.After(now) && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}

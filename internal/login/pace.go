package login

import (
	"time"

	"mailconfd/settings"
)

// The pace of logins.
const (
	// every is how often an account logs in to a service that takes it.
	every = time.Hour
	// rest is how long an account, and whatever logs in to the same host, is left alone
	// after a rejection. fail2ban's default is five failures within ten minutes; a check
	// makes two at most.
	rest = 6 * time.Minute
	// doubts is how many services may reject an account wholly before it is taken to be
	// at fault: two, since one of them may refuse every password.
	doubts = 2
)

// due returns when the account may log in to the service next, or false: not before the
// account changes. known is what logins of this account came to, rejection the newest
// one of any account at the host. A moment that lies further ahead than any pause is
// long was written while a clock was wrong, and does not count.
//
// After a rejection a service is never tried again with the same account, whichever form
// of the user name it was: a lock-out or a ban would be next.
func (d Declared) due(s settings.Service, known []settings.Login, rejection, now time.Time) (at time.Time, ok bool) {
	changed := d.Account.changed
	if d.halted(known) {
		return time.Time{}, false
	}
	for _, l := range known {
		if l.Rejected() && l.At.After(rejection) {
			rejection = l.At
		}
		switch {
		case l.Service != s:
		case l.Rejected() && !l.At.Before(changed):
			return time.Time{}, false
		case !l.Tried.Before(changed) && !l.Tried.After(now.Add(every)):
			at = l.Tried.Add(every)
		}
	}
	if calm := rejection.Add(rest); calm.After(at) && !rejection.After(now.Add(rest)) {
		at = calm
	}
	return at, true
}

// halted tells whether the account itself seems to be at fault: services have rejected it
// wholly, without saying that they take no password at all, and none has taken it since.
func (d Declared) halted(known []settings.Login) bool {
	count := 0
	for _, l := range known {
		if !l.Rejected() || l.Accepted() || l.At.Before(d.Account.changed) || l.Failure != nil && l.Failure.Kind == settings.FailureLoginRefused {
			continue
		}
		count++
		for _, other := range known {
			if other.Accepted() && other.At.After(l.At) {
				count--
				break
			}
		}
	}
	return count >= doubts
}

// order is the order in which services are tried that are due at the same time: one of
// each role first, since what one role refuses another may take.
func order(services []settings.Service) []settings.Service {
	roles := append([]settings.Role{settings.RoleIMAP}, settings.Roles()...)
	by := map[settings.Role][]settings.Service{}
	for _, s := range services {
		by[s.Role()] = append(by[s.Role()], s)
	}
	ordered := make([]settings.Service, 0, len(services))
	for len(ordered) < len(services) {
		for _, r := range roles {
			if len(by[r]) > 0 {
				ordered, by[r] = append(ordered, by[r][0]), by[r][1:]
			}
		}
	}
	return ordered
}

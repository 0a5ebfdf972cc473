package login

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"mailconfd/settings"
)

// Limits of a Checker.
const (
	atOnce    = 4               // logins at once in all; an account has one at a time
	later     = time.Minute     // after something of our own that did not work
	elsewhere = 5 * time.Minute // after another process has claimed a login
	saveTime  = 10 * time.Second
)

// Declared is a provider whose operator has given an account to log in with.
type Declared struct {
	Provider settings.Provider
	Account  Account
}

// Report is what a Checker tells.
type Report struct {
	Provider string
	// Login is what a login came to, beside what was known before; its Service is the
	// zero one where another process has made it.
	Login settings.Login
	// Halted tells that services have rejected the account wholly and none has taken it:
	// it is left alone until it changes.
	Halted bool
	// Err is set when a login was not made, or not kept. It holds no password.
	Err error
}

// Options are what a Checker works with. All are needed.
type Options struct {
	Opener Opener
	Store  Store
	// Told is told what there is to know of a provider: that Logins may return something
	// new. It is called by one goroutine at a time.
	Told func(Report)
}

// Checker logs in, now and then, to the services of providers that have an account. Its
// methods do not wait for a login, and may be called from any goroutine.
type Checker struct {
	options Options
	wake    chan struct{}

	mu       sync.Mutex
	declared map[string]Declared           // by provider
	verified map[string][]settings.Service // by provider
	known    map[string][]settings.Login   // by account
	busy     map[string]bool               // accounts
	wait     map[target]time.Time          // until when a login is put off
}

// NewChecker makes a checker. It logs in to nothing before Run.
func NewChecker(o Options) *Checker {
	return &Checker{
		options: o, wake: make(chan struct{}, 1), declared: map[string]Declared{}, verified: map[string][]settings.Service{},
		known: map[string][]settings.Login{}, busy: map[string]bool{}, wait: map[target]time.Time{},
	}
}

// Declare replaces who is declared, and reads from the store what is known of their
// accounts. With the store's error, which has been told too, they are declared all the
// same: nothing is known of an account until its next login is due.
func (c *Checker) Declare(ctx context.Context, all ...Declared) error {
	known := map[string][]settings.Login{}
	var failed error
	for _, d := range all {
		logins, err := c.options.Store.Logins(ctx, d.account())
		if err != nil {
			failed = err
			continue
		}
		known[d.account()] = logins
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.declared = map[string]Declared{}
	for _, d := range all {
		c.declared[d.Provider.Name] = d
	}
	for account, logins := range known {
		c.known[account] = newest(c.known[account], logins)
	}
	for name := range c.verified {
		if _, still := c.declared[name]; !still {
			delete(c.verified, name)
		}
	}
	c.poke()
	return failed
}

func (d Declared) account() string { return d.Account.address.String() }

// Verified says which services of a provider the prober lets through now; the others are
// left alone.
func (c *Checker) Verified(provider string, services []settings.Service) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.declared[provider]; known {
		c.verified[provider] = slices.Clone(services)
		c.poke()
	}
}

// Logins returns what is known of the provider's account: what settings.Verify takes.
// Nothing is known of a provider without an account.
func (c *Checker) Logins(provider string) []settings.Login {
	c.mu.Lock()
	defer c.mu.Unlock()
	d, declared := c.declared[provider]
	if !declared {
		return nil
	}
	return slices.Clone(c.known[d.account()])
}

func (c *Checker) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Run logs in when a login is due, until ctx ends. It returns when every login has ended.
func (c *Checker) Run(ctx context.Context) {
	ended := make(chan made)
	running := 0
	for {
		var timer <-chan time.Time
		if running < atOnce && ctx.Err() == nil {
			now := time.Now()
			d, s, at, ok := c.next()
			switch {
			case ok && !at.After(now):
				c.begin(d)
				running++
				go func() { ended <- c.attempt(ctx, d, s) }()
				continue
			case ok:
				timer = time.After(at.Sub(now))
			}
		}
		select {
		case <-ctx.Done():
			for range running {
				c.take(<-ended)
			}
			return
		case m := <-ended:
			running--
			c.take(m)
		case <-c.wake:
		case <-timer:
		}
	}
}

// next returns the login that is due first.
func (c *Checker) next() (first Declared, service settings.Service, at time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	rejections := c.rejections()
	for _, name := range slices.Sorted(maps.Keys(c.verified)) {
		d := c.declared[name]
		if c.busy[d.account()] {
			continue
		}
		for _, s := range order(c.verified[name]) {
			due, may := d.due(s, c.known[d.account()], rejections[s.Host])
			if wait := c.wait[target{d.account(), s}]; wait.After(due) {
				due = wait
			}
			if may && (!ok || due.Before(at)) {
				first, service, at, ok = d, s, due, true
			}
		}
	}
	return first, service, at, ok
}

// rejections returns when each host has last rejected a login. It wants the lock to be
// held.
func (c *Checker) rejections() map[string]time.Time {
	newest := map[string]time.Time{}
	for _, logins := range c.known {
		for _, l := range logins {
			if host := l.Service.Host; l.Rejected() && l.At.After(newest[host]) {
				newest[host] = l.At
			}
		}
	}
	return newest
}

func (c *Checker) begin(d Declared) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.busy[d.account()] = true
}

// made is what an attempt came to.
type made struct {
	target
	known []settings.Login // of the account, as the store has it
	login *settings.Login  // the one that was made
	wait  time.Time        // not before this again
	err   error
}

// attempt logs in, if the store has nothing against it.
func (c *Checker) attempt(ctx context.Context, d Declared, s settings.Service) made {
	m := made{target: target{d.account(), s}}
	now := time.Now()
	if m.known, m.err = c.options.Store.Logins(ctx, m.account); m.err != nil {
		m.wait = now.Add(later)
		return m
	}
	if at, ok := d.due(s, m.known, time.Time{}); !ok || at.After(now) {
		return m // another process was faster
	}
	if d.Account.rewritten() {
		m.wait, m.err = now.Add(later), errRewritten{d.Account}
		return m
	}
	since := now.Add(-every)
	if d.Account.changed.After(since) {
		since = d.Account.changed
	}
	mine, err := c.options.Store.ClaimLogin(ctx, m.account, s, now, since)
	switch {
	case err != nil:
		m.wait, m.err = now.Add(later), err
		return m
	case !mine:
		m.wait = now.Add(elsewhere)
		return m
	}
	l := c.check(ctx, s, d)
	if ctx.Err() != nil && l.At.IsZero() {
		return m // our own end, which says nothing of the service
	}
	for _, k := range m.known {
		if k.Service == s {
			l = k.Then(l)
		}
	}
	m.login, m.known = &l, newest(m.known, []settings.Login{l})
	saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTime)
	defer cancel()
	m.err = c.options.Store.SaveLogin(saving, m.account, l)
	return m
}

// check is Check, for which a panic of a library is no answer. What it says is not shown.
func (c *Checker) check(ctx context.Context, s settings.Service, d Declared) (l settings.Login) {
	began := time.Now()
	defer func() {
		if recover() != nil {
			l = settings.Login{Service: s, Tried: began, Failure: &settings.Failure{Kind: settings.FailureLocal, Detail: "the login broke down; please report it"}}
		}
	}()
	return Check(ctx, c.options.Opener, s, d.Account, d.Provider.Username)
}

// errRewritten is the error of an account whose file was written after it was read.
type errRewritten struct{ account Account }

// Error says what to do.
func (e errRewritten) Error() string {
	return e.account.file + " has changed since it was read: reload the configuration to use it"
}

// take takes in what an attempt came to, and tells it to those whom it concerns.
func (c *Checker) take(m made) {
	c.mu.Lock()
	delete(c.busy, m.account)
	c.wait[m.target] = m.wait
	if m.wait.IsZero() {
		delete(c.wait, m.target)
	}
	known := newest(c.known[m.account], m.known)
	changed := m.login != nil || !slices.EqualFunc(known, c.known[m.account], sameLogin)
	c.known[m.account] = known
	var reports []Report
	for _, name := range slices.Sorted(maps.Keys(c.declared)) {
		d := c.declared[name]
		if d.account() != m.account || !changed && m.err == nil {
			continue
		}
		r := Report{Provider: name, Halted: d.halted(c.known[m.account]), Err: m.err}
		if m.login != nil {
			r.Login = *m.login
		}
		reports = append(reports, r)
	}
	c.mu.Unlock()
	for _, r := range reports {
		c.options.Told(r)
	}
}

func sameLogin(a, b settings.Login) bool {
	return a.Service == b.Service && a.Tried.Equal(b.Tried) && a.Address == b.Address && a.LocalPart == b.LocalPart
}

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
	beat      = time.Second     // between two looks at what other processes have saved
	storeTime = 10 * time.Second
)

// Declared is a provider whose operator has given an account to log in with.
type Declared struct {
	Provider settings.Provider
	Account  Account
}

// Report is what a Checker tells.
type Report struct {
	Provider string
	// Login is what a login of this process came to; its Service is the zero one where
	// another process has made it.
	Login settings.Login
	// As is what Login came to with the form of the user name that the provider declares.
	As settings.LoginOutcome
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
	loaded   bool                          // what the store has is known
	newest   int64                         // the generation up to which it is
	declared map[string]Declared           // by provider
	verified map[string][]settings.Service // by provider
	known    map[string][]settings.Login   // by account
	busy     map[string]bool               // accounts
	wait     map[target]time.Time          // until when a login is put off
	calm     map[string]time.Time          // until when an account is left alone that got no answer
}

// NewChecker makes a checker. It logs in to nothing before Run.
func NewChecker(o Options) *Checker {
	return &Checker{
		options: o, wake: make(chan struct{}, 1), declared: map[string]Declared{}, verified: map[string][]settings.Service{},
		known: map[string][]settings.Login{}, busy: map[string]bool{}, wait: map[target]time.Time{}, calm: map[string]time.Time{},
	}
}

// Declare replaces who is declared. The first time that there is somebody it reads what
// the store has. With the store's error they are declared all the same, and nobody logs
// in before it could be read.
func (c *Checker) Declare(ctx context.Context, all ...Declared) error {
	var failed error
	if len(all) > 0 && !c.ready() {
		_, failed = c.listen(ctx)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.declared = map[string]Declared{}
	for _, d := range all {
		c.declared[d.Provider.Name] = d
	}
	c.poke()
	return failed
}

func (d Declared) account() string { return d.Account.address.String() }

// Verified says which services of a provider the prober lets through now; the others are
// left alone, and so are those over HTTP. It counts also for a provider that is declared
// later.
func (c *Checker) Verified(provider string, services []settings.Service) {
	services = slices.DeleteFunc(slices.Clone(services), func(s settings.Service) bool { return s.Scheme.WellKnown() != "" })
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(services) == 0 {
		delete(c.verified, provider)
		return
	}
	c.verified[provider] = services
	c.poke()
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

func (c *Checker) ready() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.loaded
}

// listen takes in what was saved by whomever, and returns the accounts of which something
// new is known.
func (c *Checker) listen(ctx context.Context) (news []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	c.mu.Lock()
	since := c.newest
	c.mu.Unlock()
	logins, generation, err := c.options.Store.LoginsSince(ctx, since)
	if err == nil && generation < since { // another store: all of it is new
		logins, generation, err = c.options.Store.LoginsSince(ctx, 0)
	}
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.loaded {
		c.poke() // logins may be due
	}
	c.loaded, c.newest = true, generation
	by := map[string][]settings.Login{}
	for _, l := range logins {
		by[l.Account] = append(by[l.Account], l)
	}
	for account, logins := range by {
		if c.learn(account, logins) {
			news = append(news, account)
		}
	}
	slices.Sort(news)
	return news, nil
}

// learn takes in logins of an account, and tells whether they are news. It wants the lock
// to be held.
func (c *Checker) learn(account string, logins []settings.Login) bool {
	known := newest(c.known[account], logins)
	same := slices.EqualFunc(known, c.known[account], func(a, b settings.Login) bool {
		return a.Service == b.Service && a.Tried.Equal(b.Tried) && a.Address == b.Address && a.LocalPart == b.LocalPart
	})
	c.known[account] = known
	return !same
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
	heard := make(chan made)
	listening := make(chan struct{})
	go func() {
		defer close(listening)
		c.hear(ctx, heard)
	}()
	for ctx.Err() == nil {
		var timer <-chan time.Time
		now := time.Now()
		d, s, at, ok := c.next(now)
		switch {
		case ok && running < atOnce && !at.After(now):
			c.begin(d)
			running++
			go func() { ended <- c.attempt(ctx, d, s) }()
			continue
		case ok && running < atOnce:
			timer = time.After(at.Sub(now))
		}
		select {
		case <-ctx.Done():
		case m := <-ended:
			running--
			c.take(m)
		case m := <-heard:
			c.tell(m)
		case <-c.wake:
		case <-timer:
		}
	}
	for range running {
		c.take(<-ended)
	}
	<-listening
}

// hear listens to what other processes save, as long as there is somebody to whom it may
// matter.
func (c *Checker) hear(ctx context.Context, heard chan<- made) {
	again := time.NewTicker(beat)
	defer again.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
		if !c.needed() {
			continue
		}
		news, _ := c.listen(ctx) // the monitor tells that a store does not work, and claims will
		for _, account := range news {
			select {
			case heard <- made{target: target{account: account}}:
			case <-ctx.Done():
				return
			}
		}
	}
}

func (c *Checker) needed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.declared) > 0
}

// next returns the login that is due first.
func (c *Checker) next(now time.Time) (first Declared, service settings.Service, at time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.loaded {
		return first, service, at, false
	}
	rejections := c.rejections()
	for _, name := range slices.Sorted(maps.Keys(c.verified)) {
		d, declared := c.declared[name]
		if !declared || c.busy[d.account()] {
			continue
		}
		for _, s := range order(c.verified[name]) {
			if !slices.Contains(d.Provider.Candidates(), s) {
				continue // of a configuration before this one: not the place for this password
			}
			due, may := d.due(s, c.known[d.account()], rejections[s.Host], now)
			if wait := c.wait[target{d.account(), s}]; wait.After(due) {
				due = wait
			}
			if calm := c.calm[d.account()]; calm.After(due) {
				due = calm
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
	login *settings.Login // the one that was made
	known settings.Login  // what is known after it
	wait  time.Time       // not before this again
	news  []string        // accounts of which other processes told meanwhile
	err   error
}

// attempt logs in, if nobody else does or has done it meanwhile.
func (c *Checker) attempt(ctx context.Context, d Declared, s settings.Service) (m made) {
	m.target = target{d.account(), s}
	now := time.Now()
	if d.Account.rewritten() {
		m.wait, m.err = now.Add(later), errRewritten{d.Account}
		return m
	}
	if mine, err := c.turn(ctx, d, now, now.Add(-turnTime)); err != nil || !mine {
		m.wait, m.err = now.Add(later), err
		return m
	}
	defer func() { _, _ = c.turn(ctx, d, time.UnixMilli(0), now.Add(time.Hour)) }()
	if m.news, m.err = c.listen(ctx); m.err != nil {
		m.wait = now.Add(later)
		return m
	}
	if !c.stillDue(d, s, now) {
		return m // what another process has learnt puts it off
	}
	if mine, err := c.claim(ctx, d, s, now); err != nil || !mine {
		m.wait, m.err = now.Add(elsewhere), err
		if err != nil {
			m.wait = now.Add(later)
		}
		return m
	}
	l := c.check(ctx, s, d)
	if ctx.Err() != nil && l.At.IsZero() {
		return m // our own end, which says nothing of the service
	}
	m.login, m.known = &l, l
	c.mu.Lock()
	for _, k := range c.known[m.account] {
		if k.Service == s {
			m.known = k.Then(l)
		}
	}
	c.mu.Unlock()
	saving, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	m.err = c.options.Store.SaveLogin(saving, m.known)
	return m
}

// turnTime is after how long the turn of a process that died is over.
const turnTime = checkTime + 2*storeTime

// turn asks for the account's turn, or gives it back: of all processes one logs in with an
// account at a time. In the store it is the claim of a service that there is not.
func (c *Checker) turn(ctx context.Context, d Declared, at, since time.Time) (mine bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	return c.options.Store.ClaimLogin(ctx, d.account(), settings.Service{}, at, since)
}

func (c *Checker) stillDue(d Declared, s settings.Service, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	due, may := d.due(s, c.known[d.account()], c.rejections()[s.Host], now)
	return may && !due.After(now)
}

// claim asks the store whether this process may log in: nobody has within the hour, or
// since the account changed.
func (c *Checker) claim(ctx context.Context, d Declared, s settings.Service, now time.Time) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTime)
	defer cancel()
	since := now.Add(-every)
	if d.Account.changed.After(since) {
		since = d.Account.changed
	}
	return c.options.Store.ClaimLogin(ctx, d.account(), s, now, since)
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

// take takes in what an attempt came to.
func (c *Checker) take(m made) {
	c.mu.Lock()
	delete(c.busy, m.account)
	c.wait[m.target] = m.wait
	if m.wait.IsZero() {
		delete(c.wait, m.target)
	}
	if m.login != nil {
		if m.login.Failure != nil && m.login.At.IsZero() {
			c.calm[m.account] = time.Now().Add(rest) // it may have counted as a failed login
		}
		c.learn(m.account, []settings.Login{m.known})
	}
	c.mu.Unlock()
	for _, account := range m.news {
		c.tell(made{target: target{account: account}})
	}
	if m.login != nil || m.err != nil {
		c.tell(m)
	}
}

// tell tells it to all whom it concerns.
func (c *Checker) tell(m made) {
	var reports []Report
	c.mu.Lock()
	for _, name := range slices.Sorted(maps.Keys(c.declared)) {
		d := c.declared[name]
		if d.account() != m.account {
			continue
		}
		r := Report{Provider: name, Halted: d.halted(c.known[m.account]), Err: m.err}
		if m.login != nil {
			r.Login, r.As = *m.login, m.login.Of(d.Provider.Username)
		}
		reports = append(reports, r)
	}
	c.mu.Unlock()
	for _, r := range reports {
		c.options.Told(r)
	}
}

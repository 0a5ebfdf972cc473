package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/net/publicsuffix"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

// ErrBusy means that too many domains are being asked for that nobody asked for before.
var ErrBusy = errors.New("too many MX look-ups at once; try again in a few seconds")

// Limits of MX look-ups. Anybody can make us look a name up by asking for it, and can
// let names under a domain of their own lead to one of our hosts. So domains that we
// serve are remembered apart from all others; no registrable domain has more than a
// few look-ups or places; and nothing is remembered but the host that decided.
const (
	lookupTime   = 2 * time.Second // a client gives up after 5 s
	keepOurs     = time.Hour
	keepOurStale = 24 * time.Hour   // when the look-up that should renew it does not work
	keepOthers   = 10 * time.Minute // a domain that has just moved here is found soon
	maxOurs      = 100_000
	maxOthers    = 50_000
	maxOfOne     = 50 // of ours below one registrable domain
	atOnce       = 32
	perSecond    = 50
	burst        = 200
	perSecondOne = 2 // below one registrable domain
	burstOne     = 50
	maxHosts     = 16 // of one answer that are looked at
)

// Resolver looks up where the mail of a domain goes.
type Resolver interface {
	// BestMX returns the MX hosts of the lowest preference, as settings.ParseHost gives
	// names. None and no error: the domain has no MX, or does not exist.
	BestMX(ctx context.Context, domain string) ([]string, error)
}

// MXCache remembers which domains have their mail at a host of ours. Several questions
// for one domain make one look-up; a look-up that does not work is not remembered. It
// is safe for concurrent use.
type MXCache struct {
	resolver Resolver
	ours     *lru.Cache[string, match]
	others   *lru.Cache[string, time.Time]
	slots    chan struct{}
	renew    *rate.Limiter // look-ups of domains that are ours
	learn    *rate.Limiter // of others
	each     *lru.Cache[string, *rate.Limiter]
	flights  singleflight.Group

	mu    sync.Mutex
	below map[string]int // how many of ours are below a registrable domain
}

// match is the host that made a domain one of ours.
type match struct {
	host string
	at   time.Time
}

// NewMXCache makes an empty cache over a resolver.
func NewMXCache(r Resolver) *MXCache {
	c := &MXCache{
		resolver: r, slots: make(chan struct{}, atOnce), below: map[string]int{},
		renew: rate.NewLimiter(perSecond, burst), learn: rate.NewLimiter(perSecond, burst),
	}
	var errs [3]error
	c.ours, errs[0] = lru.NewWithEvict(maxOurs, func(domain string, _ match) { c.place(domain, -1) })
	c.others, errs[1] = lru.New[string, time.Time](maxOthers)
	c.each, errs[2] = lru.New[string, *rate.Limiter](maxOthers)
	if err := errors.Join(errs[:]...); err != nil {
		panic(err) // a size is not positive: our own mistake
	}
	return c
}

// place counts a domain of ours that comes or goes, and returns how many there are now
// below its registrable domain.
func (c *MXCache) place(domain string, by int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	root := registrable(domain)
	c.below[root] += by
	n := c.below[root]
	if n <= 0 {
		delete(c.below, root)
	}
	return n
}

// registrable returns the registrable domain of a name, or the name where it has none.
func registrable(domain string) string {
	if root, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return root
	}
	return domain
}

// Forget drops what is known of domains that are not ours: a new declaration may serve
// them.
func (c *MXCache) Forget() { c.others.Purge() }

// Match returns the host for which ours is true among the best MX hosts of a domain,
// from memory or by a look-up of at most two seconds; "" where there is none.
func (c *MXCache) Match(ctx context.Context, domain string, ours func(host string) bool) (string, error) {
	known, isOurs := c.ours.Get(domain)
	isOurs = isOurs && ours(known.host) // the declaration may have changed
	if isOurs && time.Since(known.at) < keepOurs {
		return known.host, nil
	}
	if seen, ok := c.others.Get(domain); ok && time.Since(seen) < keepOthers {
		return "", nil
	}
	if suffix, icann := publicsuffix.PublicSuffix(domain); icann && suffix == domain {
		return "", nil // such as co.uk: nobody's mail domain
	}
	// The look-up goes on for the others that wait for it when this caller has gone.
	flight := c.flights.DoChan(domain, func() (any, error) {
		hosts, err := c.lookUp(context.WithoutCancel(ctx), domain, isOurs)
		if err != nil {
			return "", err
		}
		host := ""
		if i := slices.IndexFunc(hosts, ours); i >= 0 {
			host = hosts[i]
		}
		c.remember(domain, host)
		return host, nil
	})
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case landed := <-flight:
		if landed.Err != nil && isOurs && time.Since(known.at) < keepOurStale {
			return known.host, nil
		}
		if landed.Err != nil {
			return "", landed.Err
		}
		return landed.Val.(string), nil
	}
}

// remember keeps what a look-up found; a domain of ours unless too many of its kin are
// kept. Nobody else looks up the same domain meanwhile.
func (c *MXCache) remember(domain, host string) {
	if host == "" {
		c.ours.Remove(domain)
		c.others.Add(domain, time.Now())
		return
	}
	if !c.ours.Contains(domain) && c.place(domain, +1) > maxOfOne {
		c.place(domain, -1)
		return
	}
	c.ours.Add(domain, match{host, time.Now()})
}

// allow tells whether a look-up may be made now.
func (c *MXCache) allow(domain string, isOurs bool) bool {
	if isOurs {
		return c.renew.Allow()
	}
	root := registrable(domain)
	one, known := c.each.Get(root)
	if !known {
		one = rate.NewLimiter(perSecondOne, burstOne)
		c.each.Add(root, one)
	}
	return one.Allow() && c.learn.Allow()
}

func (c *MXCache) lookUp(ctx context.Context, domain string, isOurs bool) ([]string, error) {
	if !c.allow(domain, isOurs) {
		return nil, ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, ErrBusy
	}
	hosts, err := c.resolver.BestMX(ctx, domain)
	if err != nil {
		return nil, fmt.Errorf("MX of %s: %w", domain, err)
	}
	return slices.Clone(hosts[:min(len(hosts), maxHosts)]), nil
}

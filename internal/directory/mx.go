package directory

import (
	"context"
	"errors"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/net/publicsuffix"
	"golang.org/x/sync/singleflight"
	"golang.org/x/time/rate"
)

// ErrBusy means that too many domains are being asked for that nobody asked for before.
var ErrBusy = errors.New("too many MX look-ups at once; try again in a few seconds")

// Limits of MX look-ups. Domains that we serve are remembered apart from all others, and
// have a rate of their own, so that strangers who ask for names at random cannot push
// them out.
const (
	lookupTime   = 2 * time.Second // a client gives up after 5 s
	keepOurs     = time.Hour
	keepOurStale = 24 * time.Hour   // when the look-up that should renew it does not work
	keepOthers   = 10 * time.Minute // a domain that has just moved here is found soon
	maxOurs      = 100_000
	maxOthers    = 50_000
	perSecond    = 50
	burst        = 200
)

// Resolver looks up where the mail of a domain goes.
type Resolver interface {
	// BestMX returns the MX hosts of the lowest preference, as settings.ParseHost gives
	// names. None and no error: the domain has no MX, or does not exist.
	BestMX(ctx context.Context, domain string) ([]string, error)
}

// MXCache remembers best MX hosts. Several questions for one domain make one look-up;
// a look-up that does not work is not remembered. It is safe for concurrent use.
type MXCache struct {
	resolver     Resolver
	ours, others *lru.Cache[string, answer]
	renew, learn *rate.Limiter // look-ups of domains that are ours, and of others
	flights      singleflight.Group
}

type answer struct {
	hosts []string
	at    time.Time
}

// NewMXCache makes an empty cache over a resolver.
func NewMXCache(r Resolver) *MXCache {
	cache := func(size int) *lru.Cache[string, answer] {
		c, err := lru.New[string, answer](size)
		if err != nil {
			panic(err) // the size is not positive: our own mistake
		}
		return c
	}
	return &MXCache{
		resolver: r, ours: cache(maxOurs), others: cache(maxOthers),
		renew: rate.NewLimiter(perSecond, burst), learn: rate.NewLimiter(perSecond, burst),
	}
}

// Best returns the best MX hosts of a domain, from memory or by a look-up of at most
// two seconds. None means that the domain has no MX. ours tells whether hosts make a
// domain one that is served here.
func (c *MXCache) Best(ctx context.Context, domain string, ours func(hosts []string) bool) ([]string, error) {
	known, isOurs := c.ours.Get(domain)
	if isOurs && time.Since(known.at) < keepOurs {
		return known.hosts, nil
	}
	if other, ok := c.others.Get(domain); ok && time.Since(other.at) < keepOthers && !ours(other.hosts) {
		return other.hosts, nil
	}
	if suffix, icann := publicsuffix.PublicSuffix(domain); icann && suffix == domain {
		return nil, nil // such as co.uk: nobody's mail domain
	}
	// The look-up goes on for the others that wait for it when this caller has gone.
	flight := c.flights.DoChan(domain, func() (any, error) {
		return c.lookUp(context.WithoutCancel(ctx), domain, isOurs)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case landed := <-flight:
		if landed.Err != nil && isOurs && time.Since(known.at) < keepOurStale {
			return known.hosts, nil
		}
		if landed.Err != nil {
			return nil, landed.Err
		}
		hosts := landed.Val.([]string)
		c.keep(domain, hosts, ours(hosts))
		return hosts, nil
	}
}

func (c *MXCache) keep(domain string, hosts []string, isOurs bool) {
	if isOurs {
		c.ours.Add(domain, answer{hosts, time.Now()})
		return
	}
	c.ours.Remove(domain)
	c.others.Add(domain, answer{hosts, time.Now()})
}

func (c *MXCache) lookUp(ctx context.Context, domain string, isOurs bool) ([]string, error) {
	limit := c.learn
	if isOurs {
		limit = c.renew
	}
	if !limit.Allow() {
		return nil, ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	hosts, err := c.resolver.BestMX(ctx, domain)
	if err != nil {
		return nil, fmt.Errorf("MX of %s: %w", domain, err)
	}
	return hosts, nil
}

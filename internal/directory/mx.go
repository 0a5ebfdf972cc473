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

// Limits of MX look-ups.
const (
	lookupTime = 2 * time.Second // a client gives up after 5 s
	keepFound  = time.Hour
	keepNone   = 10 * time.Minute // a domain that has just moved here is found soon
	maxAnswers = 50_000
	perSecond  = 50
	burst      = 200
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
	resolver Resolver
	answers  *lru.Cache[string, answer]
	flights  singleflight.Group
	limit    *rate.Limiter
}

type answer struct {
	hosts   []string
	expires time.Time
}

// NewMXCache makes an empty cache over a resolver.
func NewMXCache(r Resolver) *MXCache {
	answers, err := lru.New[string, answer](maxAnswers)
	if err != nil {
		panic(err) // the size is not positive: our own mistake
	}
	return &MXCache{resolver: r, answers: answers, limit: rate.NewLimiter(perSecond, burst)}
}

// Best returns the best MX hosts of a domain, from memory or by a look-up of at most
// two seconds. None means that the domain has no MX.
func (c *MXCache) Best(ctx context.Context, domain string) ([]string, error) {
	if known, ok := c.answers.Get(domain); ok && time.Now().Before(known.expires) {
		return known.hosts, nil
	}
	if _, err := publicsuffix.EffectiveTLDPlusOne(domain); err != nil {
		return nil, nil // a public suffix: nobody's mail domain
	}
	// The look-up goes on for the others that wait for it when this caller has gone.
	flight := c.flights.DoChan(domain, func() (any, error) {
		return c.lookUp(context.WithoutCancel(ctx), domain)
	})
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case landed := <-flight:
		if landed.Err != nil {
			return nil, landed.Err
		}
		return landed.Val.([]string), nil
	}
}

func (c *MXCache) lookUp(ctx context.Context, domain string) ([]string, error) {
	if !c.limit.Allow() {
		return nil, ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, lookupTime)
	defer cancel()
	hosts, err := c.resolver.BestMX(ctx, domain)
	if err != nil {
		return nil, fmt.Errorf("MX of %s: %w", domain, err)
	}
	keep := keepFound
	if len(hosts) == 0 {
		keep = keepNone
	}
	c.answers.Add(domain, answer{hosts, time.Now().Add(keep)})
	return hosts, nil
}

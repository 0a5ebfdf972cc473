package probe

import (
	"context"
	"net/netip"
	"sync"

	"mailconfd/settings"
)

// turns lets one visitor at a time to each address and port. The zero turns are ready.
type turns struct {
	mu    sync.Mutex
	lanes map[netip.AddrPort]*lane
}

// lane is an address and port that somebody visits or waits for.
type lane struct {
	free     chan struct{} // holds one token while nobody visits
	visitors int           // who visit or wait; guarded by turns.mu
	// dead is why the last visitor did not get as far as saying which host was meant. It
	// holds for all who wait: hundreds of names can lead to one address, and each would
	// wait as long. Whoever holds the token guards it.
	dead *settings.Failure
}

// enter waits for the turn, or until ctx is done. dead is what a visitor before met that
// holds for any name. leave ends the turn, with what was met now.
func (t *turns) enter(ctx context.Context, at netip.AddrPort) (dead *settings.Failure, leave func(dead *settings.Failure), err error) {
	l := t.join(at)
	select {
	case <-l.free:
		return l.dead, func(dead *settings.Failure) {
			l.dead = dead
			l.free <- struct{}{}
			t.quit(at, l)
		}, nil
	case <-ctx.Done():
		t.quit(at, l)
		return nil, nil, ctx.Err()
	}
}

func (t *turns) join(at netip.AddrPort) *lane {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.lanes[at]
	if l == nil {
		if t.lanes == nil {
			t.lanes = map[netip.AddrPort]*lane{}
		}
		l = &lane{free: make(chan struct{}, 1)}
		l.free <- struct{}{}
		t.lanes[at] = l
	}
	l.visitors++
	return l
}

func (t *turns) quit(at netip.AddrPort, l *lane) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.visitors--; l.visitors == 0 {
		delete(t.lanes, at)
	}
}

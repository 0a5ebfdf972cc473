package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"

	"mailconfd/settings"
)

// errSilent is the outcome of connecting to where packets vanish.
var errSilent = errors.New("no answer, as if a firewall dropped the packets")

// routes is the table that leads from the addresses that the lab's names have to
// where something really listens on loopback. It is the only thing that the lab
// ever connects by.
type routes struct {
	mu sync.Mutex
	to map[netip.AddrPort]*route
}

// route is one line of the table.
type route struct {
	real  netip.AddrPort // on loopback
	fault Fault          // refused, unreachable or timeout/connect; zero: none
	dials int            // how often it was asked for
}

func newRoutes() *routes {
	return &routes{to: map[netip.AddrPort]*route{}}
}

// add sets where target leads. What it led to before, and its fault, are forgotten.
func (r *routes) add(target, real netip.AddrPort) error {
	if !real.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("map %s: %s is not on loopback", target, real)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to[target] = &route{real: real}
	return nil
}

// fail lets every connection to target fail; the zero fault ends that.
func (r *routes) fail(target netip.AddrPort, fault Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.to[target].fault = fault
}

// dials returns how often target was asked for.
func (r *routes) dials(target netip.AddrPort) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at := r.to[target]; at != nil {
		return at.dials
	}
	return 0
}

// find counts one connection to target and returns where it leads. The error is
// ECONNREFUSED for a port of a known address that nothing listens on, EHOSTUNREACH
// for an unknown address, errSilent for no answer.
func (r *routes) find(target netip.AddrPort) (netip.AddrPort, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.to[target]
	if at == nil {
		return netip.AddrPort{}, r.missing(target.Addr())
	}
	at.dials++
	switch at.fault.Kind {
	case settings.FailureRefused:
		return netip.AddrPort{}, syscall.ECONNREFUSED
	case settings.FailureUnreachable:
		return netip.AddrPort{}, syscall.EHOSTUNREACH
	case settings.FailureTimeout:
		return netip.AddrPort{}, errSilent
	}
	return at.real, nil
}

func (r *routes) missing(ip netip.Addr) error {
	for known := range r.to {
		if known.Addr() == ip {
			return syscall.ECONNREFUSED
		}
	}
	return syscall.EHOSTUNREACH
}

// dial connects to target as if over the network: its errors are those that
// [net.Dialer] gives for the same outcome.
func (r *routes) dial(ctx context.Context, network string, target netip.AddrPort) (net.Conn, error) {
	real, err := r.find(target)
	if err == nil {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "tcp", real.String())
	}
	if errors.Is(err, errSilent) {
		<-ctx.Done()
		err = ctx.Err()
		if errors.Is(err, context.DeadlineExceeded) {
			err = os.ErrDeadlineExceeded
		}
	} else {
		err = os.NewSyscallError("connect", err)
	}
	return nil, &net.OpError{Op: "dial", Net: network, Addr: net.TCPAddrFromAddrPort(target), Err: err}
}

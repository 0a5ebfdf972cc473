package probe_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"mailconfd/probe"
	"mailconfd/settings"
)

func TestLocality(t *testing.T) {
	t.Parallel()
	p := probe.New(probe.Options{OwnAddresses: func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("203.0.113.7")} }})
	for ip, local := range map[string]bool{
		"192.0.2.1": false, "2001:db8::1": false, "100.63.255.255": false, "172.32.0.1": false, "203.0.113.8": false,
		"64:ff9b::c000:201": false, "2002:c000:201::1": false,
		"127.0.0.1": true, "127.255.255.254": true, "::1": true, "::ffff:127.0.0.1": true, "0.0.0.0": true, "0.1.2.3": true, "::": true,
		"10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "fd00::1": true, "169.254.169.254": true, "fe80::1": true, "fe80::1%eth0": true,
		"100.64.0.1": true, "224.0.0.1": true, "ff02::1": true, "255.255.255.255": true, "240.0.0.1": true,
		"203.0.113.7": true, "64:ff9b::7f00:1": true, "64:ff9b::a9fe:a9fe": true, "2002:7f00:1::1": true, "2002:c0a8:101::": true,
	} {
		if why := p.Locality(netip.MustParseAddr(ip)); (why != "") != local {
			t.Errorf("%s: %q", ip, why)
		}
	}
}

func TestNetworkFailure(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want settings.FailureKind
	}{
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, settings.FailureRefused},
		{syscall.EHOSTUNREACH, settings.FailureUnreachable},
		{syscall.ENETUNREACH, settings.FailureUnreachable},
		{context.DeadlineExceeded, settings.FailureTimeout},
		{os.ErrDeadlineExceeded, settings.FailureTimeout},
		{syscall.ECONNRESET, settings.FailureReset},
		{fmt.Errorf("read: %w", io.ErrUnexpectedEOF), settings.FailureReset},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(40)}, settings.FailureTLS},
		{syscall.EPERM, settings.FailureLocal},
	} {
		got := probe.NetworkFailure("connect 192.0.2.1:443", tt.err)
		if got.Kind != tt.want || len(got.Detail) < len("connect 192.0.2.1:443: no") {
			t.Errorf("%v: want %s, got %s", tt.err, tt.want, got)
		}
	}
}

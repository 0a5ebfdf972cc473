package probe_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"mailconfd/probe"
	"mailconfd/settings"
)

// names is a resolver with a fixed answer.
type names struct {
	ips   []string
	hosts bool
	err   error
}

func (n names) Addresses(context.Context, string) ([]netip.Addr, bool, error) {
	var ips []netip.Addr
	for _, ip := range n.ips {
		ips = append(ips, netip.MustParseAddr(ip))
	}
	return ips, n.hosts, n.err
}

// dialErrors fails to connect in a given way for each address, and connects otherwise.
func dialErrors(network *inMemory, failures map[string]error) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, kind, address string) (net.Conn, error) {
		at := netip.MustParseAddrPort(address)
		if err := failures[at.Addr().String()]; err != nil {
			return nil, &net.OpError{Op: "dial", Net: kind, Addr: net.TCPAddrFromAddrPort(at), Err: os.NewSyscallError("connect", err)}
		}
		return network.dial(ctx, kind, address)
	}
}

// TestConnecting shows what each way not to connect means, address by address.
func TestConnecting(t *testing.T) {
	t.Parallel()
	ca := newPKI(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.leaf(t, leafOptions{}).pair()}}
	type kinds map[string]settings.FailureKind
	for name, test := range map[string]struct {
		ips      []string
		failures map[string]error
		want     kinds // "": passed
		verified bool
	}{
		"all well": {[]string{"192.0.2.1", "2001:db8::1"}, nil, kinds{"192.0.2.1": "", "2001:db8::1": ""}, true},
		"refused":  {[]string{"192.0.2.1"}, map[string]error{"192.0.2.1": syscall.ECONNREFUSED}, kinds{"192.0.2.1": "refused"}, false},
		"one refused, one well": {
			[]string{"192.0.2.1", "192.0.2.2"},
			map[string]error{"192.0.2.1": syscall.ECONNREFUSED},
			kinds{"192.0.2.1": "refused", "192.0.2.2": ""},
			true,
		},
		"host unreachable":       {[]string{"192.0.2.1"}, map[string]error{"192.0.2.1": syscall.EHOSTUNREACH}, kinds{"192.0.2.1": "unreachable"}, false},
		"timed out":              {[]string{"192.0.2.1"}, map[string]error{"192.0.2.1": syscall.ETIMEDOUT}, kinds{"192.0.2.1": "timeout"}, false},
		"our deadline":           {[]string{"192.0.2.1"}, map[string]error{"192.0.2.1": os.ErrDeadlineExceeded}, kinds{"192.0.2.1": "timeout"}, false},
		"reset":                  {[]string{"192.0.2.1"}, map[string]error{"192.0.2.1": syscall.ECONNRESET}, kinds{"192.0.2.1": "reset"}, false},
		"our own firewall":       {[]string{"192.0.2.1"}, map[string]error{"192.0.2.1": syscall.EPERM}, kinds{"192.0.2.1": "local"}, false},
		"no file descriptors":    {[]string{"192.0.2.1"}, map[string]error{"192.0.2.1": syscall.EMFILE}, kinds{"192.0.2.1": "local"}, false},
		"a proxy that is broken": {[]string{"192.0.2.1"}, map[string]error{"192.0.2.1": errors.New("proxy is broken")}, kinds{"192.0.2.1": "local"}, false},
		"no route for IPv6": {
			[]string{"192.0.2.1", "2001:db8::1", "2001:db8::2"},
			map[string]error{"2001:db8::1": syscall.ENETUNREACH, "2001:db8::2": syscall.EADDRNOTAVAIL},
			kinds{"192.0.2.1": "", "2001:db8::1": "local", "2001:db8::2": "local"},
			true,
		},
		"no IPv6 at all": {[]string{"2001:db8::1"}, map[string]error{"2001:db8::1": syscall.EAFNOSUPPORT}, kinds{"2001:db8::1": "local"}, false},
		"a route for IPv6, not to one of the addresses": {
			[]string{"2001:db8::1", "2001:db8::2"},
			map[string]error{"2001:db8::1": syscall.ENETUNREACH},
			kinds{"2001:db8::1": "unreachable", "2001:db8::2": ""},
			true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				network := &inMemory{serve: submissions(config)}
				o := probe.New(probe.Options{
					Resolver: names{ips: test.ips}, Dial: dialErrors(network, test.failures), Roots: ca.pool(),
					Now: testClock, HELO: "client.example.org",
				}).Probe(t.Context(), service(t, "submissions://mail.example.org"))
				network.servers.Wait()
				got := kinds{}
				for _, a := range o.Addresses {
					got[a.IP.String()] = ""
					if a.Failure != nil {
						got[a.IP.String()] = a.Failure.Kind
						if !strings.HasPrefix(a.Failure.Detail, "connect ") || !strings.Contains(a.Failure.Detail, a.IP.String()) {
							t.Errorf("detail %q", a.Failure.Detail)
						}
					}
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("kinds (-want +got):\n%s", diff)
				}
				if o.Verdict().Verified != test.verified {
					t.Errorf("verdict %+v", o.Verdict())
				}
			})
		})
	}
}

// TestNames shows what each answer of a resolver means.
func TestNames(t *testing.T) {
	t.Parallel()
	many := make([]string, 0, 40)
	for i := range 20 {
		many = append(many, netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}).String(), netip.AddrFrom16([16]byte{0x20, 1, 13: 1, 15: byte(i)}).String())
	}
	refuse := func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
	for name, test := range map[string]struct {
		url       string
		names     names
		addresses int
		kind      settings.FailureKind
		warning   settings.WarningKind
	}{
		"none":                 {"imap://mail.example.org", names{}, 0, settings.FailureDNS, ""},
		"resolver is broken":   {"imap://mail.example.org", names{err: errors.New("no DNS server answers")}, 0, settings.FailureLocal, ""},
		"hosts file":           {"imap://mail.example.org", names{ips: []string{"192.0.2.1"}, hosts: true}, 1, "", settings.WarnHostsFile},
		"twice the same":       {"imap://mail.example.org", names{ips: []string{"192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1"}}, 1, "", ""},
		"far too many":         {"imap://mail.example.org", names{ips: many}, 16, "", ""},
		"an address is itself": {"imap://192.0.2.7", names{err: errors.New("nobody asks")}, 1, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := probe.New(probe.Options{Resolver: test.names, Dial: refuse, Now: testClock, Vantage: "there"}).Probe(t.Context(), service(t, test.url))
			if len(o.Addresses) != test.addresses || o.Vantage != "there" || !o.At.Equal(testNow) {
				t.Errorf("got %+v", o)
			}
			if got := o.Failure; (got == nil) != (test.kind == "") || got != nil && got.Kind != test.kind {
				t.Errorf("failure %v, want %q", got, test.kind)
			}
			if (test.warning == "") != (len(o.Warnings) == 0) || len(o.Warnings) > 0 && o.Warnings[0].Kind != test.warning {
				t.Errorf("warnings %v, want %q", o.Warnings, test.warning)
			}
		})
	}
}

// TestLocalAddresses tells addresses behind no firewall from those of the world.
func TestLocalAddresses(t *testing.T) {
	t.Parallel()
	refuse := func(context.Context, string, string) (net.Conn, error) { return nil, syscall.ECONNREFUSED }
	own := func() []netip.Addr { return []netip.Addr{netip.MustParseAddr("198.51.100.9")} }
	for ip, want := range map[string]bool{
		"127.0.0.1": true, "127.0.1.1": true, "::1": true, "10.1.2.3": true, "172.16.0.1": true, "172.32.0.1": false, "192.168.1.1": true,
		"169.254.1.1": true, "100.64.0.1": true, "100.128.0.1": false, "fd00::1": true, "fe80::1": true, "2001:db8::1": false,
		"192.0.2.1": false, "198.51.100.9": true, "198.51.100.8": false, "0.0.0.0": true, "::": true,
	} {
		o := probe.New(probe.Options{Resolver: names{ips: []string{ip}}, Dial: refuse, OwnAddresses: own}).
			Probe(t.Context(), service(t, "imap://mail.example.org"))
		a := o.Addresses[0]
		warned := len(a.Warnings) == 1 && a.Warnings[0].Kind == settings.WarnLocalAddress
		if a.Local != want || warned != want {
			t.Errorf("%s: local %v, warnings %v, want %v", ip, a.Local, a.Warnings, want)
		}
	}
}

// TestThroughProxy knows that many proxies say "connected" before they are.
func TestThroughProxy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		hangUp := func(_ string, conn net.Conn) { _ = conn.Close() }
		o := look(t, "submission://mail.example.org", hangUp, func(o *probe.Options) { o.Proxied = true })
		if f := o.Addresses[0].Failure; f == nil || f.Kind != settings.FailureProtocol {
			t.Errorf("closed without a byte: got %v, want protocol", f)
		}
	})
}

func TestUnknownService(t *testing.T) {
	t.Parallel()
	o := probe.New(probe.Options{}).Probe(t.Context(), settings.Service{Scheme: "gopher", Host: "mail.example.org", Port: 70})
	if o.Failure == nil || o.Failure.Kind != settings.FailureLocal {
		t.Errorf("got %+v", o)
	}
}

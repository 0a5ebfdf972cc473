package outside_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailconfd/internal/outside"
)

// proxy is a SOCKS5 proxy that plays one script: it reads as many bytes as each request
// has, and says what stands beside it.
type proxy struct {
	requests [][]byte
	addr     string
	ended    chan struct{}
}

type turn struct {
	reads int
	says  string // hexadecimal
}

func play(t *testing.T, hold bool, turns ...turn) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: listener.Addr().String(), ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		defer listener.Close()
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for _, step := range turns {
			request := make([]byte, step.reads)
			if _, err := io.ReadFull(conn, request); err != nil {
				return
			}
			p.requests = append(p.requests, request)
			says, err := hex.DecodeString(strings.ReplaceAll(step.says, " ", ""))
			if err != nil {
				panic(err)
			}
			if _, err := conn.Write(says); err != nil {
				return
			}
		}
		if hold {
			_, _ = io.Copy(io.Discard, conn) // until the client leaves
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-p.ended
	})
	return p
}

func through(t *testing.T, via string) *outside.Dialer {
	t.Helper()
	d, err := outside.NewDialer(via)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestThroughProxy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		target string
		turns  []turn
		want   []string
	}{
		"IPv4": {
			"192.0.2.1:587",
			[]turn{{3, "05 00"}, {10, "05 00 00 01 00000000 0000 323230"}},
			[]string{"050100", "05010001c0000201024b"},
		},
		"IPv6, bound address is a name": {
			"[2001:db8::1]:993",
			[]turn{{3, "05 00"}, {22, "05 00 00 03 03 616263 0000 323230"}},
			[]string{"050100", "0501000420010db800000000000000000000000103e1"},
		},
		"bound address is IPv6": {
			"192.0.2.1:587",
			[]turn{{3, "05 00"}, {10, "05 00 00 04 00000000000000000000000000000000 0000 323230"}},
			[]string{"050100", "05010001c0000201024b"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := play(t, false, test.turns...)
			conn, err := through(t, "socks5://"+p.addr).DialContext(t.Context(), "tcp", test.target)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			// What follows the reply is the target's, to the byte.
			greeting, err := io.ReadAll(conn)
			if err != nil || string(greeting) != "220" {
				t.Errorf("behind the reply: got %q, %v, want 220", greeting, err)
			}
			<-p.ended
			var got []string
			for _, request := range p.requests {
				got = append(got, hex.EncodeToString(request))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("requests (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProxyWithPassword(t *testing.T) {
	t.Parallel()
	p := play(t, false, turn{4, "05 02"}, turn{12, "01 00"}, turn{10, "05 00 00 01 00000000 0000"})
	conn, err := through(t, "socks5://jane:secr%40@"+p.addr).DialContext(t.Context(), "tcp", "192.0.2.1:25")
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	<-p.ended
	if got, want := string(p.requests[1]), "\x01\x04jane\x05secr@"; got != want {
		// RFC 1929 section 2: VER, ULEN, UNAME, PLEN, PASSWD.
		t.Errorf("login: got %q, want %q", got, want)
	}
}

func TestProxyReplies(t *testing.T) {
	t.Parallel()
	for code, want := range map[byte]error{
		0x01: nil, 0x02: nil, 0x03: syscall.EHOSTUNREACH, 0x04: syscall.EHOSTUNREACH, 0x05: syscall.ECONNREFUSED,
		0x06: nil, 0x07: nil, 0x08: nil, 0x09: nil, 0xff: nil,
	} {
		// Some proxies send the code and nothing behind it.
		for _, rest := range []string{"", "00 01 00000000 0000"} {
			p := play(t, false, turn{3, "05 00"}, turn{10, "05 " + hex.EncodeToString([]byte{code}) + rest})
			_, err := through(t, "socks5://"+p.addr).DialContext(t.Context(), "tcp", "192.0.2.1:587")
			var reply *outside.ReplyError
			if !errors.As(err, &reply) || reply.Code != code || reply.Target != "192.0.2.1:587" || reply.Proxy != p.addr {
				t.Errorf("0x%02x: got error %#v, want the reply", code, err)
				continue
			}
			if got := errors.Unwrap(reply); got != want {
				t.Errorf("0x%02x: unwraps to %v, want %v", code, got, want)
			}
		}
	}
}

func TestBrokenProxies(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		user  string
		turns []turn
		says  string
	}{
		"no SOCKS5":          {"", []turn{{3, "48545450"}}, "0x48"},
		"SOCKS4":             {"", []turn{{3, "0400"}}, "0x04"},
		"closes at once":     {"", nil, "no answer"},
		"no method":          {"", []turn{{3, "05ff"}}, "user and password"},
		"method not offered": {"", []turn{{3, "0502"}}, "0x02"},
		"GSSAPI":             {"a:b@", []turn{{4, "0501"}}, "0x01"},
		"wrong password":     {"a:b@", []turn{{4, "0502"}, {5, "0101"}}, "refuses the user"},
		"closes at login":    {"a:b@", []turn{{4, "0502"}}, "no answer"},
		"no reply":           {"", []turn{{3, "0500"}, {10, ""}}, "no reply"},
		"reply of nonsense":  {"", []turn{{3, "0500"}, {10, "ffff"}}, "0xff"},
		"half a reply":       {"", []turn{{3, "0500"}, {10, "05000001"}}, "ends early"},
		"unknown address":    {"", []turn{{3, "0500"}, {10, "05000009"}}, "0x09"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := play(t, false, test.turns...)
			_, err := through(t, "socks5://"+test.user+p.addr).DialContext(t.Context(), "tcp", "192.0.2.1:587")
			var broken *outside.ProxyError
			if !errors.As(err, &broken) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got error %v, want a ProxyError with %q", err, test.says)
			}
		})
	}
}

func TestNoProxyThere(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	_ = listener.Close()
	_, err = through(t, "socks5://"+addr).DialContext(t.Context(), "tcp", "192.0.2.1:587")
	var broken *outside.ProxyError
	if !errors.As(err, &broken) || errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got error %v: a proxy that is down must not look like a refused target", err)
	}
}

func TestSilentProxy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		turns  []turn
		target bool // whose silence it is
	}{
		"before the request": {nil, false},
		"after the request":  {[]turn{{3, "0500"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := play(t, true, test.turns...)
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			_, err := through(t, "socks5://"+p.addr).DialContext(ctx, "tcp", "192.0.2.1:587")
			if got := errors.Is(err, os.ErrDeadlineExceeded); err == nil || got != test.target {
				t.Errorf("got error %v, want a time-out of the target: %v", err, test.target)
			}
		})
	}
}

func TestCancelledWhileProxyIsSilent(t *testing.T) {
	t.Parallel()
	p := play(t, true, turn{3, "0500"})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, cancel)
	if _, err := through(t, "socks5://"+p.addr).DialContext(ctx, "tcp", "192.0.2.1:587"); err == nil {
		t.Error("no error")
	}
}

func TestProxyIsAskedForAddressesOnly(t *testing.T) {
	t.Parallel()
	d := through(t, "socks5://127.0.0.1:9")
	for network, target := range map[string]string{"tcp": "mail.example.org:587", "tcp6": "192.0.2.1:587", "tcp4": "[2001:db8::1]:587"} {
		if _, err := d.DialContext(t.Context(), network, target); err == nil || !strings.Contains(err.Error(), target) && network == "tcp" {
			t.Errorf("%s %s: got error %v", network, target, err)
		}
	}
}

func TestNewDialer(t *testing.T) {
	t.Parallel()
	if d := through(t, ""); d.Proxied() {
		t.Error("without a proxy: Proxied")
	}
	if d := through(t, "socks5://[2001:db8::1]:1080/"); !d.Proxied() {
		t.Error("with a proxy: not Proxied")
	}
	for _, bad := range []string{
		"127.0.0.1:1080", "socks4://127.0.0.1:1080", "http://127.0.0.1:1080", "socks5://", "socks5://127.0.0.1",
		"socks5://127.0.0.1:0", "socks5://127.0.0.1:99999", "socks5://127.0.0.1:1080/x", "socks5://jane@127.0.0.1:1080",
		"socks5://jane:hunter2%zz@127.0.0.1:1080", "socks5://jane:" + strings.Repeat("hunter2", 40) + "@127.0.0.1:1080",
		"jane:hunter2@127.0.0.1:1080",
	} {
		_, err := outside.NewDialer(bad)
		if err == nil {
			t.Errorf("%q: no error", bad)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: the error shows the password: %v", bad, err)
		}
	}
}

func FuzzSOCKSReply(f *testing.F) {
	f.Add([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0, '2'})
	f.Add([]byte{5, 0, 0, 3, 2, 'a', 'b', 0, 0})
	f.Add([]byte{5, 5})
	f.Fuzz(func(t *testing.T, raw []byte) {
		r := bytes.NewReader(raw)
		code, err := outside.ReadReply(r)
		if used := len(raw) - r.Len(); used > 4+1+255+2 {
			t.Errorf("read %d bytes", used)
		}
		if err == nil && (len(raw) < 2 || raw[0] != 5 || raw[1] != code) {
			t.Errorf("%x: code %d", raw, code)
		}
	})
}

package lab_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/proxy"

	"mailconfd/internal/lab"
	"mailconfd/settings"
)

// socks connects to the lab's proxy.
func socks(t *testing.T, internet *lab.Internet) net.Conn {
	t.Helper()
	at, ok := strings.CutPrefix(internet.ProxyURL(), "socks5://")
	if !ok {
		t.Fatalf("proxy URL %q", internet.ProxyURL())
	}
	conn, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// connectRequest asks for CONNECT to host and port, as IPv4, IPv6 or name.
func connectRequest(host string, port uint16) []byte {
	request := []byte{5, 1, 0}
	if ip, err := netip.ParseAddr(host); err != nil {
		request = append(request, 3, byte(len(host)))
		request = append(request, host...)
	} else if ip.Is4() {
		request = append(append(request, 1), ip.AsSlice()...)
	} else {
		request = append(append(request, 4), ip.AsSlice()...)
	}
	return append(request, byte(port>>8), byte(port))
}

// exchange sends bytes and returns the n that come back.
func exchange(t *testing.T, conn net.Conn, send []byte, n int) []byte {
	t.Helper()
	if _, err := conn.Write(send); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, n)
	if m, err := io.ReadFull(conn, got); err != nil {
		t.Fatalf("after % x: got % x and %v", send, got[:m], err)
	}
	return got
}

func TestSOCKSReplies(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	if err := internet.Break(service(t, "imap"), settings.FailureRefused); err != nil {
		t.Fatal(err)
	}
	if err := internet.Break(service(t, "pop3"), settings.FailureUnreachable); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		why  string
		host string
		port uint16
		want byte
	}{
		{"IPv4", "192.0.2.10", 587, 0},
		{"IPv6", "2001:db8::10", 587, 0},
		{"IPv4 in IPv6", "::ffff:192.0.2.10", 587, 0},
		{"name", "mail.example.test", 587, 0},
		{"name in capitals, with a dot", "MAIL.example.test.", 2525, 0},
		{"address as a name", "192.0.2.10", 993, 0},
		{"no service on the port", "192.0.2.10", 25, 5},
		{"broken: refused", "192.0.2.10", 143, 5},
		{"broken: refused, by name", "mail.example.test", 143, 5},
		{"broken: unreachable", "2001:db8::10", 110, 4},
		{"unknown address", "192.0.2.99", 587, 4},
		{"loopback", "127.0.0.1", 587, 4},
		{"unknown name", "mail.example.org", 587, 4},
		{"empty name", "", 587, 4},
		{"a name that is none", "\x00..\\\xff ", 587, 4},
	} {
		conn := socks(t, internet)
		if got := exchange(t, conn, []byte{5, 1, 0}, 2); !bytes.Equal(got, []byte{5, 0}) {
			t.Errorf("%s: method % x", c.why, got)
		}
		got := exchange(t, conn, connectRequest(c.host, c.port), 10)
		if want := []byte{5, c.want, 0, 1, 0, 0, 0, 0, 0, 0}; !bytes.Equal(got, want) {
			t.Errorf("%s: got % x, want % x", c.why, got, want)
		}
	}
}

func TestSOCKSRefusesWhatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	connect := connectRequest("192.0.2.10", 587)
	changed := func(at int, to byte) []byte {
		request := bytes.Clone(connect)
		request[at] = to
		return request
	}
	for _, c := range []struct {
		why         string
		hello, want []byte
		request     []byte
		reply       []byte // the first two bytes; nil: the end
	}{
		{"SOCKS4", []byte{4, 1}, nil, nil, nil},
		{"HTTP", []byte("GET / HTTP/1.1\r\n\r\n"), nil, nil, nil},
		{"no methods", []byte{5, 0}, []byte{5, 0xff}, nil, nil},
		{"a password only", []byte{5, 1, 2}, []byte{5, 0xff}, nil, nil},
		{"a password or none", []byte{5, 2, 2, 0}, []byte{5, 0}, connect, []byte{5, 0}},
		{"BIND", []byte{5, 1, 0}, []byte{5, 0}, changed(1, 2), []byte{5, 7}},
		{"UDP ASSOCIATE", []byte{5, 1, 0}, []byte{5, 0}, changed(1, 3), []byte{5, 7}},
		{"address type 9", []byte{5, 1, 0}, []byte{5, 0}, changed(3, 9), []byte{5, 8}},
		{"another version", []byte{5, 1, 0}, []byte{5, 0}, changed(0, 4), []byte{5, 7}},
	} {
		conn := socks(t, internet)
		if got := exchange(t, conn, c.hello, len(c.want)); !bytes.Equal(got, c.want) {
			t.Errorf("%s: got % x, want % x", c.why, got, c.want)
		}
		if c.reply != nil {
			if got := exchange(t, conn, c.request, len(c.reply)); !bytes.Equal(got, c.reply) {
				t.Errorf("%s: got % x, want % x", c.why, got, c.reply)
			}
			continue
		}
		if rest, err := io.ReadAll(conn); len(rest) > 0 || err != nil && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%s: got % x and %v, want the end", c.why, rest, err)
		}
	}
}

func TestSOCKSIsSilentWherePacketsVanish(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	fault := lab.Fault{Kind: settings.FailureTimeout, Variant: lab.VariantConnect}
	if err := internet.BreakAs(service(t, "imaps"), fault); err != nil {
		t.Fatal(err)
	}
	conn := socks(t, internet)
	exchange(t, conn, []byte{5, 1, 0}, 2)
	if _, err := conn.Write(connectRequest("192.0.2.10", 993)); err != nil {
		t.Fatal(err)
	}
	if err := conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 10)); !isTimeout(err) {
		t.Errorf("got %d bytes and %v, want a time-out", n, err)
	}
}

// through connects by the usual SOCKS5 client of the Go world.
func through(t *testing.T, internet *lab.Internet, s settings.Service) *client {
	t.Helper()
	dialer, err := proxy.SOCKS5("tcp", strings.TrimPrefix(internet.ProxyURL(), "socks5://"), nil, proxy.Direct)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := dialer.Dial("tcp", address(s))
	if err != nil {
		t.Fatal(err)
	}
	return raw(t, s, conn)
}

func TestSOCKSLeadsToEveryService(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	for _, s := range settings.Candidates(lab.Host) {
		c := through(t, internet, s)
		if err := c.enter(trusting(internet)); err != nil {
			t.Errorf("%s: %v", s, err)
			continue
		}
		wantPassword(t, c)
		target := netip.AddrPortFrom(netip.MustParseAddr("192.0.2.10"), s.Port)
		if got := internet.Dials(target); got != 1 {
			t.Errorf("%s: %d connections counted, want 1", s, got)
		}
	}
}

// What a server does at the end of a connection comes through: a reset as a reset, the
// last words before it, 10 MB whole.
func TestSOCKSPassesOnHowItEnds(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	submission := service(t, "submission")
	for kind, look := range map[settings.FailureKind]func(*client){
		settings.FailureReset: func(c *client) {
			c.greeting()
			c.send("QUIT")
			if _, err := io.ReadAll(c.reader); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %v, want a reset", err)
			}
		},
		settings.FailureGreeting: func(c *client) {
			c.want("554 ")
			c.wantEnd()
		},
		settings.FailureTooLong: func(c *client) {
			if lines := c.greeting(); len(lines) < 10_000 {
				t.Errorf("got %d lines of greeting", len(lines))
			}
		},
		settings.FailureTLS: func(c *client) {
			if err := c.enter(trusting(internet)); err == nil || !strings.Contains(err.Error(), "protocol version") {
				t.Errorf("got %v, want the alert", err)
			}
		},
	} {
		if err := internet.Break(submission, kind); err != nil {
			t.Fatal(err)
		}
		look(through(t, internet, submission))
	}
}

func FuzzReadSOCKS(f *testing.F) {
	for _, host := range []string{"192.0.2.10", "2001:db8::10", "mail.example.test", "", strings.Repeat("x", 255)} {
		f.Add(connectRequest(host, 587))
	}
	f.Add([]byte{5, 3, 0, 1, 0, 0})
	f.Add([]byte{4, 1})
	f.Add([]byte{5, 1, 0, 3, 255})
	f.Fuzz(func(t *testing.T, data []byte) {
		reader := bytes.NewReader(data)
		host, port, code := lab.ReadSOCKS(reader)
		if code != 0 {
			if host != "" || port != 0 {
				t.Errorf("% x: refused with %d, and yet %q %d", data, code, host, port)
			}
			return
		}
		read := data[:len(data)-reader.Len()]
		end := len(read) - 2
		if want := uint16(read[end])<<8 | uint16(read[end+1]); port != want {
			t.Errorf("% x: got port %d, want %d", read, port, want)
		}
		if read[3] == 3 {
			if host != string(read[5:end]) {
				t.Errorf("% x: got name %q", read, host)
			}
		} else if ip, err := netip.ParseAddr(host); err != nil || ip.As16() != asIPv6(read[4:end]) {
			t.Errorf("% x: got address %q", read, host)
		}
	})
}

// asIPv6 is the address in 16 bytes, IPv4 mapped into IPv6.
func asIPv6(ip []byte) [16]byte {
	addr, _ := netip.AddrFromSlice(ip)
	return addr.As16()
}

// A connection that carries far more than mail set-up ever would is cut.
func TestSOCKSLimitsBytes(t *testing.T) {
	t.Parallel()
	internet := newLab(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		conn, err := listener.Accept()
		for chunk := make([]byte, 1<<20); err == nil; {
			_, err = conn.Write(chunk)
		}
		if conn != nil {
			conn.Close()
		}
	}()
	if err := internet.Map("endless.example.test", 80, listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	conn := socks(t, internet)
	exchange(t, conn, []byte{5, 1, 0}, 2)
	exchange(t, conn, connectRequest("endless.example.test", 80), 10)
	got, err := io.Copy(io.Discard, conn)
	if isTimeout(err) || got > 64<<20 || got < 32<<20 {
		t.Errorf("got %d bytes and %v, want an end after 64 MiB", got, err)
	}
}

package probe_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailconfd/probe"
	"mailconfd/settings"
)

// writeAll writes until somebody stops it.
func writeAll(conn net.Conn, text string, pause time.Duration) {
	for {
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
		if pause > 0 {
			<-time.After(pause)
		}
	}
}

// TestNoServerStretchesAProbe is about servers that feed a probe for ever: each is
// left when its time or its share of octets is over.
func TestNoServerStretchesAProbe(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		url    string
		first  string
		again  string
		pause  time.Duration
		kind   settings.FailureKind
		within time.Duration
	}{
		"a byte a second":                  {"submission://mail.example.org", "", "2", time.Second, settings.FailureTimeout, 30 * time.Second},
		"a line a second in the greeting":  {"submission://mail.example.org", "", "220-x\r\n", time.Second, settings.FailureTimeout, 30 * time.Second},
		"a line a second in EHLO":          {"submission://mail.example.org", "220 x\r\n", "250-x\r\n", time.Second, settings.FailureTimeout, 60 * time.Second},
		"a line a second in CAPA":          {"pop3://mail.example.org", "+OK\r\n+OK\r\n", "X\r\n", time.Second, settings.FailureTimeout, 60 * time.Second},
		"a response a second":              {"imap://mail.example.org", "* OK\r\n", "* OK still here\r\n", time.Second, settings.FailureTimeout, 60 * time.Second},
		"a capability a second":            {"sieve://mail.example.org", "", "\"X\"\r\n", time.Second, settings.FailureTimeout, 30 * time.Second},
		"an endless line":                  {"imap://mail.example.org", "* OK ", "xxxxxxxx", 0, settings.FailureTooLong, time.Second},
		"endless lines":                    {"submission://mail.example.org", "", "220-x\r\n", 0, settings.FailureTooLong, time.Second},
		"endless empty lines":              {"pop3://mail.example.org", "+OK\r\n+OK\r\n", "\r\n", 0, settings.FailureTooLong, time.Second},
		"endless literals":                 {"imap://mail.example.org", "* OK\r\n", "* X {6000}\r\n" + strings.Repeat("y", 6000), 0, settings.FailureTooLong, time.Second},
		"endless capabilities":             {"sieve://mail.example.org", "", "\"X\" \"Y\"\r\n", 0, settings.FailureTooLong, time.Second},
		"a byte a second in place of TLS":  {"imaps://mail.example.org", "", "\x16", time.Second, settings.FailureTLS, 20 * time.Second},
		"a long record a second, no TLS":   {"imaps://mail.example.org", "", "\x16\x03\x03\x40\x00" + strings.Repeat("z", 100), time.Second, settings.FailureTimeout, 20 * time.Second},
		"text, a byte a second, no TLS":    {"imaps://mail.example.org", "", "*", time.Second, settings.FailurePlaintextOnTLSPort, 10 * time.Second},
		"endless rubbish in place of TLS":  {"imaps://mail.example.org", "", "\xff\xfe\xfd\xfc\xfb\xfa", 0, settings.FailureTLS, time.Second},
		"nothing in place of TLS":          {"imaps://mail.example.org", "", "", time.Hour, settings.FailureTimeout, 20 * time.Second},
		"nothing in place of the greeting": {"imap://mail.example.org", "", "", time.Hour, settings.FailureTimeout, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				var took time.Duration
				o := look(t, test.url, func(_ string, conn net.Conn) {
					go func() { _, _ = io.Copy(io.Discard, conn) }() // ends with the connection
					if _, err := io.WriteString(conn, test.first); err == nil {
						writeAll(conn, test.again, test.pause)
					}
				}, func(o *probe.Options) {
					o.Now = func() time.Time {
						took = time.Since(start)
						return testNow
					}
				})
				if f := o.Addresses[0].Failure; f == nil || f.Kind != test.kind {
					t.Errorf("got %v, want %s\n%s", f, test.kind, transcripts(o))
				}
				if took > test.within {
					t.Errorf("took %s, want %s at most", took, test.within)
				}
			})
		})
	}
}

// TestNoWebServerStretchesAProbe is the same inside TLS, where HTTP is spoken.
func TestNoWebServerStretchesAProbe(t *testing.T) {
	t.Parallel()
	ca := newPKI(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.leaf(t, leafOptions{}).pair()}}
	for name, test := range map[string]struct {
		first, again string
		pause        time.Duration
		kind         settings.FailureKind
		within       time.Duration
	}{
		"a byte and nothing":      {"", "x", time.Hour, settings.FailureTimeout, 30 * time.Second},
		"a byte a second":         {"HTTP/1.1 401 ", "x", time.Second, settings.FailureTimeout, 30 * time.Second},
		"a field a second":        {"HTTP/1.1 401 Unauthorized\r\n", "X: y\r\n", time.Second, settings.FailureTimeout, 30 * time.Second},
		"endless fields":          {"HTTP/1.1 401 Unauthorized\r\n", "X: y\r\n", 0, settings.FailureTooLong, time.Second},
		"an endless field":        {"HTTP/1.1 401 Unauthorized\r\nX:", "yyyyyyyy", 0, settings.FailureTooLong, time.Second},
		"endless interim answers": {"", "HTTP/1.1 102 Processing\r\n\r\n", 0, settings.FailureTooLong, time.Second},
		"a redirect, each slow":   {"HTTP/1.1 302 Found\r\nLocation: /x\r\n", "X: y\r\n", 29 * time.Second, settings.FailureTimeout, 60 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				o := look(t, "caldavs://mail.example.org", func(_ string, conn net.Conn) {
					secure := tls.Server(conn, config)
					if secure.Handshake() != nil {
						return
					}
					go func() { _, _ = io.Copy(io.Discard, secure) }() // ends with the connection
					if _, err := io.WriteString(secure, test.first); err == nil {
						writeAll(secure, test.again, test.pause)
					}
				}, func(o *probe.Options) { o.Roots = ca.pool() })
				if f := o.Addresses[0].Failure; f == nil || f.Kind != test.kind {
					t.Errorf("got %v, want %s\n%s", f, test.kind, transcripts(o))
				}
				if took := o.Addresses[0].Took; took > test.within || took > time.Since(start) {
					t.Errorf("took %s, want %s at most", took, test.within)
				}
			})
		})
	}
}

// TestCancelEndsAtOnce cancels a probe in each of its waits.
func TestCancelEndsAtOnce(t *testing.T) {
	t.Parallel()
	silent := func(_ string, conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	for name, test := range map[string]struct {
		url   string
		serve func(string, net.Conn)
	}{
		"greeting":  {"submission://mail.example.org", silent},
		"handshake": {"submissions://mail.example.org", silent},
		"EHLO": {"submission://mail.example.org", func(_ string, conn net.Conn) {
			_, _ = io.WriteString(conn, "220 x\r\n")
			silent("", conn)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				network := &inMemory{serve: test.serve}
				prober := probe.New(probe.Options{Resolver: address("192.0.2.1"), Dial: network.dial})
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				start := time.Now()
				o := prober.Probe(ctx, service(t, test.url))
				network.servers.Wait()
				if f := o.Addresses[0].Failure; f == nil || f.Kind != settings.FailureLocal || time.Since(start) != time.Second {
					t.Errorf("got %v after %s, want local after 1s", f, time.Since(start))
				}

				// A deadline of the caller's is a time-out like our own.
				ctx, cancel = context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				o = prober.Probe(ctx, service(t, test.url))
				network.servers.Wait()
				if f := o.Addresses[0].Failure; f == nil || f.Kind != settings.FailureTimeout {
					t.Errorf("got %v, want timeout", f)
				}
			})
		})
	}
}

package probe_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"

	"mailconfd/probe"
	"mailconfd/settings"
)

// recorded is a connection to a server that says the same whatever it hears, and leaves.
type recorded struct {
	io.Reader
	sent strings.Builder
}

func (r *recorded) Write(p []byte) (int, error)      { return r.sent.Write(p) }
func (r *recorded) Close() error                     { return nil }
func (r *recorded) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 9), Port: 1} }
func (r *recorded) RemoteAddr() net.Addr             { return r.LocalAddr() }
func (r *recorded) SetDeadline(time.Time) error      { return nil }
func (r *recorded) SetReadDeadline(time.Time) error  { return nil }
func (r *recorded) SetWriteDeadline(time.Time) error { return nil }

// seeds are what the servers of testdata say before TLS.
func seeds(f *testing.F, file string) {
	f.Helper()
	archive, err := txtar.ParseFile(filepath.Join("testdata", file))
	if err != nil {
		f.Fatal(err)
	}
	for _, c := range archive.Files {
		var said strings.Builder
		for line := range strings.Lines(string(c.Data)) {
			word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			switch word {
			case "S:":
				said.WriteString(rest + "\r\n")
			case "RAW":
				text, err := strconv.Unquote(rest)
				if err != nil {
					f.Fatal(err)
				}
				said.WriteString(text)
			}
		}
		f.Add([]byte(said.String()))
	}
	f.Add([]byte(strings.Repeat("x", 9000)))
	f.Add([]byte("\x16\x03\x01\x02\x00\x01"))
}

// fuzz lets a server say anything: the probe ends, with a failure, since nothing that is
// said without TLS can be enough, and shows nothing that could harm a terminal.
func fuzz(f *testing.F, file string, urls ...string) {
	seeds(f, file)
	var services []settings.Service
	for _, url := range urls {
		s, err := settings.ParseService(url)
		if err != nil {
			f.Fatal(err)
		}
		services = append(services, s)
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		for _, s := range services {
			conn := new(recorded)
			prober := probe.New(probe.Options{
				Resolver: address("192.0.2.1"), HELO: "client.example.org", Now: testClock,
				Dial: func(context.Context, string, string) (net.Conn, error) {
					conn.Reader = strings.NewReader(string(said))
					return conn, nil
				},
			})
			o := prober.Probe(t.Context(), s)
			a := o.Addresses[0]
			if a.Failure == nil || a.Failure.Kind.Text().Meaning == "" || a.TLS != nil {
				t.Errorf("%s: failure %v, TLS %v", s, a.Failure, a.TLS)
			}
			checkBounds(t, o)
			for _, line := range append(a.Transcript, a.Failure.Detail) {
				checkPrintable(t, line)
			}
			for _, never := range []string{"AUTH ", "MAIL ", "LOGIN ", "USER ", "PASS ", "AUTHENTICATE"} {
				if strings.Contains(conn.sent.String(), never) {
					t.Errorf("%s: the prober sends %q", s, conn.sent.String())
				}
			}
		}
	})
}

func checkPrintable(t *testing.T, text string) {
	t.Helper()
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("not printable: %q", text)
	}
}

func FuzzSMTP(f *testing.F) {
	fuzz(f, "smtp.txtar", "submission://mail.example.org", "submissions://mail.example.org")
}

func FuzzIMAP(f *testing.F) {
	fuzz(f, "imap.txtar", "imap://mail.example.org", "imaps://mail.example.org")
}

func FuzzPOP3(f *testing.F) {
	fuzz(f, "pop3.txtar", "pop3://mail.example.org", "pop3s://mail.example.org")
}

func FuzzSieve(f *testing.F) { fuzz(f, "sieve.txtar", "sieve://mail.example.org") }

func FuzzWeb(f *testing.F) {
	fuzz(f, "web.txtar", "caldavs://mail.example.org", "jmap://mail.example.org")
}

// FuzzWebInsideTLS lets a web server with a good certificate answer anything, on each
// connection something else. Whatever passes has a password mechanism, and a context path
// that a TXT record can hold.
func FuzzWebInsideTLS(f *testing.F) {
	const next = "\n---\n"
	f.Add([]byte("HTTP/1.1 301 Moved\r\nLocation: /dav/\r\n\r\n" + next + "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n\r\n" + next + "HTTP/1.1 404 Not Found\r\n\r\n"))
	f.Add([]byte("HTTP/1.1 301 Moved\r\nLocation: /a\x00\xff?b\r\n\r\n" + next + "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: ,=\"\\"))
	seeds(f, "web.txtar")
	ca := newPKI(f)
	config := &tls.Config{Certificates: []tls.Certificate{ca.leaf(f, leafOptions{}).pair()}}
	f.Fuzz(func(t *testing.T, said []byte) {
		for _, url := range []string{"caldavs://mail.example.org", "jmap://mail.example.org"} {
			synctest.Test(t, func(t *testing.T) {
				var mu sync.Mutex // one connection ends before the next begins, in its client's eyes
				answers := bytes.Split(said, []byte(next))
				o := look(t, url, func(_ string, conn net.Conn) {
					secure := tls.Server(conn, config)
					defer secure.Close()
					if secure.Handshake() != nil {
						return
					}
					request, err := http.ReadRequest(bufio.NewReader(secure))
					if err != nil || request.Header.Get("Authorization")+request.Header.Get("Cookie") != "" || request.Host != "mail.example.org" {
						t.Errorf("the request is %+v, %v", request, err)
					}
					mu.Lock()
					defer mu.Unlock()
					if len(answers) > 0 {
						_, _ = secure.Write(answers[0])
						answers = answers[1:]
					}
				}, func(o *probe.Options) { o.Roots = ca.pool() })
				a := o.Addresses[0]
				if a.TLS == nil || a.Failure == nil && a.Auth.Password() == settings.NoPassword {
					t.Errorf("%s: failure %v, TLS %v, mechanisms %q", url, a.Failure, a.TLS, a.Auth)
				}
				if strange := strings.ContainsFunc(a.Path, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }); strange || len(a.Path) > 250 || a.Path != "" && a.Path[0] != '/' {
					t.Errorf("%s: path %q", url, a.Path)
				}
				for _, line := range a.Transcript {
					checkPrintable(t, line)
				}
			})
		}
	})
}

// FuzzInsideTLS lets a server with a good certificate say anything inside TLS. Whatever
// passes has a password mechanism, and its facts of TLS.
func FuzzInsideTLS(f *testing.F) {
	for _, file := range []string{"smtp.txtar", "imap.txtar", "pop3.txtar", "sieve.txtar"} {
		seeds(f, file)
	}
	ca := newPKI(f)
	config := &tls.Config{Certificates: []tls.Certificate{ca.leaf(f, leafOptions{}).pair()}}
	f.Fuzz(func(t *testing.T, said []byte) {
		for _, url := range []string{"submissions://mail.example.org", "imaps://mail.example.org", "pop3s://mail.example.org"} {
			synctest.Test(t, func(t *testing.T) {
				o := look(t, url, func(_ string, conn net.Conn) {
					secure := tls.Server(conn, config)
					defer secure.Close()
					if secure.Handshake() == nil {
						_, _ = secure.Write(said)
					}
				}, func(o *probe.Options) { o.Roots = ca.pool() })
				a := o.Addresses[0]
				if a.TLS == nil || a.Failure == nil && a.Auth.Password() == settings.NoPassword {
					t.Errorf("%s: failure %v, TLS %v, mechanisms %q", url, a.Failure, a.TLS, a.Auth)
				}
			})
		}
	})
}

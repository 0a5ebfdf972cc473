package outside_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"mailconfd/internal/outside"
)

const maxBody = 64 << 10

// names answers every name with the loopback address, but for those that it is given.
func names(records map[string][]string) *zone {
	all := map[string][]string{
		"web.example.org. a": {"web.example.org. 60 A 127.0.0.1"}, "web.example.org. aaaa": {},
	}
	for key, lines := range records {
		all[key] = lines
	}
	return &zone{records: all}
}

func fetcher(t *testing.T, z *zone, change ...func(*outside.FetchOptions)) *outside.Fetcher {
	t.Helper()
	o := outside.FetchOptions{
		Resolver: z.resolver(t), Dialer: &outside.Dialer{}, UserAgent: "witness/1", MaxBody: maxBody, Timeout: 10 * time.Second,
		Local: func(ip netip.Addr) string {
			if ip.IsLoopback() {
				return "a loopback address"
			}
			return ""
		},
	}
	for _, c := range change {
		c(&o)
	}
	return outside.NewFetcher(o)
}

// at is the URL of a server by one of our names.
func at(s *httptest.Server, name, path string) string {
	scheme, rest, _ := strings.Cut(s.URL, "://")
	_, port, _ := net.SplitHostPort(rest)
	return fmt.Sprintf("%s://%s:%s%s", scheme, name, port, path)
}

func TestFetch(t *testing.T) {
	t.Parallel()
	requests := make(chan *http.Request, 1)
	bodies := make(chan string, 1)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- r
		bodies <- string(body)
		w.Header().Set("Content-Type", "text/xml; charset=utf-8")
		w.Header().Set("Set-Cookie", "a=b")
		_, _ = io.WriteString(w, "<answer/>")
	}))
	t.Cleanup(s.Close)
	f := fetcher(t, names(nil))
	for range 2 { // the second brings no cookie
		x := f.Fetch(t.Context(), outside.FetchRequest{Method: "POST", URL: strings.Replace(at(s, "web.example.org", "/a?b=c#d"), "://", "://jane:secret@", 1), ContentType: "text/xml", Body: "<ask/>"})
		if x.Err != nil || x.Status != 200 || string(x.Body) != "<answer/>" || x.ContentType != "text/xml; charset=utf-8" || x.Cut || x.Local == "" || x.Took <= 0 {
			t.Fatalf("%+v", x)
		}
		r := <-requests
		if body := <-bodies; r.Method != "POST" || r.URL.String() != "/a?b=c" || body != "<ask/>" {
			t.Errorf("%s %s %q", r.Method, r.URL, body)
		}
		want := http.Header{
			"User-Agent": {"witness/1"}, "Accept": {"*/*"}, "Content-Type": {"text/xml"}, "Content-Length": {"6"}, "Connection": {"close"},
		}
		if diff := cmp.Diff(want, r.Header); diff != "" {
			t.Error(diff)
		}
	}
}

func TestFetchFollowsNothing(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Location", r.URL.Query().Get("to"))
		w.WriteHeader(302)
	}))
	t.Cleanup(s.Close)
	f := fetcher(t, names(nil))
	for to, want := range map[string]string{
		"/b":                                at(s, "web.example.org", "/b"),
		"https://jane:x@other.test/c%23%23": "https://other.test/c",
		"//other.test/d":                    "http://other.test/d",
		"":                                  "",
		"file:///etc/passwd":                "",
		"javascript:alert(1)":               "",
		"gopher://other.test":               "",
		"http://":                           "",
		"http://[::1":                       "",
		"http://o.test/" + strings.Repeat("a", 9000): "",
	} {
		asked.Store(0)
		x := f.Fetch(t.Context(), outside.FetchRequest{Method: "GET", URL: at(s, "web.example.org", "/?to="+to)})
		if x.Status != 302 && len(to) < 9000 || asked.Load() > 1 || x.Location != want {
			t.Errorf("%q: want %q, got %q after %d requests, %v", to, want, x.Location, asked.Load(), x.Err)
		}
	}
}

// Servers that try to hang us, or to make us grow.
func TestFetchHostile(t *testing.T) {
	t.Parallel()
	chunk := bytes.Repeat([]byte("x"), 1<<20)
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 20 {
		_, _ = z.Write(make([]byte, 1<<20))
	}
	_ = z.Close()
	drip := func(conn net.Conn, what string) {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			if _, err := io.WriteString(conn, what); err != nil {
				return
			}
			<-tick.C
		}
	}
	flood := func(conn net.Conn, what string) {
		for {
			if _, err := io.WriteString(conn, what); err != nil {
				return
			}
		}
	}
	const head = "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n"
	for name, tt := range map[string]struct {
		serve func(net.Conn)
		check func(outside.Exchange) bool
	}{
		"10 GB": {func(c net.Conn) {
			_, _ = io.WriteString(c, head+"Content-Length: 10000000000\r\n\r\n")
			flood(c, string(chunk))
		}, func(x outside.Exchange) bool { return x.Err == nil && x.Cut && len(x.Body) == maxBody }},
		"without end": {func(c net.Conn) {
			_, _ = io.WriteString(c, head+"\r\n")
			flood(c, string(chunk))
		}, func(x outside.Exchange) bool { return x.Cut && len(x.Body) == maxBody }},
		"chunks": {func(c net.Conn) {
			_, _ = io.WriteString(c, head+"Transfer-Encoding: chunked\r\n\r\n")
			flood(c, "1;"+strings.Repeat("e", 100)+"\r\nx\r\n")
		}, func(x outside.Exchange) bool { return x.Err != nil }},
		"header flood": {func(c net.Conn) {
			_, _ = io.WriteString(c, head)
			flood(c, "X-More: "+strings.Repeat("y", 1000)+"\r\n")
		}, failed},
		"long header":    {func(c net.Conn) { _, _ = io.WriteString(c, head+"X: "); flood(c, string(chunk)) }, failed},
		"status flood":   {func(c net.Conn) { flood(c, string(chunk)) }, failed},
		"early hints":    {func(c net.Conn) { flood(c, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n") }, failed},
		"slow header":    {func(c net.Conn) { _, _ = io.WriteString(c, head); drip(c, "A: b\r\n") }, timedOut},
		"slow body":      {func(c net.Conn) { _, _ = io.WriteString(c, head+"Content-Length: 100000\r\n\r\n"); drip(c, "x") }, timedOut},
		"silence":        {func(c net.Conn) { _, _ = io.Copy(io.Discard, c) }, timedOut},
		"half an answer": {func(c net.Conn) { _, _ = io.WriteString(c, head+"Content-Length: 100\r\n\r\n<a") }, failed},
		"nothing":        {func(net.Conn) {}, failed},
		"no HTTP":        {func(c net.Conn) { _, _ = io.WriteString(c, "220 mail.example.org ESMTP\r\n") }, failed},
		"gzip bomb": {func(c net.Conn) {
			_, _ = fmt.Fprintf(c, "%sContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", head, bomb.Len())
			_, _ = c.Write(bomb.Bytes())
		}, func(x outside.Exchange) bool { return x.Status == 200 && bytes.Equal(x.Body, bomb.Bytes()) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := serve(t, func(c net.Conn) {
				buffer := make([]byte, 4096)
				_, _ = c.Read(buffer) // the request
				tt.serve(c)
			})
			f := fetcher(t, names(nil), func(o *outside.FetchOptions) { o.Timeout = time.Second })
			x := f.Fetch(t.Context(), outside.FetchRequest{Method: "GET", URL: "http://web.example.org:" + address})
			if x.Took > 5*time.Second || len(x.Body) > maxBody || x.Err != nil && x.Status != 0 || !tt.check(x) {
				t.Errorf("status %d, %d bytes, cut %v, %v, %v", x.Status, len(x.Body), x.Cut, x.Took, x.Err)
			}
		})
	}
}

func failed(x outside.Exchange) bool {
	var e *outside.FetchError
	return errors.As(x.Err, &e) && e.Stage == outside.StageAnswer && x.Took < time.Second
}

func timedOut(x outside.Exchange) bool { return errors.Is(x.Err, context.DeadlineExceeded) }

// serve accepts connections until the test ends, and returns the port.
func serve(t *testing.T, handle func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer conn.Close()
				handle(conn)
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		open.Wait()
	})
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// What a public host redirects to is not asked inside our own network, whatever DNS says
// and however often it changes its mind.
func TestFetchPublic(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(s.Close)
	z := names(map[string][]string{
		"mapped.example.org. a": {}, "mapped.example.org. aaaa": {"mapped.example.org. 60 AAAA ::ffff:127.0.0.1"},
		"rebound.example.org. aaaa": {},
	})
	var looks atomic.Int32
	z.rude = func(w dns.ResponseWriter, query, answer *dns.Msg) bool {
		if q := query.Question[0]; q.Name == "rebound.example.org." && q.Qtype == dns.TypeA {
			answer.Rcode = dns.RcodeSuccess
			ip := "127.0.0.1"
			if looks.Add(1) == 1 {
				ip = "192.0.2.1" // from now on it is loopback
			}
			rr, _ := dns.NewRR("rebound.example.org. 0 A " + ip)
			answer.Answer = []dns.RR{rr}
		}
		return false
	}
	f := fetcher(t, z, func(o *outside.FetchOptions) { o.Timeout = 300 * time.Millisecond })
	for _, host := range []string{"web.example.org", "mapped.example.org", "127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "rebound.example.org"} {
		x := f.Fetch(t.Context(), outside.FetchRequest{Method: "GET", URL: at(s, host, "/"), Public: true})
		if x.Err == nil || asked.Load() > 0 {
			t.Errorf("%s was asked: %+v", host, x)
		}
		if strings.HasPrefix(host, "web") && !errors.Is(x.Err, outside.ErrNotPublic) {
			t.Error(x.Err)
		}
	}
	if looks.Load() != 1 {
		t.Errorf("the name was looked up %d times", looks.Load())
	}
	if x := f.Fetch(t.Context(), outside.FetchRequest{Method: "GET", URL: at(s, "web.example.org", "/")}); x.Err != nil || x.Local != "a loopback address" {
		t.Errorf("%+v", x)
	}
}

func TestFetchTLS(t *testing.T) {
	t.Parallel()
	answer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.TLS.ServerName) })
	newServer := func(c *tls.Config) *httptest.Server {
		s := httptest.NewUnstartedServer(answer)
		s.TLS = c
		s.Config.ErrorLog = log.New(io.Discard, "", 0)
		s.StartTLS()
		t.Cleanup(s.Close)
		return s
	}
	f := fetcher(t, names(nil))
	// Nobody vouches for the certificate, and it is for another name: not ours to judge.
	x := f.Fetch(t.Context(), outside.FetchRequest{Method: "GET", URL: at(newServer(nil), "WEB.example.org.", "/")})
	if x.Err != nil || string(x.Body) != "web.example.org" || x.Host != "web.example.org" || len(x.TLS.PeerCertificates) == 0 || x.TLS.Version != tls.VersionTLS13 {
		t.Errorf("%+v", x)
	}
	old := newServer(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	x = f.Fetch(t.Context(), outside.FetchRequest{Method: "GET", URL: at(old, "web.example.org", "/")})
	if x.Err == nil || !strings.Contains(x.Err.Error(), "no TLS 1.2") {
		t.Errorf("%+v", x)
	}
	// RSA key exchange alone is old, but still TLS 1.2.
	rsa := newServer(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}})
	x = f.Fetch(t.Context(), outside.FetchRequest{Method: "GET", URL: at(rsa, "web.example.org", "/")})
	if x.Err != nil || x.Status != 200 {
		t.Errorf("%+v", x)
	}
	plain := httptest.NewServer(answer)
	t.Cleanup(plain.Close)
	x = f.Fetch(t.Context(), outside.FetchRequest{Method: "GET", URL: strings.Replace(at(plain, "web.example.org", "/"), "http:", "https:", 1)})
	var e *outside.FetchError
	if !errors.As(x.Err, &e) || e.Stage != outside.StageHandshake {
		t.Errorf("%+v", x)
	}
}

// An address that does not answer costs a moment, not the exchange.
func TestFetchSeveralAddresses(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(s.Close)
	f := fetcher(t, names(map[string][]string{
		"both.example.org. aaaa": {"both.example.org. 60 AAAA 2001:db8::1"},
		"both.example.org. a":    {"both.example.org. 60 A 127.0.0.1", "both.example.org. 60 A 127.0.0.3"},
		"shut.example.org. aaaa": {}, "shut.example.org. a": {"shut.example.org. 60 A 127.0.0.3"},
		"bare.example.org. aaaa": {}, "bare.example.org. a": {},
	}))
	if x := f.Fetch(t.Context(), outside.FetchRequest{Method: "GET", URL: at(s, "both.example.org", "/")}); x.Status != 200 || x.Took > 5*time.Second {
		t.Errorf("%+v", x)
	}
	for host, want := range map[string]error{
		"shut.example.org": syscall.ECONNREFUSED, "bare.example.org": outside.ErrNoAddress, "none.example.org": outside.ErrNoAddress,
	} {
		if x := f.Fetch(t.Context(), outside.FetchRequest{Method: "GET", URL: at(s, host, "/")}); !errors.Is(x.Err, want) || x.Status != 0 {
			t.Errorf("%s: want %v, got %+v", host, want, x)
		}
	}
}

func TestFetchURLs(t *testing.T) {
	t.Parallel()
	f := fetcher(t, names(nil))
	for _, u := range []string{"", "web.example.org", "ftp://web.example.org/", "http://", "https://web.example.org:99999/", "http://a b/", "http://web.example.org/" + strings.Repeat("a", 10_000), "http://\x00/", "http://-a-.example/%zz"} {
		if x := f.Fetch(t.Context(), outside.FetchRequest{Method: "GET", URL: u}); !errors.Is(x.Err, outside.ErrURL) {
			t.Errorf("%.40q: %v", u, x.Err)
		}
	}
}

// A stop ends what runs and what waits for its turn.
func TestFetchStop(t *testing.T) {
	t.Parallel()
	began := make(chan struct{}, 1)
	port := serve(t, func(c net.Conn) {
		began <- struct{}{}
		_, _ = io.Copy(io.Discard, c)
	})
	f := fetcher(t, names(nil), func(o *outside.FetchOptions) { o.AtOnce = 1 })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan outside.Exchange)
	for range 2 {
		go func() {
			ended <- f.Fetch(ctx, outside.FetchRequest{Method: "GET", URL: "http://web.example.org:" + port})
		}()
	}
	<-began
	cancel()
	for range 2 {
		if x := <-ended; !errors.Is(x.Err, context.Canceled) {
			t.Errorf("%+v", x)
		}
	}
	if len(began) > 0 {
		t.Error("both were asked at once")
	}
}

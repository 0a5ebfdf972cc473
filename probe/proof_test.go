package probe_test

import (
	"bufio"
	"crypto/tls"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"mailconfd/probe"
)

// TestControlIsAskedOnce: a name that nothing has is asked for once at each place at which a
// service is found, since servers count such requests as an attack.
func TestControlIsAskedOnce(t *testing.T) {
	t.Parallel()
	ca := newPKI(t)
	config := &tls.Config{Certificates: []tls.Certificate{ca.leaf(t, leafOptions{}).pair()}}
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		place, asked := "/dav/", 0
		network := &inMemory{serve: func(_ string, conn net.Conn) {
			secure := tls.Server(conn, config)
			defer secure.Close()
			request, err := http.ReadRequest(bufio.NewReader(secure))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			answer := "404 Not Found"
			switch {
			case request.URL.Path == "/.well-known/caldav":
				answer = "301 Moved Permanently\r\nLocation: " + place
			case request.URL.Path == place:
				answer = "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"x\""
			case strings.HasPrefix(request.URL.Path, "/.well-known/"):
				asked++
			}
			_, _ = secure.Write([]byte("HTTP/1.1 " + answer + "\r\n\r\n"))
		}}
		prober := probe.New(probe.Options{Resolver: address("192.0.2.1"), Dial: network.dial, Roots: ca.pool(), Now: testClock})
		for round, want := range []int{1, 1, 2, 2} {
			if round == 2 {
				mu.Lock()
				place = "/new/"
				mu.Unlock()
			}
			if v := prober.Probe(t.Context(), service(t, "caldavs://mail.example.org")).Verdict(); !v.Verified || v.Path != place {
				t.Errorf("round %d: %+v", round, v)
			}
			network.servers.Wait()
			if asked != want {
				t.Errorf("round %d: asked %d times, want %d", round, asked, want)
			}
		}
	})
}

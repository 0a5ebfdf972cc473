package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"mailconfd/internal/server"
)

// exchange writes bytes to a server and returns all that comes back until it closes the
// connection, for at most 20 seconds.
func exchange(t *testing.T, address, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	if _, err := io.WriteString(c, request); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Logf("write: %v", err) // the server may have hung up already
	}
	got, err := io.ReadAll(c)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%.60q: the connection stays open; so far %.200q", request, got)
	}
	return string(got)
}

// TestRaw sends what no library would.
func TestRaw(t *testing.T) {
	t.Parallel()
	address := start(t, newServer(t, nil), server.Open)[0]
	const ok, end = "HTTP/1.1 200 OK", "Connection: close\r\n\r\n"
	xml := outlook("jane@example.org")
	for _, c := range []struct{ name, request, want string }{
		{"lower-case header", "GET " + main + " HTTP/1.1\r\nhost: example.org\r\n" + end, ok},
		{"HTTP/1.0 without Host", "GET " + main + "?emailaddress=jane@example.org HTTP/1.0\r\n\r\n", "HTTP/1.0 200 OK"},
		{"HTTP/1.0 without anything", "GET " + main + " HTTP/1.0\r\n\r\n", "HTTP/1.0 404 "},
		{"HTTP/1.1 without Host", "GET " + main + " HTTP/1.1\r\n" + end, "HTTP/1.1 400 "},
		{"an empty Host", "GET " + main + " HTTP/1.1\r\nHost:\r\n" + end, "HTTP/1.1 404 "},
		{"two Hosts", "GET " + main + " HTTP/1.1\r\nHost: example.org\r\nHost: evil.example\r\n" + end, "HTTP/1.1 400 "},
		{"Host with a path", "GET " + main + " HTTP/1.1\r\nHost: example.org/x\r\n" + end, "HTTP/1.1 400 "},
		{"Host with a user", "GET " + main + " HTTP/1.1\r\nHost: jane@example.org\r\n" + end, "HTTP/1.1 400 "},
		{"Host, port and final dot", "GET " + main + " HTTP/1.1\r\nHost: autoconfig.example.org.:80\r\n" + end, ok},
		{"Host in brackets", "GET " + main + " HTTP/1.1\r\nHost: [example.org]\r\n" + end, "HTTP/1.1 404 "},
		{"absolute target", "GET http://example.org" + main + " HTTP/1.1\r\nHost: evil.example\r\n" + end, ok},
		{"a space for the +", "GET " + main + "?emailaddress=jane tag@example.org HTTP/1.1\r\nHost: example.org\r\n" + end, "HTTP/1.1 400 "},
		{"raw UTF-8", "GET " + main + "?emailaddress=jäne@example.org HTTP/1.1\r\nHost: x.example\r\n" + end, ok},
		{"a bare newline", "GET " + main + " HTTP/1.1\nHost: example.org\nConnection: close\n\n", ok},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: example.org\r\n" + end, "HTTP/1.1 404 "},
		{"CONNECT", "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n" + end, "HTTP/1.1 404 "},
		{"TLS on a plain port", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n", "HTTP/1.1 400 "},
		{"a header of 64 KiB", "GET " + main + " HTTP/1.1\r\nHost: example.org\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n" + end, "HTTP/1.1 431 "},
		{"a query of 64 KiB", "GET " + main + "?emailaddress=" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: example.org\r\n" + end, "HTTP/1.1 431 "},
		{"chunked", "POST " + discover + " HTTP/1.1\r\nHost: x.example\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(xml), xml), ok},
		{"chunked without an end", "POST " + discover + " HTTP/1.1\r\nHost: x.example\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\n<?xml\r\nzz\r\n", "HTTP/1.1 400 "},
		{"both lengths", "POST " + discover + " HTTP/1.1\r\nHost: example.org\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", ok},
		{"two lengths", "POST " + discover + " HTTP/1.1\r\nHost: example.org\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde", "HTTP/1.1 400 "},
		{"a length of 1 MiB and as much body", "POST " + discover + " HTTP/1.1\r\nHost: example.org\r\nContent-Length: 1048576\r\nConnection: close\r\n\r\n" + strings.Repeat("x", 1<<20), "HTTP/1.1 400 "},
		{"a body on GET", "GET " + main + " HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc", ok},
		{"Expect", "POST " + discover + " HTTP/1.1\r\nHost: example.org\r\nExpect: 100-continue\r\nContent-Length: 0\r\n" + end, ok},
		{"HTTP/2 in clear", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ""},
		{"nonsense", "\x00\x01\x02\r\n\r\n", "HTTP/1.1 400 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := exchange(t, address, c.request)
			if !strings.HasPrefix(got, c.want) {
				t.Errorf("got %.300q, want %q", got, c.want)
			}
			if n := strings.Count(got, "HTTP/1."); n > 1 {
				t.Errorf("%d answers to one request: %q", n, got)
			}
		})
	}
}

// TestKeepAlive: after each kind of answer the connection is in a state in which the next
// request is understood.
func TestKeepAlive(t *testing.T) {
	t.Parallel()
	address := start(t, newServer(t, nil), server.Open)[0]
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	answers := bufio.NewReader(c)
	for i, request := range []string{
		"GET " + main + " HTTP/1.1\r\nHost: example.org\r\n\r\n",
		"HEAD " + main + " HTTP/1.1\r\nHost: example.org\r\n\r\n",
		"POST " + discover + " HTTP/1.1\r\nHost: example.org\r\nContent-Length: 6\r\n\r\n<html>",
		"POST " + main + " HTTP/1.1\r\nHost: example.org\r\nContent-Length: 6\r\n\r\n<html>", // the body is not read
		"GET " + main + " HTTP/1.1\r\nHost: example.org\r\nIf-None-Match: *\r\n\r\n",
		"GET /x HTTP/1.1\r\nHost: example.org\r\n\r\n",
	} {
		if _, err := io.WriteString(c, request); err != nil {
			t.Fatal(err)
		}
		r, err := http.ReadResponse(answers, &http.Request{Method: strings.Fields(request)[0]})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Fatal(err)
		}
		if want := []int{200, 200, 400, 405, 304, 404}[i]; r.StatusCode != want {
			t.Errorf("%q: got %d, want %d", request, r.StatusCode, want)
		}
	}
}

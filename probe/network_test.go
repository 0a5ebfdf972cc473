package probe_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"mailconfd/probe"
	"mailconfd/settings"
)

// inMemory is a network in which every address is served by one function.
type inMemory struct {
	serve   func(address string, conn net.Conn)
	servers sync.WaitGroup
}

func (n *inMemory) dial(_ context.Context, _, address string) (net.Conn, error) {
	client, server := net.Pipe()
	n.servers.Go(func() {
		defer server.Close()
		n.serve(address, server)
	})
	return client, nil
}

// submissions is a healthy server on 465 with the TLS configuration.
func submissions(config *tls.Config) func(string, net.Conn) {
	return func(_ string, conn net.Conn) {
		secure := tls.Server(conn, config)
		defer secure.Close()
		if secure.Handshake() != nil {
			return
		}
		if _, err := io.WriteString(secure, "220 mail.example.org\r\n"); err != nil {
			return
		}
		for lines := bufio.NewScanner(secure); lines.Scan(); {
			answer := "221 bye\r\n"
			if strings.HasPrefix(lines.Text(), "EHLO ") {
				answer = "250-mail.example.org\r\n250 AUTH PLAIN LOGIN\r\n"
			}
			if _, err := io.WriteString(secure, answer); err != nil {
				return
			}
		}
	}
}

func service(t *testing.T, url string) settings.Service {
	t.Helper()
	s, err := settings.ParseService(url)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// look probes the service, whose host has the address 192.0.2.1, in memory.
func look(t *testing.T, url string, serve func(string, net.Conn), change func(*probe.Options)) settings.Observation {
	t.Helper()
	network := &inMemory{serve: serve}
	options := probe.Options{
		Resolver: address("192.0.2.1"), Dial: network.dial, HELO: "client.example.org",
		Now: func() time.Time { return testNow },
	}
	if change != nil {
		change(&options)
	}
	o := probe.New(options).Probe(t.Context(), service(t, url))
	network.servers.Wait()
	checkBounds(t, o)
	return o
}

// testClock is a clock that stands still.
func testClock() time.Time { return testNow }

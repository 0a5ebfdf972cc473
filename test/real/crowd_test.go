//go:build real

package real

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// crowd is many IMAP servers with implicit TLS in the lab.
type crowd struct {
	services []string
	moody    atomic.Bool // one connection in eight is closed without a byte: outcomes come and go
}

// crowd starts servers under as many names: m1.example.test and so on.
func (n *town) crowd(t *testing.T, size int) *crowd {
	t.Helper()
	c := &crowd{}
	var names []string
	for i := range size {
		names = append(names, fmt.Sprintf("m%d.%s", i+1, domain))
	}
	certificate, err := n.CA().Certificate(names...)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	for _, name := range names {
		if err := n.Map(name, 993, listener.Addr().String()); err != nil {
			t.Fatal(err)
		}
		c.services = append(c.services, "imaps://"+name+":993")
	}
	settings := &tls.Config{Certificates: []tls.Certificate{certificate}}
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go c.talk(client, settings)
		}
	}()
	return c
}

// talk says as much IMAP (RFC 9051) as a client wants to know before it logs in.
func (c *crowd) talk(client net.Conn, settings *tls.Config) {
	defer client.Close()
	if c.moody.Load() && rand.IntN(8) == 0 {
		return
	}
	_ = client.SetDeadline(time.Now().Add(30 * time.Second))
	secure := tls.Server(client, settings)
	defer secure.Close()
	const offer = "CAPABILITY IMAP4rev2 IMAP4rev1 AUTH=PLAIN"
	if _, err := fmt.Fprintf(secure, "* OK [%s] ready\r\n", offer); err != nil {
		return
	}
	lines := bufio.NewScanner(secure)
	for lines.Scan() {
		tag, command, _ := strings.Cut(lines.Text(), " ")
		answer := tag + " BAD unknown\r\n"
		switch strings.ToUpper(command) {
		case "CAPABILITY":
			answer = "* " + offer + "\r\n" + tag + " OK done\r\n"
		case "LOGOUT":
			answer = "* BYE\r\n" + tag + " OK done\r\n"
		}
		if _, err := fmt.Fprint(secure, answer); err != nil || strings.ToUpper(command) == "LOGOUT" {
			return
		}
	}
}

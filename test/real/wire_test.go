//go:build real

package real

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailconfd/internal/lab"
)

// wire is a SOCKS5 proxy (RFC 1928) to the lab that counts connections. It can also be the device on the way that
// takes STARTTLS out of what both sides say.
type wire struct {
	listener net.Listener
	lab      *lab.Internet
	strips   bool

	mu   sync.Mutex
	made map[string]int // connections so far, by target
	open map[string]int // now
	most map[string]int // at once
}

func newWire(t *testing.T, internet *lab.Internet, strips bool) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{
		listener: listener, lab: internet, strips: strips,
		made: map[string]int{}, open: map[string]int{}, most: map[string]int{},
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go w.serve(client.(*net.TCPConn))
		}
	}()
	return w
}

func (w *wire) url() string { return "socks5://" + w.listener.Addr().String() }

// connections returns how many connections there were to a target so far, and how many of them at once at most.
func (w *wire) connections(target string) (made, most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.made[target], w.most[target]
}

// busiest returns the largest number of connections to one target at once.
func (w *wire) busiest() (target string, most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for at, n := range w.most {
		if n > most {
			target, most = at, n
		}
	}
	return target, most
}

func (w *wire) count(target string, by int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[target] += by
	w.made[target] += max(by, 0)
	w.most[target] = max(w.most[target], w.open[target])
}

// serve takes one connection, as a client that has an address and no password asks for it.
func (w *wire) serve(client *net.TCPConn) {
	defer client.Close()
	_ = client.SetDeadline(time.Now().Add(2 * time.Minute))
	target, err := readTarget(client)
	if err != nil {
		return
	}
	w.count(target, 1)
	defer w.count(target, -1)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server, err := w.lab.Dial(ctx, "tcp", target)
	code := byte(0)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		code = 5
	case err != nil:
		code = 4 // host unreachable
	}
	if _, failed := client.Write([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0}); failed != nil || err != nil {
		return
	}
	defer server.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.pass(server.(*net.TCPConn), client)
	}()
	w.pass(client, server.(*net.TCPConn))
	<-done
}

// pass copies until the sender has ended, or the receiver takes no more.
func (w *wire) pass(to, from *net.TCPConn) {
	defer func() { _ = to.CloseWrite() }()
	_ = from.SetDeadline(time.Now().Add(2 * time.Minute))
	if !w.strips {
		_, _ = io.Copy(to, from)
		return
	}
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if _, err := to.Write(bytes.ReplaceAll(buffer[:n], []byte("STARTTLS"), []byte("XXXXXXXX"))); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// readTarget reads a request to connect to an IP address.
func readTarget(client net.Conn) (string, error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(client, head); err != nil {
		return "", err
	}
	if _, err := io.CopyN(io.Discard, client, int64(head[1])); err != nil {
		return "", err
	}
	if _, err := client.Write([]byte{5, 0}); err != nil {
		return "", err
	}
	request := make([]byte, 4)
	if _, err := io.ReadFull(client, request); err != nil {
		return "", err
	}
	size := net.IPv4len
	if request[3] == 4 {
		size = net.IPv6len
	}
	rest := make([]byte, size+2)
	if _, err := io.ReadFull(client, rest); err != nil {
		return "", err
	}
	ip, _ := netip.AddrFromSlice(rest[:size])
	return net.JoinHostPort(ip.String(), strconv.Itoa(int(rest[size])<<8|int(rest[size+1]))), nil
}

package lab

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"
)

// Limits of the proxy.
const (
	socksPatience = 30 * time.Second // for the whole negotiation
	socksLifetime = time.Hour        // of a connection
	socksBytes    = 64 << 20         // in each direction of a connection
)

// The codes of RFC 1928 that the proxy uses.
const (
	socksVersion       = 5
	socksNoAuth        = 0x00
	socksNoMethod      = 0xff
	socksConnect       = 1
	socksIPv4          = 1
	socksName          = 3
	socksIPv6          = 4
	socksSucceeded     = 0x00
	socksUnreachable   = 0x04 // host unreachable
	socksRefused       = 0x05 // connection refused
	socksNotSupported  = 0x07 // command not supported
	socksUnknownFormat = 0x08 // address type not supported
)

// proxy is a SOCKS5 proxy (RFC 1928) for CONNECT without authentication. It answers
// as the network of the lab would: a port that nothing listens on is refused, an
// unknown address or name is unreachable, where packets vanish there is no reply
// at all. Names, which curl sends for socks5h, are looked up in the lab's own DNS
// data. A reset on one side becomes a reset on the other.
//
// It connects to nothing but what the routes lead to. It knows neither BIND nor
// UDP ASSOCIATE.
type proxy struct {
	routes *routes
	dns    *DNS
}

// serve is the proxy's handler.
func (p proxy) serve(client *conn) {
	_ = client.SetDeadline(time.Now().Add(socksPatience))
	if err := negotiateSOCKS(client); err != nil {
		return
	}
	host, port, code := readSOCKS(client)
	if code != socksSucceeded {
		writeSOCKS(client, code)
		return
	}
	server, err := p.connect(host, port)
	switch {
	case errors.Is(err, errSilent):
		_ = client.SetDeadline(time.Now().Add(socksLifetime))
		_, _ = io.Copy(io.Discard, io.LimitReader(client, socksBytes)) // until the client leaves
		return
	case errors.Is(err, syscall.ECONNREFUSED):
		writeSOCKS(client, socksRefused)
		return
	case err != nil:
		writeSOCKS(client, socksUnreachable)
		return
	}
	defer server.Close()
	writeSOCKS(client, socksSucceeded)
	relay(client.TCPConn, server)
}

// connect goes to the first of the host's addresses that lets it in; otherwise the
// error is the last one's.
func (p proxy) connect(host string, port uint16) (*net.TCPConn, error) {
	err := error(syscall.EHOSTUNREACH)
	for _, ip := range p.dns.lookup(host) {
		var real netip.AddrPort
		if real, err = p.routes.find(netip.AddrPortFrom(ip, port)); err != nil {
			continue
		}
		var server net.Conn
		if server, err = net.DialTimeout("tcp", real.String(), socksPatience); err == nil {
			return server.(*net.TCPConn), nil
		}
	}
	return nil, err
}

// negotiateSOCKS agrees on no authentication (RFC 1928, section 3).
func negotiateSOCKS(client io.ReadWriter) error {
	var head [2]byte
	if _, err := io.ReadFull(client, head[:]); err != nil {
		return fmt.Errorf("read SOCKS greeting: %w", err)
	}
	if head[0] != socksVersion {
		return fmt.Errorf("read SOCKS greeting: version %d, want 5", head[0])
	}
	methods := make([]byte, head[1])
	if _, err := io.ReadFull(client, methods); err != nil {
		return fmt.Errorf("read SOCKS methods: %w", err)
	}
	if !slices.Contains(methods, socksNoAuth) {
		_, _ = client.Write([]byte{socksVersion, socksNoMethod})
		return errors.New("SOCKS client does not offer to come without authentication")
	}
	_, err := client.Write([]byte{socksVersion, socksNoAuth})
	return err
}

// readSOCKS reads the request (RFC 1928, section 4) and not a byte more. The code is
// what to answer, socksSucceeded if the request is one that can be tried.
func readSOCKS(client io.Reader) (host string, port uint16, code byte) {
	var head [4]byte
	if _, err := io.ReadFull(client, head[:]); err != nil || head[0] != socksVersion {
		return "", 0, socksNotSupported
	}
	var size int
	switch head[3] {
	case socksIPv4:
		size = net.IPv4len
	case socksIPv6:
		size = net.IPv6len
	case socksName:
		var length [1]byte
		if _, err := io.ReadFull(client, length[:]); err != nil {
			return "", 0, socksUnknownFormat
		}
		size = int(length[0])
	default:
		return "", 0, socksUnknownFormat
	}
	rest := make([]byte, size+2)
	if _, err := io.ReadFull(client, rest); err != nil {
		return "", 0, socksUnknownFormat
	}
	if head[1] != socksConnect {
		return "", 0, socksNotSupported
	}
	host = string(rest[:size])
	if head[3] != socksName {
		ip, _ := netip.AddrFromSlice(rest[:size])
		host = ip.Unmap().String()
	}
	return host, uint16(rest[size])<<8 | uint16(rest[size+1]), socksSucceeded
}

// writeSOCKS sends the reply (RFC 1928, section 6). The bound address is left zero, as
// clients ignore it after CONNECT.
func writeSOCKS(client io.Writer, code byte) {
	_, _ = client.Write([]byte{socksVersion, code, 0, socksIPv4, 0, 0, 0, 0, 0, 0})
}

// relay copies both ways until both sides have ended.
func relay(client, server *net.TCPConn) {
	end := time.Now().Add(socksLifetime)
	_ = client.SetDeadline(end)
	_ = server.SetDeadline(end)
	done := make(chan struct{})
	go func() {
		defer close(done)
		pass(server, client)
	}()
	pass(client, server)
	<-done
}

// pass copies from one side to the other and hands on how it ended: a FIN as a FIN, a
// reset as a reset, and so is too many bytes. When the far side no longer takes
// anything it just stops: what that side has still sent is on its way in the other
// direction, and its end too.
func pass(to, from *net.TCPConn) {
	buffer := make([]byte, 32<<10)
	for left := socksBytes; left > 0; {
		n, err := from.Read(buffer[:min(left, len(buffer))])
		left -= n
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err == io.EOF {
			_ = to.CloseWrite()
			return
		}
		if err != nil {
			break
		}
	}
	_ = to.SetLinger(0)
	_ = to.Close()
}

package outside

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"syscall"
)

// The numbers of RFC 1928 sections 3 to 6 and RFC 1929 section 2.
const (
	socksVersion       = 5
	methodNone         = 0x00
	methodPassword     = 0x02
	methodUnacceptable = 0xff
	passwordVersion    = 1
	maxCredential      = 255
	commandConnect     = 1
	addressIPv4        = 1
	addressName        = 3
	addressIPv6        = 4
	replySucceeded     = 0
)

// ReplyError is the proxy's reason for not connecting.
type ReplyError struct {
	Code   byte   // RFC 1928 section 6
	Proxy  string // HOST:PORT
	Target string // IP:PORT
}

// replies are the reasons of RFC 1928 section 6, and the error that the system gives for
// the same outcome where that is about the target.
var replies = []struct {
	text string
	same error
}{
	0x01: {"general failure", nil},
	0x02: {"its rules do not allow it", nil},
	0x03: {"network unreachable", syscall.EHOSTUNREACH},
	0x04: {"host unreachable", syscall.EHOSTUNREACH},
	0x05: {"connection refused", syscall.ECONNREFUSED},
	0x06: {"the packets' time to live ran out", nil},
	0x07: {"it does not know CONNECT", nil},
	0x08: {"it does not know this kind of address", nil},
}

// Error says it to a person.
func (e *ReplyError) Error() string {
	text := "unknown reason"
	if int(e.Code) < len(replies) && e.Code != replySucceeded {
		text = replies[e.Code].text
	}
	return fmt.Sprintf("connect %s through proxy %s: %s (reply 0x%02x)", e.Target, e.Proxy, text, e.Code)
}

// Unwrap returns the system's error of the same meaning, so that errors.Is tells a
// refused port (syscall.ECONNREFUSED) and an address that cannot be reached
// (syscall.EHOSTUNREACH) as for a direct connection; nil for any other reason.
func (e *ReplyError) Unwrap() error {
	if int(e.Code) < len(replies) {
		return replies[e.Code].same
	}
	return nil
}

// connectRequest builds the request for CONNECT (RFC 1928 section 4).
func connectRequest(network, address string) ([]byte, error) {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, fmt.Errorf("connect %s: the proxy is asked for IP addresses only", address)
	}
	ip := target.Addr().Unmap()
	if ip.Is4() && network == "tcp6" || ip.Is6() && network == "tcp4" {
		return nil, fmt.Errorf("connect %s: no %s address", address, network)
	}
	kind := byte(addressIPv6)
	if ip.Is4() {
		kind = addressIPv4
	}
	request := append([]byte{socksVersion, commandConnect, 0, kind}, ip.AsSlice()...)
	return binary.BigEndian.AppendUint16(request, target.Port()), nil
}

// enter agrees on how we log in (RFC 1928 section 3) and does it.
func (d *Dialer) enter(proxy io.ReadWriter) error {
	methods := []byte{methodNone}
	if d.user != "" {
		methods = append(methods, methodPassword)
	}
	if _, err := proxy.Write(append([]byte{socksVersion, byte(len(methods))}, methods...)); err != nil {
		return err
	}
	var choice [2]byte
	if _, err := io.ReadFull(proxy, choice[:]); err != nil {
		return fmt.Errorf("no answer to the greeting: %w", err)
	}
	switch {
	case choice[0] != socksVersion:
		return fmt.Errorf("speaks no SOCKS5: its first byte is 0x%02x", choice[0])
	case choice[1] == methodUnacceptable && d.user == "":
		return errors.New("wants a user and password, or does not let us in at all")
	case !slices.Contains(methods, choice[1]):
		return fmt.Errorf("wants a way to log in that we do not know (0x%02x)", choice[1])
	case choice[1] == methodPassword:
		return d.logIn(proxy)
	}
	return nil
}

// logIn sends user and password (RFC 1929).
func (d *Dialer) logIn(proxy io.ReadWriter) error {
	request := append([]byte{passwordVersion, byte(len(d.user))}, d.user...)
	request = append(append(request, byte(len(d.password))), d.password...)
	if _, err := proxy.Write(request); err != nil {
		return err
	}
	var status [2]byte
	if _, err := io.ReadFull(proxy, status[:]); err != nil {
		return fmt.Errorf("no answer to user and password: %w", err)
	}
	if status[1] != 0 {
		return errors.New("refuses the user or password")
	}
	return nil
}

// connect sends the request and reads the reply, and not a byte behind it: what follows
// is the target's.
func connect(proxy io.ReadWriter, request []byte) error {
	if _, err := proxy.Write(request); err != nil {
		return err
	}
	code, err := readReply(proxy)
	switch {
	case err != nil:
		return err
	case code != replySucceeded:
		return &ReplyError{Code: code}
	}
	return nil
}

// readReply reads a reply (RFC 1928 section 6) and returns its code. The bound address in
// it means nothing to us.
func readReply(proxy io.Reader) (code byte, err error) {
	var head [4]byte
	if _, err := io.ReadFull(proxy, head[:2]); err != nil {
		return 0, fmt.Errorf("no reply: %w", err)
	}
	if head[0] != socksVersion {
		return 0, fmt.Errorf("a reply that is no SOCKS5: its first byte is 0x%02x", head[0])
	}
	// Some proxies close after a bad code without sending the rest.
	if head[1] != replySucceeded {
		return head[1], nil
	}
	if _, err := io.ReadFull(proxy, head[2:]); err != nil {
		return 0, fmt.Errorf("a reply that ends early: %w", err)
	}
	var rest int
	switch head[3] {
	case addressIPv4:
		rest = 4
	case addressIPv6:
		rest = 16
	case addressName:
		var length [1]byte
		if _, err := io.ReadFull(proxy, length[:]); err != nil {
			return 0, fmt.Errorf("a reply that ends early: %w", err)
		}
		rest = int(length[0])
	default:
		return 0, fmt.Errorf("a reply with an unknown kind of address 0x%02x", head[3])
	}
	if _, err := io.ReadFull(proxy, make([]byte, rest+2)); err != nil {
		return 0, fmt.Errorf("a reply that ends early: %w", err)
	}
	return replySucceeded, nil
}

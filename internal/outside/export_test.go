package outside

import (
	"io"
	"net/netip"
)

// AddressesIn and ReadReply are the parsers that fuzz tests reach.
func AddressesIn(file io.Reader, host string) []netip.Addr { return addressesIn(file, host) }

// ReadReply reads a SOCKS5 reply.
func ReadReply(r io.Reader) (byte, error) { return readReply(r) }

// SystemResolver is NewResolver("") with other files.
func SystemResolver(resolvConf, hostsFile string) *Resolver {
	return &Resolver{resolvConf: resolvConf, hostsFile: hostsFile}
}

// WithHosts reads the hosts file where the server has no answer.
func WithHosts(r *Resolver, hostsFile string) *Resolver {
	return &Resolver{server: r.server, hostsFile: hostsFile}
}

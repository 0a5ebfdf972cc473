// Package outside is how mailconfd looks outside: which DNS servers it asks, through
// which proxy it connects, whose certificates it believes. It is the one home of
// --resolver, --via and --ca-file.
//
//   - [Resolver] asks DNS servers itself (RFC 1035, with EDNS0 of RFC 6891), so that
//     "the name has no address" and "our resolver does not work" stay apart.
//   - [Asker] puts single questions to the resolver or to a name server, and returns the
//     messages as they are.
//   - [Dialer] connects directly or through a SOCKS5 proxy (RFC 1928, RFC 1929). A
//     proxy is asked for addresses, never for names, and its reason for a refusal
//     is kept.
//   - [Fetcher] makes single HTTP exchanges (RFC 9112) and follows nothing.
//   - [Roots] are the root certificates of the system, or those built in where it has
//     none, with the operator's own beside them.
//
// It validates no DNSSEC, caches nothing, and reads no environment variable.
package outside

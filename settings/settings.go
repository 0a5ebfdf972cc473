// Package settings is the language that all of mailconfd speaks: which services
// a mail provider says it has, what was seen of them, and what may be told to a
// client.
//
//   - [Provider] is what an operator declares: a list of [Service] values, each
//     written as a URL whose scheme is the SRV label of RFC 6186, RFC 8314 or
//     RFC 5804.
//   - [Observation] is what one round of probing saw of one service. It is data,
//     also when it says that the service is down: a [Failure] has a kind from a
//     closed set. [History] is what a run of observations comes to.
//   - [Verify] puts the two together, and is the only way to a [Verified]. So
//     whoever holds a Verified, a format or a DNS record set, cannot publish what
//     was not seen to work. The zero Verified offers nothing.
//
// Everything here is a pure function of its arguments: no clock, no network, no
// file, no log.
package settings

//go:build real

package real

import "strings"

// account is what a client has set up. Services are written as mailconfd does, with their port; the zero account is a
// client that found nothing.
type account struct {
	Incoming, Outgoing string
	Username           string // "JANE and OTHER" where the two differ
}

// serviceURL writes a server that a client has chosen: role is imap, pop3 or smtp, security is tls, starttls, or
// anything else for a connection in clear, for which mailconfd has no scheme. A port that the client leaves open is "".
func serviceURL(role, security, host, port string) string {
	scheme := map[string]string{
		"imap tls": "imaps", "imap starttls": "imap",
		"pop3 tls": "pop3s", "pop3 starttls": "pop3",
		"smtp tls": "submissions", "smtp starttls": "submission",
	}[role+" "+security]
	if scheme == "" {
		scheme = "clear-" + role
	}
	return strings.TrimSuffix(scheme+"://"+host+":"+port, ":")
}

// bothNames is the user name, if it is the same for both servers.
func bothNames(incoming, outgoing string) string {
	if incoming == outgoing {
		return incoming
	}
	return incoming + " and " + outgoing
}

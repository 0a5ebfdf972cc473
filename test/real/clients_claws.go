//go:build real

package real

import "testing"

// askClaws has Claws Mail's wizard make an account for IMAP.
func askClaws(t *testing.T, w *world, address string) account {
	t.Helper()
	told, _ := runClient(t, w, "dbus-run-session", "--", "/usr/bin/python3", "claws.py", address)
	kept := keyFile(told)
	outgoing := kept["Account: 1/smtp_user_id"]
	if outgoing == "" {
		outgoing = kept["Account: 1/user_id"] // "empty to use the same as receive"
	}
	return account{
		clawsServer("imap", "receive_server", "ssl_imap", "imapport", "imap_port", kept),
		clawsServer("smtp", "smtp_server", "ssl_smtp", "smtpport", "smtp_port", kept),
		bothNames(kept["Account: 1/user_id"], outgoing),
	}
}

// clawsServer is a server of Claws Mail's file. Without a port of its own, it stands for the usual one.
func clawsServer(role, host, ssl, ownPort, port string, kept map[string]string) string {
	security := map[string]string{"1": "tls", "2": "starttls"}[kept["Account: 1/"+ssl]] // SSLType
	number := kept["Account: 1/"+port]
	if kept["Account: 1/set_"+ownPort] != "1" {
		number = map[string]string{"imap tls": "993", "imap starttls": "143", "smtp tls": "465", "smtp ": "25"}[role+" "+security]
	}
	return serviceURL(role, security, kept["Account: 1/"+host], number)
}

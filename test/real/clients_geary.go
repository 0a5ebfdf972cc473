//go:build real

package real

import "testing"

// askGeary has Geary set an account up, and log in to both servers.
func askGeary(t *testing.T, w *world, address string) account {
	t.Helper()
	told, _ := runClient(t, w, "dbus-run-session", "--", "/usr/bin/python3", "geary.py", address, password)
	kept := keyFile(told)
	if len(kept) == 0 {
		return account{}
	}
	outgoing := kept["Outgoing/login"]
	if kept["Outgoing/credentials"] == "use-incoming" {
		outgoing = kept["Incoming/login"]
	}
	return account{
		gearyServer("imap", "Incoming/", kept),
		gearyServer("smtp", "Outgoing/", kept),
		bothNames(kept["Incoming/login"], outgoing),
	}
}

// gearyServer is the server of a group in Geary's file.
func gearyServer(role, group string, kept map[string]string) string {
	security := map[string]string{"transport": "tls", "start-tls": "starttls"}[kept[group+"transport_security"]]
	return serviceURL(role, security, kept[group+"host"], kept[group+"port"])
}

//go:build real

package real

// layout is a domain whose provider has these mail services and no others; its user is jane. The services are those of
// the one Dovecot and the one Postfix. The domains differ in more than their first label, because some clients take
// that off and ask again.
type layout struct {
	name     string
	domain   string
	services []string // as mailconfd's configuration writes them
	username string   // address, or localpart
}

// clientLayouts are what the clients are shown.
func clientLayouts() []layout {
	return []layout{
		{"587 and 993", domain, []string{"submission://" + mailName, "imaps://" + mailName, "pop3s://" + mailName}, "address"},
		{"465 and 993", "implicit.test", []string{"submissions://" + mailName, "imaps://" + mailName}, "address"},
		{"587 and 143", "starttls.test", []string{"submission://" + mailName, "imap://" + mailName}, "address"},
		{"login by local part", "localpart.test", []string{"submission://" + mailName, "imaps://" + mailName}, "localpart"},
	}
}

// address is the user's.
func (l layout) address() string { return "jane@" + l.domain }

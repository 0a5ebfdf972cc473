package srvrecords

import (
	"slices"

	"mailconfd/settings"
)

// reading is which clients look a label up.
type reading struct {
	label   string
	readers []string
}

// readings is who looks up what, as read in the clients' sources or seen on the wire
// (Evolution 3.46, Claws Mail 4.1.1), or, for DAVx5 and Apple, in their manuals.
// Thunderbird reads no SRV record of a mail service. aerc asks for _smtps, which no specification has, in place of _submissions.
var readings = []reading{
	{"_submission._tcp", []string{"FairEmail", "aerc", "Himalaya", "SnappyMail", "Horde", "Claws Mail", "Evolution", "K-9 Mail up to 6.5"}},
	{"_submissions._tcp", []string{"FairEmail", "Himalaya", "SnappyMail", "Evolution"}},
	{"_imaps._tcp", []string{"FairEmail", "aerc", "Himalaya", "SnappyMail", "Horde", "Claws Mail", "Evolution", "K-9 Mail up to 6.5"}},
	{"_imap._tcp", []string{"FairEmail", "aerc", "Himalaya", "SnappyMail", "Horde", "Claws Mail", "Evolution", "K-9 Mail up to 6.5"}},
	{"_pop3s._tcp", []string{"Horde", "Evolution"}},
	{"_pop3._tcp", []string{"Horde", "Claws Mail", "Evolution"}},
	{"_jmap._tcp", []string{"aerc", "Himalaya"}},
	{"_caldavs._tcp", []string{"Thunderbird", "Evolution", "DAVx5", "Apple Calendar"}},
	{"_carddavs._tcp", []string{"Thunderbird", "Evolution", "DAVx5", "Apple Contacts"}},
	{"_autodiscover._tcp", []string{"Outlook", "Thunderbird", "SnappyMail"}},
	{"autoconfig", []string{"Thunderbird", "Thunderbird for Android", "Delta Chat", "KMail", "Evolution", "FairEmail", "Geary", "GNOME Online Accounts", "Nextcloud Mail", "Mailspring", "SnappyMail", "Horde", "aerc", "Himalaya"}},
	{"@", []string{"Himalaya"}},
	{"ua-auto-config", []string{"Himalaya"}},
	{"autodiscover", []string{"Outlook", "Thunderbird", "Delta Chat", "FairEmail", "SnappyMail"}},
}

// readers returns the clients that look a label up, without nil.
func readers(label string) []string {
	for _, r := range readings {
		if r.label == label {
			return slices.Clone(r.readers)
		}
	}
	return []string{}
}

// label returns the first two labels of a service's owner name (RFC 2782).
func label(s settings.Scheme) string { return "_" + string(s) + "._tcp" }

// what says what a label stands for.
func what(s settings.Scheme) string {
	protocol := map[settings.Role]string{
		settings.RoleSubmission: "mail submission",
		settings.RoleIMAP:       "IMAP",
		settings.RolePOP3:       "POP3",
		settings.RoleSieve:      "mail filters (ManageSieve)",
		settings.RoleJMAP:       "JMAP",
		settings.RoleCalendar:   "calendars (CalDAV)",
		settings.RoleContacts:   "contacts (CardDAV)",
	}[s.Role()]
	if s.WellKnown() != "" {
		return protocol + " over HTTPS"
	}
	return protocol + " with " + string(s.Security())
}

// basis says why a service may be published.
func basis(p settings.Published) string {
	switch p.Basis {
	case settings.BasisProbed:
		return "seen to work"
	case settings.BasisLocal:
		return "seen to work over a loopback, private or own address only: no firewall was passed"
	case settings.BasisTrusted:
		return "not seen to work; the operator vouches for it: " + p.Reason
	}
	if p.Failure != nil {
		return "worked, and stays for the time of grace; the newest probe met " + p.Failure.String()
	}
	return "worked, and stays for the time of grace: it has not been probed for a while"
}

// remark says which client reads the record wrongly without harm to others.
// SnappyMail looks records up only after autoconfig and Autodiscover, and goes by the
// port: implicit TLS on 465 and 993, STARTTLS on 587, on any other no encryption.
func remark(s settings.Service) string {
	switch {
	case !slices.Contains(readers(label(s.Scheme)), "SnappyMail"):
		return ""
	case s.Security() == settings.ImplicitTLS && s.Port != 465 && s.Port != 993:
		return "; SnappyMail uses no encryption on this port and gets no answer"
	case s.Security() == settings.STARTTLS && s.Port != 587:
		return "; SnappyMail uses no encryption on this port: let the server refuse logins without TLS"
	}
	return ""
}

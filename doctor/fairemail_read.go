package doctor

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"mailconfd/settings"
)

// fairReader reads a document element by element, as FairEmail does with a pull parser.
type fairReader struct {
	servers map[string]*fairServer // incomingServer, outgoingServer
	done    map[string]bool        // one of that name has ended, whatever its type was
	user    string
	err     error
}

type fairServer struct {
	host     string
	port     int
	starttls bool
	said     Security // in the document
}

// fairReadAutoconfig reads the first incomingServer and the first outgoingServer of a
// document, if they are of type imap and smtp. The user name counts for both.
func fairReadAutoconfig(body []byte, a settings.Address) (fairCandidate, error) {
	root, err := parseXML(body)
	if err != nil {
		return fairCandidate{}, fmt.Errorf("not well-formed: %w", err)
	}
	r := fairReader{servers: map[string]*fairServer{"incomingServer": {}, "outgoingServer": {}}, done: map[string]bool{}}
	r.element(root, "")
	if r.err != nil {
		return fairCandidate{}, r.err
	}
	c, err := fairPair(*r.servers["incomingServer"], *r.servers["outgoingServer"], a)
	c.score = 40
	user := a.String()
	switch r.user {
	case "", "%EMAILADDRESS%":
	case "%EMAILLOCALPART%":
		user = a.Local
	default: // all else is taken as it is, placeholders too
		if user = r.user; user != a.String() {
			c.score += 100
		}
	}
	c.imap.Username, c.smtp.Username = user, user
	return c, err
}

// element reads an element; server is the one that it is in and that counts, or "".
func (r *fairReader) element(n *node, server string) {
	switch n.name {
	case "incomingServer", "outgoingServer":
		kind := map[string]string{"incomingServer": "imap", "outgoingServer": "smtp"}[n.name]
		if server = ""; !r.done[n.name] && n.attrs["type"] == kind {
			server = n.name
		}
	default:
		r.value(n, server)
	}
	for _, c := range n.children {
		r.element(c, server)
	}
	if n.name == "incomingServer" || n.name == "outgoingServer" {
		r.done[n.name] = true
	}
}

// value sets what an element says. The port decides how to encrypt, and socketType,
// where it is SSL or STARTTLS, decides otherwise: the later of the two counts.
func (r *fairReader) value(n *node, server string) {
	s := r.servers[server]
	switch {
	case n.text == "" || r.err != nil:
	case n.name == "username":
		r.user = n.text
	case s == nil:
	case n.name == "hostname":
		s.host = n.text
	case n.name == "port":
		port, err := strconv.Atoi(n.text)
		if err != nil {
			r.err = fmt.Errorf("port %q", n.text)
		}
		s.port, s.starttls = port, fairSTARTTLS(server, port)
	case n.name == "socketType":
		switch n.text {
		case "SSL":
			s.starttls, s.said = false, SecurityTLS
		case "STARTTLS":
			s.starttls, s.said = true, SecuritySTARTTLS
		default: // it never goes without
			s.said = SecurityNone
		}
	}
}

// fairSTARTTLS is what a port says.
func fairSTARTTLS(server string, port int) bool {
	return server == "incomingServer" && port == 143 || server == "outgoingServer" && port == 587
}

// setting makes a setting of a server, and says where FairEmail knows better.
func (f fairServer) setting(role settings.Role, a settings.Address) (Setting, bool) {
	security := SecurityTLS
	if f.starttls {
		security = SecuritySTARTTLS
	}
	s, ok := newSetting(role, f.host, f.port, security, a.String())
	if f.said != "" && f.said != security {
		s.Misread = fmt.Sprintf("FairEmail derives %s from port %d, although %s was published", security, f.port, f.said)
	}
	return s, ok
}

// fairPair makes a candidate of two servers, neither of which may be missing.
func fairPair(imap, smtp fairServer, a settings.Address) (fairCandidate, error) {
	in, reads := imap.setting(settings.RoleIMAP, a)
	out, sends := smtp.setting(settings.RoleSubmission, a)
	switch {
	case !reads:
		return fairCandidate{}, errors.New("no IMAP server that FairEmail can use")
	case !sends:
		return fairCandidate{}, errors.New("no SMTP server that FairEmail can use")
	}
	return fairCandidate{in, out, 40}, nil
}

// fairReadAutodiscover reads Type, Server and Port of each Protocol that stands behind
// AccountType and Action; the last of each kind counts, and the port says how to
// encrypt. The login is the address.
func fairReadAutodiscover(body []byte, a settings.Address) (fairCandidate, error) {
	root, err := parseXML(body)
	if err != nil {
		return fairCandidate{}, fmt.Errorf("not well-formed: %w", err)
	}
	var imap, smtp fairServer
	for account := range root.descendants() {
		if account.name != "Account" {
			continue
		}
		email, given := false, false
		for _, n := range account.children {
			email = email || n.name == "AccountType" && n.text == "email"
			given = given || n.name == "Action" && n.text == "settings"
			if n.name != "Protocol" || !email || !given {
				continue
			}
			port, err := strconv.ParseUint(n.value("Port"), 10, 31)
			if n.value("Server") == "" || err != nil {
				continue
			}
			switch n.value("Type") {
			case "IMAP":
				imap = fairServer{n.value("Server"), int(port), port == 143, fairSaid(n)}
			case "SMTP":
				smtp = fairServer{n.value("Server"), int(port), port == 587, fairSaid(n)}
			}
		}
	}
	return fairPair(imap, smtp, a)
}

// fairSaid is what a Protocol says of encryption, which FairEmail does not read.
func fairSaid(n *node) Security {
	return map[string]Security{"ssl": SecurityTLS, "tls": SecuritySTARTTLS}[strings.ToLower(field(n, "Encryption"))]
}

package drift

import (
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// Limits of one message.
const (
	maxAliases = 8   // CNAME records in a row that are followed
	maxRecords = 100 // records that are kept
)

// Question is what is asked.
type Question struct {
	Name string // lower case, absolute
	Type string
}

// Answer is what became of a question.
type Answer struct {
	Records []dns.RR // of the type, at the end of the chain of aliases
	Aliases []string // the names in that chain after the first
	TTL     uint32   // the longest of the records at the name itself, in seconds
	Code    int      // the answer's code, such as dns.RcodeNameError
	Err     string   // why there is no answer that counts, or ""
}

// Server is one address of a name server.
type Server struct {
	Name     string     // without the final dot
	IP       netip.Addr // the zero Addr: the name has no address
	Lame     string     // why it does not serve the zone, or ""
	Far      string     // why it could not be asked from here, or ""
	Serial   uint32
	Answers  map[Question]Answer
	Wildcard map[Question]Answer // at "*" below the zone's apex and names in between
}

// String returns NAME (ADDRESS).
func (s Server) String() string {
	if !s.IP.IsValid() {
		return s.Name
	}
	return s.Name + " (" + s.IP.String() + ")"
}

// Seen is what DNS says, as far as it matters for a Want.
type Seen struct {
	Zone      string // the apex of the zone that the domain is in, without the final dot
	NoDomain  bool   // the domain does not exist
	Servers   []Server
	Delegated []string            // the name servers in the parent zone, sorted; none: not known
	Named     []string            // the name servers in the zone itself, sorted
	Public    map[Question]Answer // what the resolver says
	Targets   map[string]Answer   // the addresses of hosts that records name, by absolute name
	SOA       *dns.SOA
	DS        bool // the parent zone holds a DS record
	Authentic bool // the resolver vouches for the SOA record
	Bogus     bool // the resolver answers only without validation
}

// readAnswer takes from a message what it says of a question.
func readAnswer(m *dns.Msg, q Question) Answer {
	a := Answer{Code: m.Rcode}
	if m.Rcode != dns.RcodeSuccess && m.Rcode != dns.RcodeNameError {
		a.Err = "answers " + codeText(m.Rcode)
		return a
	}
	at := q.Name
	for len(a.Aliases) <= maxAliases {
		alias := ""
		for _, rr := range m.Answer {
			h := rr.Header()
			if h.Class != dns.ClassINET || dns.CanonicalName(h.Name) != at {
				continue
			}
			cname, isAlias := rr.(*dns.CNAME)
			if dns.TypeToString[h.Rrtype] == q.Type && len(a.Records) < maxRecords {
				a.Records = append(a.Records, rr)
			} else if isAlias {
				alias = dns.CanonicalName(cname.Target)
			} else {
				continue
			}
			if at == q.Name {
				a.TTL = max(a.TTL, h.Ttl)
			}
		}
		if alias == "" || len(a.Records) > 0 {
			break
		}
		a.Aliases = append(a.Aliases, alias)
		at = alias
	}
	return a
}

func codeText(code int) string {
	if text, known := dns.RcodeToString[code]; known {
		return text
	}
	return "an unknown code"
}

// data returns the data of a record as a zone file has it, with names in lower case, and
// the strings of a text joined.
func data(rr dns.RR) string {
	rr = dns.Copy(rr)
	switch rr := rr.(type) {
	case *dns.SRV:
		rr.Target = dns.CanonicalName(rr.Target)
	case *dns.CNAME:
		rr.Target = dns.CanonicalName(rr.Target)
	case *dns.TXT:
		return strings.Join(rr.Txt, "")
	}
	return strings.TrimPrefix(rr.String(), rr.Header().String())
}

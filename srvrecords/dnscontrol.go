package srvrecords

import (
	"fmt"
	"strings"

	"github.com/miekg/dns"
)

// DNSControl returns the set as JavaScript for DNSControl's dnsconfig.js: a D_EXTEND that
// stands behind the D of the zone. A template is the variable MAILCONFD, which goes into
// the D of each domain.
func (s Set) DNSControl() []byte {
	w := writer{comments: "// "}
	w.head(s)
	if len(s.Records) == 0 {
		return w.Bytes()
	}
	end := ");\n"
	if s.Domain == Template {
		w.WriteString("var MAILCONFD = [\n")
		end = "];\n"
	} else {
		fmt.Fprintf(&w, "D_EXTEND(%s,\n", quote(s.Domain))
	}
	for i, r := range s.Records {
		w.about(r, "  ")
		fmt.Fprintf(&w, "  %s", r.call(s.Domain))
		if i < len(s.Records)-1 {
			w.WriteByte(',') // none behind the last: DNSControl reads ECMAScript 5
		}
		w.WriteByte('\n')
	}
	w.WriteString(end)
	return w.Bytes()
}

// call writes a record as DNSControl's function for its type. Names are relative to the
// domain of D_EXTEND, also below a zone.
func (r Record) call(domain string) string {
	args := []string{quote(r.relative(domain))}
	switch rr := r.rr.(type) {
	case *dns.SRV:
		args = append(args, fmt.Sprint(rr.Priority), fmt.Sprint(rr.Weight), fmt.Sprint(rr.Port), quote(rr.Target))
	case *dns.TXT:
		args = append(args, quote(r.text())) // DNSControl cuts it
	default:
		args = append(args, quote(r.Data))
	}
	return fmt.Sprintf("%s(%s, TTL(%d))", r.Type, strings.Join(args, ", "), r.TTL)
}

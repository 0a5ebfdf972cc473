package srvrecords

import "github.com/miekg/dns"

// WithText adds a TXT record that stands beside those of others, for texts that no set of
// ours holds.
func WithText(s Set, label, text string) Set {
	c := &compiler{set: s, ttl: 300}
	var escaped []string
	for _, part := range split(text) {
		whole := ""
		for i := range len(part) {
			switch b := part[i]; {
			case b == '"' || b == '\\':
				whole += `\` + string(rune(b))
			case b < ' ' || b > '~':
				whole += `\` + string([]byte{'0' + b/100, '0' + b/10%10, '0' + b%10})
			default:
				whole += string(rune(b))
			}
		}
		escaped = append(escaped, whole)
	}
	c.set.names = append(c.set.names, Name{c.owner(label), "TXT", text})
	c.add(Record{Why: "a text", Readers: []string{}}, label, &dns.TXT{Hdr: c.header(label, dns.TypeTXT), Txt: escaped})
	return c.set
}

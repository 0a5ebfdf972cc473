package srvrecords

import (
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// OctoDNS returns the set as YAML of octoDNS's YamlProvider: names relative to the zone,
// in the order that the provider enforces, all values of a name and type together. A
// template looks the same, since a file of octoDNS does not name its zone.
func (s Set) OctoDNS() []byte {
	w := writer{comments: "# "}
	w.head(s)
	w.WriteString("---\n")
	records := slices.Clone(s.Records)
	slices.SortStableFunc(records, func(a, b Record) int {
		if by := strings.Compare(s.key(a), s.key(b)); by != 0 {
			return by
		}
		return strings.Compare(a.Type, b.Type)
	})
	if len(records) == 0 {
		w.WriteString("{}\n")
	}
	for len(records) > 0 {
		n := 1
		for n < len(records) && records[n].Owner == records[0].Owner {
			n++
		}
		w.octoName(s.key(records[0]), records[:n])
		records = records[n:]
	}
	return w.Bytes()
}

// key is the name of a record in octoDNS: the apex is empty.
func (s Set) key(r Record) string {
	if name := r.relative(s.zone); name != apex {
		return name
	}
	return ""
}

// octoName writes what stands at one name: an entry for each type.
func (w *writer) octoName(key string, records []Record) {
	fmt.Fprintf(w, "%s:\n", quote(key))
	for len(records) > 0 {
		n := 1
		for n < len(records) && records[n].Type == records[0].Type {
			n++
		}
		of := records[:n]
		records = records[n:]
		for _, r := range of {
			w.about(r, "  ")
		}
		fmt.Fprintf(w, "  - ttl: %d\n    type: %s\n", of[0].TTL, of[0].Type)
		if of[0].Type == "CNAME" {
			fmt.Fprintf(w, "    value: %s\n", quote(of[0].Data))
			continue
		}
		w.WriteString("    values:\n")
		for _, r := range of {
			w.octoValue(r)
		}
	}
}

// octoValue writes one value; octoDNS wants keys in alphabetical order.
func (w *writer) octoValue(r Record) {
	value := quote(r.Data)
	switch rr := r.rr.(type) {
	case *dns.SRV:
		value = fmt.Sprintf("port: %d\n        priority: %d\n        target: %s\n        weight: %d",
			rr.Port, rr.Priority, quote(rr.Target), rr.Weight)
	case *dns.TXT:
		// octoDNS cuts and quotes by itself and wants semicolons escaped.
		value = quote(strings.ReplaceAll(r.text(), ";", `\;`))
	}
	fmt.Fprintf(w, "      - %s\n", value)
}

package publish

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// Marker says that we wrote a record. It is kept in the zone as a TXT record at
// [MarkerName], one for each record:
//
//	mailconfd=1 owner=_imaps._tcp type=SRV digest=5f2b9d0c11e8a7f3
//
// The owner is relative to the zone, "@" for its apex: markers have to be short, since all of
// them have to fit into one message.
type Marker struct {
	Owner  string // absolute, in lower case
	Type   uint16
	Digest string // Digest of the record
}

// MarkerName returns where the markers of a zone are.
func MarkerName(zone string) string { return dns.CanonicalName(markerLabel + dns.Fqdn(zone)) }

const markerLabel = "_mailconfd."

// markerTTL is of no use to anybody who resolves names.
const markerTTL = 3600

const (
	markerWord    = "mailconfd="
	markerVersion = "1"
)

// Mark returns the marker of a record.
func Mark(rr dns.RR) Marker {
	k := keyOf(rr)
	return Marker{k.owner, k.rrtype, Digest(rr)}
}

// Digest returns 16 hexadecimal digits that change when the record does: with its data
// and its TTL; of a set that others may share with its data only, because they share the TTL too.
func Digest(rr dns.RR) string {
	var ttl [4]byte
	if !shared(keyOf(rr)) {
		binary.BigEndian.PutUint32(ttl[:], rr.Header().Ttl)
	}
	sum := sha256.Sum256(append(ttl[:], data(rr)...))
	return hex.EncodeToString(sum[:8])
}

func (m Marker) key() setKey { return setKey{m.Owner, m.Type} }

func (m Marker) of(rr dns.RR) bool { return m.Type == rr.Header().Rrtype && m == Mark(rr) }

// maxString is the longest string in a TXT record (RFC 1035 section 3.3).
const maxString = 255

// Record returns the marker as it is kept in a zone.
func (m Marker) Record(zone string) dns.RR {
	owner := strings.TrimSuffix(m.Owner, "."+dns.CanonicalName(zone))
	if m.Owner == dns.CanonicalName(zone) {
		owner = "@"
	}
	words := fmt.Sprintf("%s%s owner=%s type=%s digest=%s", markerWord, markerVersion, owner, typeName(m.Type), m.Digest)
	var parts []string
	for len(words) > maxString {
		parts, words = append(parts, words[:maxString]), words[maxString:]
	}
	txt := &dns.TXT{Hdr: dns.RR_Header{Name: MarkerName(zone), Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: markerTTL}}
	for _, part := range append(parts, words) {
		// The library reads a backslash in a string as the beginning of an escape.
		txt.Txt = append(txt.Txt, strings.ReplaceAll(part, `\`, `\\`))
	}
	return txt
}

// ParseMarker reads a marker from a record. ok is false where the record is something
// else; the error says that it is a marker which this version does not understand.
func ParseMarker(rr dns.RR) (m Marker, ok bool, err error) {
	txt, isText := rr.(*dns.TXT)
	if !isText {
		return m, false, nil
	}
	words := strings.ReplaceAll(strings.Join(txt.Txt, ""), `\\`, `\`)
	version, isOurs := strings.CutPrefix(words, markerWord)
	if !isOurs {
		return m, false, nil
	}
	fields := strings.Split(version, " ")
	if fields[0] != markerVersion {
		return m, false, fmt.Errorf("%s has the marker %q, which another version of mailconfd has written; use that version, or take the record away", rr.Header().Name, clip(words))
	}
	values := map[string]string{}
	for _, f := range fields[1:] {
		name, value, _ := strings.Cut(f, "=")
		values[name] = value
	}
	number, known := typeNumber(values["type"])
	owner := dns.CanonicalName(strings.TrimPrefix(dns.CanonicalName(rr.Header().Name), markerLabel))
	if relative := values["owner"]; relative != "@" {
		owner = dns.CanonicalName(relative + "." + owner)
	}
	_, isName := dns.IsDomainName(owner)
	if len(fields) != 4 || values["owner"] == "" || !isName || dns.IsFqdn(values["owner"]) || !known || len(values["digest"]) != 16 {
		return m, false, fmt.Errorf("%s has the marker %q, which is damaged; take the record away and run publish again", rr.Header().Name, clip(words))
	}
	return Marker{owner, number, values["digest"]}, true, nil
}

// typeNumber reads a type as typeName writes it.
func typeNumber(name string) (uint16, bool) {
	if number, known := dns.StringToType[name]; known {
		return number, true
	}
	var number uint16
	n, err := fmt.Sscanf(name, "TYPE%d", &number)
	return number, n == 1 && err == nil && typeName(number) == name
}

func clip(words string) string {
	if len(words) > maxString {
		return words[:maxString] + "…"
	}
	return words
}

// Markers are the markers of a zone, or some of them.
type Markers []Marker

// ParseMarkers reads the markers among records. Others are passed over.
func ParseMarkers(records []dns.RR) (Markers, error) {
	var all Markers
	for _, rr := range records {
		m, ok, err := ParseMarker(rr)
		if err != nil {
			return nil, err
		}
		if ok && !slices.Contains(all, m) {
			all = append(all, m)
		}
	}
	return all, nil
}

// Owns tells whether we wrote the record and nobody has edited it since.
func (ms Markers) Owns(rr dns.RR) bool {
	return slices.Contains(ms, Mark(rr))
}

func (ms Markers) bySet() map[setKey]Markers {
	sets := map[setKey]Markers{}
	for _, m := range ms {
		sets[m.key()] = append(sets[m.key()], m)
	}
	return sets
}

// halfDone returns the names that have markers of an alias and of something else.
func (ms Markers) halfDone() map[string]bool {
	aliases, both := map[string]bool{}, map[string]bool{}
	for _, m := range ms {
		aliases[m.Owner] = aliases[m.Owner] || m.Type == dns.TypeCNAME
	}
	for _, m := range ms {
		if m.Type != dns.TypeCNAME && aliases[m.Owner] {
			both[m.Owner] = true
		}
	}
	return both
}

func (ms Markers) records(zone string, ttl uint32) []dns.RR {
	all := make([]dns.RR, len(ms))
	for i, m := range ms {
		all[i] = m.Record(zone)
		all[i].Header().Ttl = ttl
	}
	return all
}

package srvrecords

import "fmt"

// Zone returns the set as text of a zone file (RFC 1035 section 5): owner names are
// absolute and each record has its TTL and class, so that it can stand anywhere in a
// zone file and does not depend on $ORIGIN or $TTL. A template has relative names, for
// the $ORIGIN of the file that includes it. Above each record comments say what it is
// for and who reads it; the first lines say what was left out.
func (s Set) Zone() []byte {
	z := writer{comments: "; "}
	z.head(s)
	for _, r := range s.Records {
		z.WriteByte('\n')
		z.about(r, "")
		fmt.Fprintf(&z, "%s %d IN %s %s\n", r.Owner, r.TTL, r.Type, r.Data)
	}
	return z.Bytes()
}

package srvrecords

import (
	"fmt"
	"slices"
	"strings"
)

// NSUpdate returns the set as input of nsupdate, the program of BIND: one update (RFC
// 2136) that deletes what stands at the set's owner names, of its types, adds the set
// and touches nothing else. The server, IP:PORT, may be empty: nsupdate then asks the
// one that the zone's SOA record names.
//
// Where services are withheld their records are deleted too, but not as long as that
// would leave the domain without a way to fetch or to send mail: then only what is
// replaced is deleted.
//
// A template holds ${DOMAIN} where the domain belongs, for envsubst. (Not for a shell: a
// comment may hold what a server said.)
func (s Set) NSUpdate(server string) []byte {
	w := writer{comments: "; "}
	w.head(s)
	if len(s.Records) == 0 {
		return w.Bytes()
	}
	if !s.offer {
		w.comment("", "Left-over records of services stay: without them there would be no way to fetch or no way to send mail.")
	}
	// No empty line anywhere: nsupdate takes one for "send".
	if at := strings.LastIndexByte(server, ':'); at >= 0 {
		fmt.Fprintf(&w, "server %s %s\n", strings.Trim(server[:at], "[]"), server[at+1:])
	}
	if s.zone != s.Domain {
		fmt.Fprintf(&w, "zone %s.\n", s.zone)
	}
	for _, n := range s.names {
		if n.Prefix == "" && s.replaces(n) {
			fmt.Fprintf(&w, "update delete %s %s\n", shellName(n.Owner), n.Type)
		}
	}
	for _, r := range s.Records {
		w.about(r, "")
		if s.shared(r) {
			// Other records stand beside it: only this very one is deleted and added.
			fmt.Fprintf(&w, "update delete %s %s %s\n", shellName(r.Owner), r.Type, r.Data)
		}
		fmt.Fprintf(&w, "update add %s %d IN %s %s\n", shellName(r.Owner), r.TTL, r.Type, r.Data)
	}
	w.WriteString("send\n")
	return w.Bytes()
}

// replaces tells whether the update deletes what stands at a name.
func (s Set) replaces(n Name) bool {
	told := slices.ContainsFunc(s.Records, func(r Record) bool { return r.Owner == n.Owner })
	return told || s.offer && slices.ContainsFunc(s.Withheld, func(w Withheld) bool { return w.Owner == n.Owner })
}

// shared tells whether records of others stand beside one, of its type.
func (s Set) shared(r Record) bool {
	return slices.ContainsFunc(s.names, func(n Name) bool { return n.Owner == r.Owner && n.Type == r.Type && n.Prefix != "" })
}

// shellName completes the relative name of a template.
func shellName(owner string) string {
	switch {
	case strings.HasSuffix(owner, "."):
		return owner
	case owner == apex:
		return "${DOMAIN}."
	}
	return owner + ".${DOMAIN}."
}

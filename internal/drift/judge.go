package drift

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

// judge compares what one server or the resolver says with what is wanted.
func (c *comparison) judge(answers, wildcards map[Question]Answer) []Finding {
	var found []Finding
	var hosts []string
	for _, n := range c.want.Names {
		owner := dns.CanonicalName(n.Owner)
		j := judgement{c, answers, wildcards, owner}
		switch n.Type {
		case "CNAME", "A", "AAAA":
			if !slices.Contains(hosts, owner) { // one look for all its types
				hosts = append(hosts, owner)
				found = append(found, j.host()...)
			}
		default:
			found = append(found, j.set(n)...)
		}
	}
	return found
}

// judgement is about one owner name.
type judgement struct {
	*comparison
	answers, wildcards map[Question]Answer
	owner              string
}

// wanted returns the wanted records of the owner that have one of the types.
func (j judgement) wanted(types ...string) []dns.RR {
	var all []dns.RR
	for _, rr := range j.want.Records {
		if dns.CanonicalName(rr.Header().Name) == j.owner && slices.Contains(types, dns.TypeToString[rr.Header().Rrtype]) {
			all = append(all, rr)
		}
	}
	return all
}

// answer returns what is at the owner. Where an alias leads elsewhere the records come
// from the resolver: the server of this zone need not know them.
func (j judgement) answer(kind string) Answer {
	q := Question{j.owner, kind}
	a := j.answers[q]
	if public := j.seen.Public[q]; len(a.Aliases) > 0 && len(a.Records) == 0 && slices.Contains(public.Aliases, a.Aliases[0]) {
		a.Records = public.Records
		a.Aliases = public.Aliases
	}
	return a
}

// set compares a set of records of one type, SRV or TXT.
func (j judgement) set(n Name) []Finding {
	a := j.answer(n.Type)
	if alias := j.wanted("CNAME"); len(alias) > 0 {
		if n.Type != "SRV" {
			return nil // the alias stands for all types, and is judged once
		}
		return j.alias(alias[0].(*dns.CNAME), n.Type, a)
	}
	wanted := j.wanted(n.Type)
	var want, got []string
	for _, rr := range wanted {
		want = append(want, data(rr))
	}
	for _, rr := range a.Records {
		if text := data(rr); strings.HasPrefix(text, n.Prefix) {
			got = append(got, text)
		}
	}
	if found := j.difference(n.Type, a, want, got); found != nil {
		return found
	}
	if n.Prefix != "" {
		return nil // the TTL is that of the whole set, which is not ours
	}
	return j.ttl(n.Type, wanted, a)
}

// difference compares the data of two sets, in which order does not count.
func (j judgement) difference(kind string, a Answer, want, got []string) []Finding {
	missing, extra := without(want, got), without(got, want)
	f := Finding{Owner: bare(j.owner), Type: kind, Want: missing, Got: extra}
	through := ""
	if len(a.Aliases) > 0 {
		through = ", through the alias " + bare(a.Aliases[0])
	}
	switch {
	case len(missing) == 0 && len(extra) == 0:
		return nil
	case a.Err != "":
		f.Kind, f.Detail = Missing, a.Err
	case len(extra)+len(a.Aliases) > 0 && j.isWildcard(kind, a):
		f.Kind = Wildcard
		f.Detail = strings.TrimSpace("a wildcard answers: "+list(extra)) + through
	case len(extra) == 0:
		f.Kind = Missing
		f.Detail = fmt.Sprintf("%s is not there%s", list(missing), through)
	case len(missing) == 0:
		return j.surplus(f, through)
	default:
		f.Kind = Different
		f.Detail = fmt.Sprintf("it should be %s, and is %s%s", list(missing), list(extra), through)
	}
	return []Finding{f}
}

// surplus tells what is left over from what is withheld now.
func (j judgement) surplus(f Finding, through string) []Finding {
	var left, withheld Finding
	left, withheld = f, f
	left.Kind, left.Got = Extra, nil
	withheld.Kind, withheld.Got = Unverified, nil
	var reasons []string
	for _, text := range f.Got {
		if reason := j.reason(f.Type, text); reason != "" {
			withheld.Got = append(withheld.Got, text)
			reasons = append(reasons, text+": "+reason)
		} else {
			left.Got = append(left.Got, text)
		}
	}
	var found []Finding
	if len(left.Got) > 0 {
		left.Detail = list(left.Got) + " should not be there" + through
		found = append(found, left)
	}
	if len(withheld.Got) > 0 {
		withheld.Detail = strings.Join(reasons, "; ") + through
		found = append(found, withheld)
	}
	return found
}

// reason returns why the service of an SRV record has none now, or "". TXT at its name goes
// with it.
func (j judgement) reason(kind, srv string) string {
	for _, s := range j.want.Unverified {
		if dns.CanonicalName(s.Owner) != j.owner {
			continue
		}
		if kind == "TXT" && len(j.wanted("SRV")) == 0 || strings.HasSuffix(srv, fmt.Sprintf(" %d %s", s.Port, dns.CanonicalName(s.Host))) {
			return s.Reason
		}
	}
	return ""
}

// alias compares an alias that is wanted in place of records.
func (j judgement) alias(want *dns.CNAME, kind string, a Answer) []Finding {
	target := dns.CanonicalName(want.Target)
	if slices.Contains(a.Aliases, target) {
		return j.ttl("CNAME", []dns.RR{want}, a)
	}
	var got []string
	for _, rr := range a.Records {
		got = append(got, data(rr))
	}
	is := list(got)
	if len(a.Aliases) > 0 {
		got = []string{a.Aliases[0]}
		is = "an alias of " + bare(a.Aliases[0])
	}
	f := Finding{Owner: bare(j.owner), Type: "CNAME", Want: []string{target}, Got: got}
	switch {
	case a.Err != "":
		f.Kind, f.Detail = Missing, a.Err
	case len(got) == 0:
		f.Kind, f.Detail = Missing, "the alias of "+bare(target)+" is not there"
	case j.isWildcard(kind, a):
		f.Kind, f.Detail = Wildcard, "a wildcard answers: "+is
	default:
		f.Kind, f.Detail = Different, fmt.Sprintf("it should be an alias of %s, and is %s", bare(target), is)
	}
	return []Finding{f}
}

// host compares where a host name leads: what counts is the addresses that a client gets.
func (j judgement) host() []Finding {
	v4, v6 := j.answer("A"), j.answer("AAAA")
	a := Answer{
		Records: slices.Concat(v4.Records, v6.Records), TTL: max(v4.TTL, v6.TTL),
		Aliases: v4.Aliases, Err: cmp.Or(v4.Err, v6.Err),
	}
	if len(a.Aliases) == 0 {
		a.Aliases = v6.Aliases
	}
	got := addresses(a.Records)
	if alias := j.wanted("CNAME"); len(alias) > 0 {
		want := alias[0].(*dns.CNAME)
		if there := addresses(j.seen.Targets[dns.CanonicalName(want.Target)].Records); len(got) > 0 && slices.Equal(got, there) {
			return j.ttl("CNAME", alias, a)
		}
		return j.alias(want, "A", a)
	}
	wanted := j.wanted("A", "AAAA")
	if found := j.difference("A", a, addresses(wanted), got); found != nil {
		return found
	}
	return j.ttl("A", wanted, a)
}

// addresses returns the addresses of records, sorted.
func addresses(records []dns.RR) []string {
	var all []string
	for _, rr := range records {
		if ip, ok := addressOf(rr); ok {
			all = append(all, ip.String())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// ttl says when records that are right are kept for too long.
func (j judgement) ttl(kind string, wanted []dns.RR, a Answer) []Finding {
	if len(wanted) == 0 || a.TTL <= wanted[0].Header().Ttl {
		return nil
	}
	return []Finding{{
		Kind: TTLTooLong, Owner: bare(j.owner), Type: kind,
		Detail: fmt.Sprintf("the TTL is %d s, and should be %d s at most", a.TTL, wanted[0].Header().Ttl),
	}}
}

// isWildcard tells whether what a server answered is what a wildcard above the name has.
func (j judgement) isWildcard(kind string, a Answer) bool {
	questions := wildcards(Question{j.owner, kind}, j.seen.Zone)
	if kind == "A" { // of a host name: either family
		questions = append(questions, wildcards(Question{j.owner, "AAAA"}, j.seen.Zone)...)
	}
	for _, q := range questions {
		w := j.wildcards[q]
		switch {
		case len(a.Aliases) > 0:
			if len(w.Aliases) > 0 && w.Aliases[0] == a.Aliases[0] {
				return true
			}
		case len(w.Aliases) == 0 && len(w.Records) > 0 && sameData(w.Records, a.Records):
			return true
		}
	}
	return false
}

// sameData tells whether the records of the first set are all in the second.
func sameData(some, all []dns.RR) bool {
	for _, rr := range some {
		if !slices.ContainsFunc(all, func(other dns.RR) bool { return data(rr) == data(other) }) {
			return false
		}
	}
	return true
}

// without returns what is in a and not in b, sorted, each once.
func without(a, b []string) []string {
	var all []string
	for _, text := range a {
		if !slices.Contains(b, text) {
			all = append(all, text)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

package doctor

import (
	"cmp"
	"slices"
)

// Kind names what is wrong. The set is closed; docs/findings.md is written from the
// table below.
type Kind string

// What a client ends with.
const (
	KindNothingFound    Kind = "nothing_found"
	KindRejected        Kind = "document_rejected"
	KindPlaintext       Kind = "plaintext"
	KindNotReached      Kind = "port_closed"
	KindOtherTLS        Kind = "other_tls_than_said"
	KindCertificateName Kind = "certificate_wrong_name"
	KindCertificate     Kind = "certificate_not_valid"
	KindNoPassword      Kind = "no_password_login"
	KindServer          Kind = "server_fails"
	KindNotTested       Kind = "not_tested"
	KindUsername        Kind = "username_unusable"
	KindAsksUser        Kind = "asks_the_user"
	KindGuess           Kind = "guessed"
	KindUnknown         Kind = "not_simulated"
	KindSlow            Kind = "slow_answer"
)

// KindText is what people are told about a kind.
type KindText struct {
	Kind      Kind
	Class     string // of "Automatic Insecurity" (NDSS 2025); "" where it has none
	Weight    Weight
	Meaning   string // a sentence without a full stop
	Remedy    string // for the general case
	Reference string
}

var kinds = []KindText{
	{KindNothingFound, "", Fault, "a client finds no settings, or none that it can use", "publish autoconfig at https://autoconfig.DOMAIN/mail/config-v1.1.xml", "draft-ietf-mailmaint-autoconfig-06, section 4"},
	{KindRejected, "", Fault, "a client gets a document and rejects it as a whole", "serve a well-formed document of the right type; mailconfd render prints one", "draft-ietf-mailmaint-autoconfig-06"},
	{KindPlaintext, "A3.1", Fault, "a client would send the password without encryption", "offer only encrypted services: SSL or STARTTLS", "RFC 8314, section 4.1"},
	{KindNotReached, "", Fault, "what a client is told to use cannot be reached", "open the port, or publish one that is open", "RFC 8314, section 3"},
	{KindOtherTLS, "", Fault, "the server encrypts in another way than the client is told", "say SSL for implicit TLS and STARTTLS for the rest, as the server does it", "RFC 8314, section 3"},
	{KindCertificateName, "", Fault, "the certificate is not for the host that the client is told", "publish a host name that is in the certificate, or add the name to it", "RFC 9525, section 6"},
	{KindCertificate, "", Fault, "the certificate of a server is not valid", "renew it, send the whole chain, and use a publicly trusted root", "RFC 8314, section 4.3"},
	{KindNoPassword, "", Fault, "the server offers no way to log in that the client has", "offer PLAIN and LOGIN inside TLS", "RFC 4954, RFC 9051 section 6.2.2"},
	{KindServer, "", Fault, "what a client is told to use does not work", "see what mailconfd probe says of the service", "RFC 8314, section 3"},
	{KindNotTested, "", Note, "a service could not be tested from here", "look from another network, for instance with --via", "RFC 8314, section 3"},
	{KindUsername, "", Fault, "the user name that a client makes is not the one that was meant", "use %EMAILADDRESS% or %EMAILLOCALPART% alone", "draft-ietf-mailmaint-autoconfig-06, section 3"},
	{KindAsksUser, "", Warning, "a client finds settings and warns its user, or asks", "serve the document over https, with hosts under the mail domain", "draft-ietf-mailmaint-autoconfig-06, section 4"},
	{KindGuess, "", Warning, "a client found nothing and guesses", "publish autoconfig, so that nothing has to be guessed", "draft-ietf-mailmaint-autoconfig-06, section 4"},
	{KindSlow, "", Warning, "an answer takes longer than clients wait", "answer within 5 seconds, or refuse", "Thunderbird 153 waits 5 s"},
	{KindUnknown, "", Note, "what this client does cannot be seen from outside", "try it by hand", "the client's own documentation"},
}

// Kinds returns every kind of finding with its meaning.
func Kinds() []KindText { return slices.Clone(kinds) }

// Text returns what people are told about the kind.
func (k Kind) Text() KindText {
	for _, t := range kinds {
		if t.Kind == k {
			return t
		}
	}
	return KindText{Kind: k}
}

// finding makes a finding of a kind, with the kind's own remedy unless another is given.
func finding(k Kind, detail, remedy string) Finding {
	t := k.Text()
	return Finding{
		Kind: k, Class: t.Class, Weight: t.Weight, Detail: detail,
		Remedy: cmp.Or(remedy, t.Remedy), Reference: t.Reference,
	}
}

// conclude puts the findings of the clients and of the cross-examination together, and
// the verdicts after them.
func (r *Report) conclude(crossed []Finding) {
	for i := range r.Clients {
		c := &r.Clients[i]
		for j := range c.Findings {
			c.Findings[j].Affected = []string{c.Title}
			r.Findings = merge(r.Findings, c.Findings[j])
		}
		if c.Verdict == "" {
			c.Verdict = verdictOf(c.Findings)
		}
		// In JSON an empty list is [], not null.
		c.Settings = append([]Setting{}, c.Settings...)
		c.Steps = append([]Step{}, c.Steps...)
		c.Findings = append([]Finding{}, c.Findings...)
	}
	r.Findings = append([]Finding{}, r.Findings...)
	for _, f := range crossed {
		r.Findings = merge(r.Findings, f)
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(order(a.Weight), order(b.Weight)), cmp.Compare(-len(a.Affected), -len(b.Affected)))
	})
	r.Verdict = verdictOf(r.Findings)
}

// merge adds a finding; one that says the same of another client gets the client's name.
func merge(all []Finding, f Finding) []Finding {
	for i, g := range all {
		if g.Kind == f.Kind && g.Detail == f.Detail && g.Weight == f.Weight {
			for _, client := range f.Affected {
				if !slices.Contains(g.Affected, client) {
					all[i].Affected = append(slices.Clip(all[i].Affected), client)
				}
			}
			return all
		}
	}
	return append(all, f)
}

func order(w Weight) int { return slices.Index([]Weight{Fault, Warning, Note}, w) }

// verdictOf returns what findings come to.
func verdictOf(findings []Finding) Verdict {
	v := Works
	for _, f := range findings {
		switch f.Weight {
		case Fault:
			return Fails
		case Warning:
			v = Warns
		case Note:
		}
	}
	return v
}

package doctor

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
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

// What the examination of the whole finds. The first nine classes, and injection, are
// those of "Automatic Insecurity" (NDSS 2025).
const (
	KindHTTPAutoconfig   Kind = "autoconfig_over_http"
	KindHTTPAutodiscover Kind = "autodiscover_over_http"
	KindThroughHTTP      Kind = "https_through_http"
	KindPlaintextOffered Kind = "plaintext_offered"
	KindNoImplicitTLS    Kind = "srv_without_implicit_tls"
	KindSubmission465    Kind = "srv_submission_on_465"
	KindSRVPort          Kind = "srv_port_misread"
	KindMeaningless      Kind = "value_without_meaning"
	KindWeakerFirstSRV   Kind = "srv_prefers_weaker"
	KindWeakerFirst      Kind = "file_prefers_weaker"
	KindContradiction    Kind = "connection_type_differs"
	KindPathsDiffer      Kind = "paths_differ"
	KindPair             Kind = "encryption_without_ssl"
	KindPairOff          Kind = "encryption_with_ssl_off"
	KindInjection        Kind = "starttls_injection"
	KindFormatsDiffer    Kind = "formats_differ"
	KindByDesign         Kind = "differs_by_design"
	KindAlternatives     Kind = "several_servers"
	KindUnauthorized     Kind = "unauthorized"
	KindUnknownAnswered  Kind = "unknown_domain_answered"
	KindHTML             Kind = "html_for_xml"
	KindWebCertificate   Kind = "web_certificate"
	KindPassword         Kind = "password_sent_unasked"
	KindTargetOutside    Kind = "srv_target_outside"
	KindTargetAlias      Kind = "srv_target_is_alias"
	KindTargetNowhere    Kind = "target_without_address"
	KindWildcard         Kind = "wildcard_shadow"
	KindDangling         Kind = "alias_leads_nowhere"
	KindMXElsewhere      Kind = "mx_elsewhere"
	KindUnsigned         Kind = "zone_unsigned"
	KindISPDB            Kind = "ispdb_differs"
	KindPACC             Kind = "pacc_digest"
	KindBetterOffered    Kind = "better_service_unpublished"
	KindPort25           Kind = "submission_on_25"
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
	{KindHTTPAutoconfig, "A1.1", Warning, "autoconfig is answered over plain http", "redirect http://autoconfig.DOMAIN to https, where a certificate for that name is", "NDSS 2025 \"Automatic Insecurity\"; draft-ietf-mailmaint-autoconfig-06, section 4"},
	{KindHTTPAutodiscover, "A1.2", Warning, "Autodiscover is answered over plain http", "answer http with 302 to https, and nothing else", "NDSS 2025; [MS-OXDISCO]"},
	{KindThroughHTTP, "A1.3", Fault, "an https address redirects to plain http, where anybody on the way can change the answer", "redirect to https only", "NDSS 2025"},
	{KindPlaintextOffered, "A3.1", Fault, "a service is offered without encryption", "take it out, or say SSL or STARTTLS", "RFC 8314, section 4.1"},
	{KindNoImplicitTLS, "A3.2", Warning, "a service with implicit TLS works and has no SRV record", "publish the record too", "RFC 8314, section 5.1"},
	{KindSubmission465, "A3.2", Fault, "_submission leads to port 465, which is implicit TLS: Evolution says STARTTLS there, and fails", "publish port 465 under _submissions", "RFC 8314, section 7.3"},
	{KindSRVPort, "", Warning, "an SRV record for STARTTLS has another port than the usual one, from which clients guess", "use the default port in SRV; only autoconfig can say another", "FairEmail takes it for implicit TLS, SnappyMail for no encryption"},
	{KindMeaningless, "A4.1", Fault, "a value means nothing to any client", "write SSL or STARTTLS in socketType, on or off in SSL, and SSL or TLS in Encryption", "draft-ietf-mailmaint-autoconfig-06; [MS-OXDSCLI] 2.2.4.1.1.2.6"},
	{KindWeakerFirstSRV, "A9.1", Warning, "SRV prefers STARTTLS although implicit TLS works", "give the implicit-TLS record the lower priority", "RFC 8314, section 4"},
	{KindWeakerFirst, "A9.2", Warning, "a document lists the weaker service first", "list implicit TLS first, or alone", "RFC 8314, section 4"},
	{KindContradiction, "A10.1", Fault, "one port of one host is said to encrypt in two ways", "correct the one that is wrong", "NDSS 2025"},
	{KindPathsDiffer, "paths", Warning, "the addresses at which clients ask for one format answer differently", "let all of them serve one document", "NDSS 2025"},
	{KindPair, "pair", Fault, "Encryption stands without SSL: SnappyMail reads that as no encryption", "add <SSL>on</SSL> before it", "SnappyMail ba496919d"},
	{KindPairOff, "pair", Fault, "SSL is off where Encryption says STARTTLS: Thunderbird, Delta Chat and SnappyMail do not encrypt", "say <SSL>on</SSL><Encryption>TLS</Encryption>", "Thunderbird 153, Delta Chat core 48888898e"},
	{KindInjection, "injection", Fault, "plaintext is taken over into the encrypted connection", "update the mail server (CVE-2011-0411)", "USENIX Security 2021 \"Why TLS is better without STARTTLS\""},
	{KindFormatsDiffer, "", Warning, "two formats send clients to different places", "make both from one list of services", "NDSS 2025"},
	{KindByDesign, "", Note, "two formats differ, because one of them cannot say what the other says", "nothing; or put 465 before 2525", "only autoconfig can say STARTTLS on port 2525"},
	{KindAlternatives, "", Note, "a document lists several servers of one kind: Evolution and aerc take the last, most others the first", "list one of each", "Evolution 6901b223, aerc fab05311"},
	{KindUnauthorized, "", Warning, "an address that everybody asks wants a password", "answer without one, or 404: Thunderbird says that the user's password is wrong", "Thunderbird 153"},
	{KindUnknownAnswered, "", Warning, "settings are given for a domain that cannot be served here", "answer 404 for an unknown domain", "Delta Chat core 48888898e takes any answer for the end of its search"},
	{KindHTML, "", Warning, "a web page comes where a document was asked for", "answer 404 there; Thunderbird looks no further after a page with status 200", "Thunderbird 153"},
	{KindWebCertificate, "", Warning, "the certificate of an https address is not good: Thunderbird, KMail and Evolution fall silently to http", "get a certificate for this name, or take the name out of DNS", "RFC 9525"},
	{KindPassword, "", Note, "Thunderbird sends the mailbox password here unasked when it was typed already", "make sure that whoever answers there may see it, and logs no Authorization header", "Thunderbird 153"},
	{KindTargetOutside, "", Note, "an SRV record leads outside the domain, and DNSSEC does not vouch for it: careful clients ask their user", "sign the zone, or use a host name under the domain", "RFC 6186, section 6"},
	{KindTargetAlias, "", Fault, "an SRV record leads to an alias, which it must not", "name the host that the alias leads to", "RFC 2782"},
	{KindTargetNowhere, "", Fault, "a host that clients are sent to has no address", "add an A or AAAA record, or correct the name", "RFC 2782"},
	{KindWildcard, "", Warning, "a wildcard in DNS lets names that clients ask lead to a web site", "answer 404 for them there, or add the real names", "RFC 4592"},
	{KindDangling, "", Fault, "an alias leads to a name that does not exist; whoever registers that name can answer for the domain", "remove the alias, or let it lead to the server of today", "NDSS 2025"},
	{KindMXElsewhere, "", Note, "mail for the domain goes to another provider than the one that clients are sent to", "check whether the settings are left over from a former provider", "RFC 5321, section 5"},
	{KindUnsigned, "", Note, "the zone is not signed", "sign it with DNSSEC, if you can", "RFC 6186, section 6"},
	{KindISPDB, "", Warning, "the central database of Thunderbird says otherwise; KMail asks it first, others when you do not answer", "ask for a correction at github.com/thunderbird/autoconfig", "KMail account wizard 8163b657"},
	{KindPACC, "", Fault, "the PACC document does not match the digest in DNS: clients reject it", "publish the digest of what is served, and keep the old one beside it during a change", "draft-ietf-mailmaint-pacc"},
	{KindBetterOffered, "", Note, "a mail server offers more than is published", "publish it too, if it is meant for users", "RFC 8314, section 4"},
	{KindPort25, "", Warning, "port 25 is published for submission; many networks block it", "publish 587 or 465", "RFC 8314, section 3.3"},
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

// ofDomain is what stands for the domain in a remedy of the table.
var ofDomain = regexp.MustCompile(`\bDOMAIN\b`)

// conclude puts the findings of the clients and of the cross-examination together, and
// the verdicts after them.
func (r *Report) conclude(crossed []Finding) {
	domain := r.Address[strings.LastIndexByte(r.Address, '@')+1:]
	for i := range r.Clients {
		c := &r.Clients[i]
		for j := range c.Findings {
			c.Findings[j].Affected = []string{c.Title}
			c.Findings[j].Remedy = ofDomain.ReplaceAllString(c.Findings[j].Remedy, domain)
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
		f.Remedy = ofDomain.ReplaceAllString(f.Remedy, domain)
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

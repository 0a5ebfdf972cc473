package doctor

import "slices"

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
	KindBusy            Kind = "server_busy"
	KindUsername        Kind = "username_unusable"
	KindAsksUser        Kind = "asks_the_user"
	KindGuess           Kind = "guessed"
	KindUnknown         Kind = "not_simulated"
	KindSlow            Kind = "slow_answer"
)

// What the examination of the whole finds.
const (
	KindHTTPAutoconfig   Kind = "autoconfig_over_http"
	KindHTTPAutodiscover Kind = "autodiscover_over_http"
	KindThroughHTTP      Kind = "https_through_http"
	KindPlaintextOffered Kind = "plaintext_offered"
	KindNoImplicitTLS    Kind = "srv_without_implicit_tls"
	KindSubmission465    Kind = "srv_submission_on_465"
	KindMeaningless      Kind = "value_without_meaning"
	KindWeakerFirstSRV   Kind = "srv_prefers_weaker"
	KindWeakerFirst      Kind = "file_prefers_weaker"
	KindContradiction    Kind = "connection_type_differs"
	KindPathsDiffer      Kind = "paths_differ"
	KindPair             Kind = "encryption_without_ssl"
	KindPairOff          Kind = "encryption_with_ssl_off"
	KindInjection        Kind = "starttls_injection"

	KindAuthentication Kind = "authentication_not_offered"
	KindEncryptedOnly  Kind = "password_encrypted_only"
	KindOutlookLogin   Kind = "outlook_login"
	KindAccounts       Kind = "several_accounts"
	KindAlternatives   Kind = "several_servers"
	KindPort25         Kind = "submission_on_25"

	KindFormatsDiffer   Kind = "formats_differ"
	KindByDesign        Kind = "differs_by_design"
	KindBetterOffered   Kind = "service_unpublished"
	KindISPDB           Kind = "ispdb_differs"
	KindPACC            Kind = "pacc_digest"
	KindUnauthorized    Kind = "unauthorized"
	KindUnknownAnswered Kind = "unknown_domain_answered"
	KindHTML            Kind = "html_for_xml"
	KindErrorAnswered   Kind = "error_with_200"
	KindWebCertificate  Kind = "web_certificate"
	KindPassword        Kind = "password_sent_unasked"
	KindPrivate         Kind = "seen_from_inside"

	KindSRVPort         Kind = "srv_port_misread"
	KindAutodiscoverSRV Kind = "autodiscover_srv"
	KindTargetOutside   Kind = "srv_target_outside"
	KindTargetAlias     Kind = "srv_target_is_alias"
	KindTargetNowhere   Kind = "target_without_address"
	KindWildcard        Kind = "wildcard_shadow"
	KindDangling        Kind = "alias_leads_nowhere"
	KindLeftOver        Kind = "alias_left_over"
	KindMXElsewhere     Kind = "mx_elsewhere"
	KindUnsigned        Kind = "zone_unsigned"
	KindNoSuchDomain    Kind = "no_such_domain"
	KindSubdomain       Kind = "name_under_a_domain"
)

// KindText is what people are told about a kind.
type KindText struct {
	Kind      Kind
	Class     string // of "Automatic Insecurity" (NDSS 2025); "" where it has none
	Weight    Weight // the usual one; a finding can weigh less
	Meaning   string // a sentence without a full stop
	Sees      string // what users notice, likewise
	Remedy    string // for the general case
	Reference string
}

// kinds has, in this order: what a client ends with, the classes of the study, then
// what documents, answers and records show besides.
var kinds = []KindText{
	{KindNothingFound, "", Fault, "a client finds no settings, or none that it can use", "it asks for host names, ports and encryption", "publish autoconfig at https://autoconfig.DOMAIN/mail/config-v1.1.xml, and Autodiscover and SRV records for those that do not read it", "draft-ietf-mailmaint-autoconfig-06, section 4"},
	{KindRejected, "", Fault, "a client gets a document and rejects it as a whole", "it says that it found nothing", "serve a well-formed document of the right type; mailconfd render prints one", "draft-ietf-mailmaint-autoconfig-06"},
	{KindPlaintext, "A3.1", Fault, "a client would send the password without encryption", "nothing, or a warning that is easily clicked away", "offer only encrypted services: SSL or STARTTLS", "RFC 8314, section 4.1"},
	{KindNotReached, "", Fault, "what is published cannot be reached", "a long wait, then that the server does not answer", "open the port, or publish one that is open", "RFC 8314, section 3"},
	{KindOtherTLS, "", Fault, "the server encrypts in another way than is published", "a long wait, then that the connection failed", "say SSL for implicit TLS and STARTTLS for the rest, as the server does it", "RFC 8314, section 3"},
	{KindCertificateName, "", Fault, "the certificate is not for the host that is published", "a warning about the certificate, or that the connection failed", "publish a host name that is in the certificate, or add the name to it", "RFC 9525, section 6"},
	{KindCertificate, "", Fault, "the certificate of a published server is not valid", "a warning about the certificate, or that the connection failed", "renew it, send the whole chain, and use a publicly trusted root", "RFC 8314, section 4.3"},
	{KindNoPassword, "", Fault, "the server offers no way to log in that the client has", "that the password is wrong", "offer PLAIN and LOGIN inside TLS", "RFC 4954; RFC 9051, section 6.2.2"},
	{KindServer, "", Fault, "what is published does not work", "that the connection failed", "see what mailconfd probe says of the service", "RFC 8314, section 3"},
	{KindNotTested, "", Note, "something could not be tested from here", "nothing", "look from another network, for instance with --via", "RFC 8314, section 3"},
	{KindBusy, "", Warning, "a published server asks to come back later, and nothing else of its kind works", "that the server does not answer for now", "try again in a while; if it lasts, see whether the server limits or refuses connections", "RFC 5321, section 3.8; RFC 9051, section 7.1.5"},
	{KindUsername, "", Fault, "the user name that a client makes is not the one that was meant", "that the password is wrong", "use %EMAILADDRESS% or %EMAILLOCALPART% alone", "draft-ietf-mailmaint-autoconfig-06, section 3"},
	{KindAsksUser, "", Warning, "a client finds settings and warns its user, or asks", "a question that few can answer", "serve the document over https, with hosts under the mail domain", "draft-ietf-mailmaint-autoconfig-06, section 4"},
	{KindGuess, "", Warning, "a client found nothing that it can use and guesses", "settings that may be wrong", "publish autoconfig, so that nothing has to be guessed", "draft-ietf-mailmaint-autoconfig-06, section 4"},
	{KindUnknown, "", Note, "what this client does cannot be seen from outside", "what its maker decided", "try it by hand", "the client's own documentation"},
	{KindSlow, "", Warning, "an answer takes longer than clients wait", "five seconds of waiting, or that nothing was found", "answer within 5 seconds, or refuse", "Thunderbird 153 waits 5 s"},

	{KindHTTPAutoconfig, "A1.1", Warning, "autoconfig is answered over plain http, where anybody on the way can change the answer", "in some clients a question whether to trust the settings", "redirect to https, where a certificate for that name is", "NDSS 2025 \"Automatic Insecurity\"; draft-ietf-mailmaint-autoconfig-06, section 4"},
	{KindHTTPAutodiscover, "A1.2", Warning, "Autodiscover is answered over plain http, where anybody on the way can change the answer", "nothing", "answer http with 302 to https, and nothing else", "NDSS 2025; [MS-OXDISCO]"},
	{KindThroughHTTP, "A1.3", Fault, "an https address redirects to plain http, where anybody on the way can change the answer", "nothing", "redirect to https only", "NDSS 2025"},
	{KindPlaintextOffered, "A3.1", Fault, "a service is offered without encryption", "nothing, or a warning that is easily clicked away", "take it out, or say SSL or STARTTLS", "RFC 8314, section 4.1"},
	{KindNoImplicitTLS, "A3.2", Warning, "a service with implicit TLS works and has no SRV record", "nothing", "publish the record too", "RFC 8314, section 5.1"},
	{KindSubmission465, "A3.2", Fault, "_submission leads to port 465, which is implicit TLS: Evolution says STARTTLS there, and fails", "that mail cannot be sent", "publish port 465 under _submissions", "RFC 8314, section 7.3"},
	{KindMeaningless, "A4.1", Fault, "a value means nothing to clients: they pass over the server, or do not encrypt", "that nothing was found, or nothing at all", "write SSL or STARTTLS in socketType, on or off in SSL, and SSL or TLS in Encryption", "draft-ietf-mailmaint-autoconfig-06; [MS-OXDSCLI] 2.2.4.1.1.2.6"},
	{KindWeakerFirstSRV, "A9.1", Warning, "SRV prefers the weaker service although the better one works", "nothing", "give the implicit-TLS record the lower priority", "RFC 8314, section 4"},
	{KindWeakerFirst, "A9.2", Warning, "a document lists the weaker service first", "nothing", "list implicit TLS first, or alone", "RFC 8314, section 4"},
	{KindContradiction, "A10.1", Fault, "one port of one host is said to encrypt in two ways", "that one client works and another does not", "correct the one that is wrong", "NDSS 2025"},
	{KindPathsDiffer, "paths", Warning, "the addresses at which clients ask for one format answer differently", "other settings in each client", "let all of them serve one document", "NDSS 2025"},
	{KindPair, "pair", Fault, "Encryption stands without SSL: SnappyMail reads that as no encryption", "nothing: the password goes in clear", "add <SSL>on</SSL> before it", "SnappyMail ba496919d"},
	{KindPairOff, "pair", Fault, "SSL is off where Encryption says STARTTLS: Thunderbird, Delta Chat and SnappyMail do not encrypt", "nothing: the password goes in clear", "say <SSL>on</SSL><Encryption>TLS</Encryption>", "Thunderbird 153, Delta Chat core 48888898e"},
	{KindInjection, "injection", Fault, "plaintext is taken over into the encrypted connection", "nothing", "update the mail server (CVE-2011-0411)", "USENIX Security 2021 \"Why TLS is better without STARTTLS\""},

	{KindAuthentication, "", Fault, "a document names only ways to log in that the server does not offer", "that the password is wrong", "write password-cleartext, which is safe inside TLS", "draft-ietf-mailmaint-autoconfig-06, section 3"},
	{KindEncryptedOnly, "", Note, "a document says password-encrypted alone: KMail and Evolution read that as CRAM-MD5, and Thunderbird wants CRAM-MD5 or SCRAM", "nothing, while the server offers those", "list password-cleartext too, which is safe inside TLS", "KMail account wizard 8163b657, Evolution 6901b223"},
	{KindOutlookLogin, "", Fault, "Autodiscover tells Outlook to log in by NTLM, or with a Windows domain", "Outlook asks for the password again and again", "write <SPA>off</SPA> and <DomainRequired>off</DomainRequired> in every Protocol", "Microsoft Learn cc511507"},
	{KindAccounts, "", Fault, "an Autodiscover answer has several Account elements: Outlook and SnappyMail want one with every Protocol in it", "that nothing was found", "put every Protocol into one Account", "[MS-OXDSCLI] 2.2.4.1.1.2"},
	{KindAlternatives, "", Note, "a document lists several servers of one kind: Evolution and aerc take the last, most others the first", "nothing, while all of them work", "list one of each", "Evolution 6901b223, aerc fab05311"},
	{KindPort25, "", Warning, "port 25 is published for submission; many networks block it", "that mail cannot be sent, in some places", "publish 587 or 465", "RFC 8314, section 3.3"},

	{KindFormatsDiffer, "", Warning, "two formats send clients to different places", "other settings in each client", "make both from one list of services", "NDSS 2025"},
	{KindByDesign, "", Note, "two formats differ, because one of them cannot say what the other says", "other settings in each client, which work", "nothing; or prefer a service that every format can say", "only autoconfig can say STARTTLS on another port than the usual one, and PACC cannot say STARTTLS at all"},
	{KindBetterOffered, "", Note, "a mail server offers more than is published", "nothing", "publish it too, if it is meant for users", "RFC 8314, section 4"},
	{KindISPDB, "", Warning, "the central database of Thunderbird says otherwise; KMail asks it first, others when you do not answer", "other settings in each client", "ask for a correction at github.com/thunderbird/autoconfig", "KMail account wizard 8163b657"},
	{KindPACC, "", Fault, "the PACC document does not match the digest in DNS: clients reject it", "that nothing was found", "publish the digest of what is served, and keep the old one beside it during a change", "draft-ietf-mailmaint-pacc"},
	{KindUnauthorized, "", Warning, "an address that everybody asks wants a password", "that the password is wrong", "answer without one, or 404: Thunderbird says that the user's password is wrong", "Thunderbird 153"},
	{KindUnknownAnswered, "", Warning, "a domain that nobody serves is answered", "settings of somebody else, or that nothing was found", "answer 404 for an unknown domain", "Delta Chat core 48888898e takes any 2xx answer for the end of its search"},
	{KindHTML, "", Warning, "a web page comes where a document was asked for", "that nothing was found", "answer 404 there; Thunderbird looks no further after a page with status 200", "Thunderbird 153"},
	{KindErrorAnswered, "", Warning, "Autodiscover answers GET with an error document and status 200", "guessed settings", "answer GET as POST, or 404: Delta Chat asks by GET and takes status 200 for the end of its search", "Delta Chat core 48888898e"},
	{KindWebCertificate, "", Warning, "the certificate of an https address is not good: Thunderbird, KMail and Evolution fall silently to http", "nothing, or that nothing was found", "get a certificate for this name, or take the name out of DNS", "RFC 9525"},
	{KindPassword, "", Note, "Thunderbird sends the mailbox password here unasked when it was typed already", "nothing", "make sure that whoever answers there may see it, and logs no Authorization header", "Thunderbird 153"},
	{KindPrivate, "", Note, "what answered has a loopback or private address: people outside may see something else", "nothing", "look again from outside, for instance with --via", "RFC 1918"},

	{KindSRVPort, "", Warning, "an SRV record has another port than the usual one, from which some clients guess how to encrypt", "that the connection failed, or nothing: the password goes in clear", "use the default port in SRV; only autoconfig can say another", "FairEmail e23dd9df80 takes STARTTLS elsewhere for implicit TLS, SnappyMail ba496919d for no encryption"},
	{KindAutodiscoverSRV, "", Warning, "_autodiscover has several records, or one that leads to another port than 443: Outlook and Thunderbird ignore the port, and Thunderbird takes the lowest weight", "that nothing was found", "publish one record, with port 443", "KB 3211279; Thunderbird 153"},
	{KindTargetOutside, "", Note, "an SRV record leads outside the domain, and DNSSEC does not vouch for it: careful clients ask their user", "a question whether to trust the host", "sign the zone, or use a host name under the domain", "RFC 6186, section 6"},
	{KindTargetAlias, "", Fault, "an SRV record leads to an alias, which it must not", "in some clients that nothing was found", "name the host that the alias leads to", "RFC 2782"},
	{KindTargetNowhere, "", Fault, "a host that is published has no address", "that the server was not found", "add an A or AAAA record, or correct the name", "RFC 2782"},
	{KindWildcard, "", Warning, "a wildcard in DNS lets names that clients ask lead to a web site", "that nothing was found", "answer 404 for them there, or add the real names", "RFC 4592"},
	{KindDangling, "", Fault, "an alias leads to a name that does not exist; whoever registers that name can answer for the domain", "a wait, or settings of somebody else", "remove the alias, or let it lead to the server of today", "NDSS 2025"},
	{KindLeftOver, "", Warning, "a name that clients ask is an alias of somebody who has nothing to do with the domain's mail and gives no settings that work", "that nothing was found, or settings of a former provider", "remove the alias, or let it lead to the server of today", "NDSS 2025"},
	{KindMXElsewhere, "", Note, "mail for the domain goes to another provider than the one that clients are sent to", "nothing, or an empty inbox", "check whether the settings are left over from a former provider", "RFC 5321, section 5"},
	{KindUnsigned, "", Note, "the zone is signed by nobody: DNSSEC does not vouch for its records", "in careful clients a question whether to trust what came from DNS", "sign it with DNSSEC, if you can", "RFC 6186, section 6"},
	{KindNoSuchDomain, "", Fault, "there is no such domain", "that nothing was found", "check how it is spelled, or register it and publish its records", "RFC 2308, section 2.1"},
	{KindSubdomain, "", Note, "what was asked for is a name that clients ask about another domain, hardly a mail domain", "nothing", "examine the domain itself", "draft-ietf-mailmaint-autoconfig-06, section 4"},
}

// untested tells what says nothing about whether a service works.
func (k Kind) untested() bool { return k == KindNotTested || k == KindBusy }

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

package settings

import "slices"

// FailureKind says why a service is not verified. The set is closed and part of
// what users rely on: JSON, metrics and documentation use the same words.
type FailureKind string

// The kinds, in the order in which a dialogue can meet them. Where several apply,
// the first that the dialogue meets wins. docs/failures.md is written from the
// table below.
const (
	FailureLocal              FailureKind = "local"
	FailureDNS                FailureKind = "dns"
	FailureUnreachable        FailureKind = "unreachable"
	FailureRefused            FailureKind = "refused"
	FailureTimeout            FailureKind = "timeout"
	FailureReset              FailureKind = "reset"
	FailureTooLong            FailureKind = "too_long"
	FailureProtocol           FailureKind = "protocol"
	FailureTemporary          FailureKind = "temporary"
	FailureGreeting           FailureKind = "greeting"
	FailurePlaintextOnTLSPort FailureKind = "plaintext_on_tls_port"
	FailureTLSOnPlaintextPort FailureKind = "tls_on_plaintext_port"
	FailureNoSTARTTLS         FailureKind = "no_starttls"
	FailureSTARTTLSInjection  FailureKind = "starttls_injection"
	FailureTLS                FailureKind = "tls"
	FailureClientCertificate  FailureKind = "client_certificate"
	FailureCertificateName    FailureKind = "certificate_name"
	FailureCertificateExpired FailureKind = "certificate_expired"
	FailureCertificateNotYet  FailureKind = "certificate_not_yet_valid"
	FailureCertificateChain   FailureKind = "certificate_chain_incomplete"
	FailureCertificateRoot    FailureKind = "certificate_untrusted"
	FailureInsecureRedirect   FailureKind = "insecure_redirect"
	FailureWellKnown          FailureKind = "well_known"
	FailureNoAuth             FailureKind = "no_auth"
	FailureOAuthOnly          FailureKind = "oauth_only"
	FailureLoginRejected      FailureKind = "login_rejected"
	FailureLoginRefused       FailureKind = "login_refused"
)

// Weight says how a failure counts when a published service has to step back.
type Weight int

// The weights. Ordinary failures count when several come in a row. Unsafe ones would
// put a user's password at risk and count after one confirmation. Temporary ones,
// with which a healthy server asks to be left alone for a while, count only once
// the last success is old. Local ones say nothing about the service and never count.
const (
	Ordinary Weight = iota
	Unsafe
	Temporary
	Local
)

// FailureText is what people are told about a kind.
type FailureText struct {
	Kind    FailureKind
	Weight  Weight
	Meaning string // what was seen, as a sentence without a subject or full stop
	Remedy  string // what to do about it
}

var failures = []FailureText{
	{FailureLocal, Local, "our own network, proxy or resolver did not work, or has no route for this kind of address", "mend the network that mailconfd runs in; the service itself was not tested"},
	{FailureDNS, Ordinary, "the host name has no address", "add an A or AAAA record for the host, or correct its name"},
	{FailureUnreachable, Ordinary, "the network says that the host cannot be reached", "check the host's address and routing; for IPv6, remove the AAAA record if the host has no IPv6"},
	{FailureRefused, Ordinary, "nothing listens on the port", "switch the service on, or leave the port out of the configuration"},
	{FailureTimeout, Ordinary, "no answer in time", "a firewall may drop the packets: open the port; or the server is overloaded"},
	{FailureReset, Ordinary, "the connection was cut in the middle", "look into the server's log; a firewall or fail2ban may cut connections"},
	{FailureTooLong, Ordinary, "the server sent far more than the protocol allows", "check what really listens on the port"},
	{FailureProtocol, Ordinary, "what answers does not speak the protocol", "check what listens on the port; a proxy may answer for it"},
	{FailureTemporary, Temporary, "the server asks to come back later", "wait; if it lasts, exempt mailconfd from the server's rate limit"},
	{FailureGreeting, Ordinary, "the server refuses every client with its greeting", "look into the server's log for why it refuses connections"},
	{FailurePlaintextOnTLSPort, Ordinary, "the port should speak TLS from the first byte and speaks plaintext", "switch implicit TLS on for this port (Postfix: smtpd_tls_wrappermode=yes; Dovecot: ssl = yes)"},
	{FailureTLSOnPlaintextPort, Ordinary, "the port should start in plaintext and speaks TLS from the first byte", "switch implicit TLS off for this port and offer STARTTLS"},
	{FailureNoSTARTTLS, Unsafe, "STARTTLS is not offered, or refused", "switch STARTTLS on; if the server offers it, a device on the way strips it"},
	{FailureSTARTTLSInjection, Unsafe, "plaintext came along with the answer to STARTTLS", "update the mail server (CVE-2011-0411); if it is current, a device on the way injects"},
	{FailureTLS, Ordinary, "no TLS connection could be agreed on", "offer TLS 1.2 or 1.3 with a current cipher suite"},
	{FailureClientCertificate, Ordinary, "the server wants a certificate from the client", "do not require client certificates on ports for mail clients"},
	{FailureCertificateName, Unsafe, "the certificate is for another name", "add the host's name to the certificate, or publish a name that is in it"},
	{FailureCertificateExpired, Unsafe, "the certificate has expired", "renew it, and reload the mail server after each renewal"},
	{FailureCertificateNotYet, Unsafe, "the certificate is not valid yet", "check the clocks of the server and of this machine"},
	{FailureCertificateChain, Unsafe, "the server does not send its intermediate certificate", "configure the full chain (fullchain.pem, not cert.pem)"},
	{FailureCertificateRoot, Unsafe, "the certificate does not lead to a root that clients trust", "use a publicly trusted certificate; a private root needs --ca-file here, and each client needs it too"},
	{FailureInsecureRedirect, Unsafe, "the server sends clients on to an address without TLS", "let the redirect say https; behind a proxy, tell the application how it is reached (Nextcloud: overwriteprotocol)"},
	{FailureWellKnown, Ordinary, "the web server's well-known address does not lead to the service on this host", "redirect /.well-known/caldav, carddav or jmap to the service (RFC 6764 section 5, RFC 8620 section 2.2), or name the host that has it"},
	{FailureNoAuth, Ordinary, "no password mechanism is offered after TLS", "offer AUTH PLAIN and LOGIN after TLS, over HTTP Basic; the port may be relay, not submission"},
	{FailureOAuthOnly, Ordinary, "only OAuth is offered, no password", "offer AUTH PLAIN and LOGIN after TLS too, over HTTP Basic; clients do OAuth only for providers built into them"},
	{FailureLoginRejected, Ordinary, "the probe account's user name or password is rejected; the service is withheld only where the other form of the user name logs in", "set username to the form that works; where neither does, check the account's address and password"},
	{FailureLoginRefused, Ordinary, "a password mechanism is offered and every login is refused, although the password is right, as Microsoft 365 does", "allow logins with a password there, or leave the service out"},
}

// Failures returns every kind with its meaning, in the order of the dialogue.
func Failures() []FailureText { return slices.Clone(failures) }

// Text returns what people are told about the kind.
func (k FailureKind) Text() FailureText {
	if i := k.stage(); i >= 0 {
		return failures[i]
	}
	return FailureText{Kind: k}
}

// Weight returns how a failure of the kind counts.
func (k FailureKind) Weight() Weight { return k.Text().Weight }

// Connecting tells the failures that come before the server has said anything.
func (k FailureKind) Connecting() bool { return k.stage() <= FailureReset.stage() }

// stage is how far a dialogue gets before it meets the failure.
func (k FailureKind) stage() int {
	return slices.IndexFunc(failures, func(f FailureText) bool { return f.Kind == k })
}

// Failure is why a service is not verified: data, not a Go error.
type Failure struct {
	Kind   FailureKind `json:"kind"`
	Detail string      `json:"detail"` // what exactly was seen; printable, at most a few hundred bytes
}

// String returns "KIND: DETAIL".
func (f Failure) String() string { return string(f.Kind) + ": " + f.Detail }

// WarningKind names something that does not keep a service from being published but
// that its operator should know. The set is closed.
type WarningKind string

// The warnings.
const (
	WarnAddressFailed      WarningKind = "address_failed"
	WarnAddressesDiffer    WarningKind = "addresses_differ"
	WarnCertificateExpires WarningKind = "certificate_expires_soon"
	WarnLegacyTLS          WarningKind = "legacy_tls"
	WarnPrivateRoot        WarningKind = "private_root"
	WarnLocalAddress       WarningKind = "local_address"
	WarnHostsFile          WarningKind = "hosts_file"
	WarnCleartextLogin     WarningKind = "cleartext_login"
	WarnNoAuthLogin        WarningKind = "no_auth_login"
	WarnEncryptedOnly      WarningKind = "password_encrypted_only"
	WarnPasswordDoubtful   WarningKind = "password_may_be_refused"
	WarnPreauth            WarningKind = "preauth"
	WarnSTARTTLSTwice      WarningKind = "starttls_after_tls"
)

// WarningText is what people are told about a warning.
type WarningText struct {
	Kind    WarningKind
	Meaning string
	Remedy  string
}

var warnings = []WarningText{
	{WarnAddressFailed, "another address of the host does not work", "mend the service there, or remove the address from DNS: clients that try it first wait or fail"},
	{WarnAddressesDiffer, "the host's addresses have no way to log in in common", "offer the same at each: clients take whichever address they reach"},
	{WarnCertificateExpires, "the certificate expires within 14 days", "renew it, and reload the mail server"},
	{WarnLegacyTLS, "the TLS handshake works only with old cipher suites or a small first packet", "update the server's TLS library; some clients may fail already"},
	{WarnPrivateRoot, "the certificate leads to a root given with --ca-file, which clients do not have", "use a publicly trusted certificate"},
	{WarnLocalAddress, "seen over a loopback, private or own address: no firewall was passed", "probe from another network too, for instance with --via"},
	{WarnHostsFile, "the address comes from this machine's /etc/hosts; DNS has none", "add an A or AAAA record for the host"},
	{WarnCleartextLogin, "passwords are accepted before TLS", "refuse logins without TLS (Dovecot: disable_plaintext_auth = yes; Postfix: smtpd_tls_auth_only = yes)"},
	{WarnNoAuthLogin, "AUTH LOGIN is not offered", "offer LOGIN beside PLAIN: Evolution uses nothing else for submission"},
	{WarnEncryptedOnly, "only challenge-response mechanisms are offered", "offer PLAIN and LOGIN after TLS: Autodiscover cannot say anything else, and KMail and Evolution know CRAM-MD5 only"},
	{WarnPasswordDoubtful, "a password mechanism stands beside OAuth: it may be refused, as Microsoft 365 does", "try a login by hand; Gmail takes application passwords only"},
	{WarnPreauth, "the server greets as if the client were already logged in", "check the server: mail clients do not expect it"},
	{WarnSTARTTLSTwice, "STARTTLS is still offered inside TLS", "update the server (RFC 3207 section 4.2)"},
}

// Warnings returns every kind of warning with its meaning.
func Warnings() []WarningText { return slices.Clone(warnings) }

// Text returns what people are told about the kind.
func (k WarningKind) Text() WarningText {
	for _, w := range warnings {
		if w.Kind == k {
			return w
		}
	}
	return WarningText{Kind: k}
}

// Warning is something that the operator of a service should know.
type Warning struct {
	Kind   WarningKind `json:"kind"`
	Detail string      `json:"detail"`
}

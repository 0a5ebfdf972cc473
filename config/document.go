package config

import "time"

// document is the configuration file as it is written, and the one home of every key.
// Its tags give:
//
//	yaml      the name
//	default   the default, written as a variable has it: a list with commas
//	enum      the words that are taken; later: those that a later version will take
//	required  that the key must be there
//	most      how many items a list may have
//	env       the variable, where it does not follow from the key's path
//	flag      the flag that sets the key too
//	doc       what it means
type document struct {
	Listen         []string        `yaml:"listen" most:"100" default:"127.0.0.1:8080" flag:"listen" doc:"with tls.mode off: where everything is served over plain HTTP, behind a proxy that does TLS"`
	TrustedProxies []string        `yaml:"trusted_proxies" doc:"networks, or single addresses, of proxies whose X-Forwarded-Proto is believed"`
	AdminListen    string          `yaml:"admin_listen" default:"127.0.0.1:9090" flag:"admin-listen" doc:"where metrics and health are served; never public; empty: nowhere"`
	State          string          `yaml:"state" flag:"state" doc:"where is kept what was seen: sqlite:///PATH, postgres://USER@HOST/DATABASE, or memory: (until the process ends); empty: a file in the default place, see docs/state.md"`
	CanonicalHost  string          `yaml:"canonical_host" doc:"host to which plain-HTTP Autodiscover is redirected and _autodiscover points, so that one certificate serves all domains; empty: none"`
	Resolver       string          `yaml:"resolver" flag:"resolver" doc:"DNS server that is asked, HOST:PORT; empty: the system's servers"`
	SelfCheck      bool            `yaml:"self_check" default:"true" doc:"serve examines one domain of each provider as mail clients do, after each change and every six hours, and logs what is wrong"`
	TLS            tlsSection      `yaml:"tls" doc:"who does TLS"`
	Probe          probeSection    `yaml:"probe" doc:"how mail servers are looked at"`
	Policy         policySection   `yaml:"policy" doc:"what of that is published, and for how long"`
	Providers      []providerEntry `yaml:"providers" most:"10000" doc:"sets of mail services, and how their users log in"`
	Domains        []domainEntry   `yaml:"domains" doc:"which provider serves a domain: by name, by wildcard, or by MX"`
	Publish        []publishEntry  `yaml:"publish" most:"10000" doc:"DNS zones that are kept in step with what is verified, by dynamic updates (RFC 2136)"`
}

type tlsSection struct {
	Mode         string             `yaml:"mode" default:"off" enum:"off,files" later:"acme" doc:"off: a proxy in front does TLS; files: mailconfd does, with the certificates below; acme comes later"`
	Listen       []string           `yaml:"listen" most:"100" default:"0.0.0.0:443" doc:"addresses for HTTPS"`
	HTTPListen   []string           `yaml:"http_listen" most:"100" default:"0.0.0.0:80" doc:"addresses for plain HTTP beside it"`
	Certificates []certificateEntry `yaml:"certificates" doc:"certificates, each with its key"`
}

type certificateEntry struct {
	CertFile string `yaml:"cert_file" required:"true" doc:"PEM file: the certificate and its intermediates (fullchain.pem)"`
	KeyFile  string `yaml:"key_file" required:"true" doc:"PEM file: the private key"`
}

type probeSection struct {
	Interval time.Duration `yaml:"interval" default:"15m" doc:"time between two rounds; a failure is looked at again sooner"`
	CAFile   string        `yaml:"ca_file" env:"MAILCONFD_CA_FILE" flag:"ca-file" doc:"PEM file of roots that are trusted beside the public ones; clients lack them"`
	Via      string        `yaml:"via" env:"MAILCONFD_VIA" flag:"via" doc:"socks5://HOST:PORT to look through; empty: directly"`
	HELO     string        `yaml:"helo" doc:"name said to SMTP servers; empty: this machine's full name, or its address; never localhost"`
	Vantage  string        `yaml:"vantage" default:"here" doc:"a name for where this process stands"`
}

type policySection struct {
	SubmissionOrder   []uint16      `yaml:"submission_order" default:"587,2525,465" most:"3" doc:"ports of submission in order of preference"`
	MaxAge            time.Duration `yaml:"max_age" default:"1h" doc:"a success older than this is no longer fresh"`
	WithdrawAfter     int           `yaml:"withdraw_after" default:"3" doc:"failures in a row that let a service step back, once they have gone on for withdraw_after_time"`
	WithdrawAfterTime time.Duration `yaml:"withdraw_after_time" default:"10m" doc:"how long the failures must have gone on"`
	Grace             time.Duration `yaml:"grace" default:"72h" doc:"how long after its last success a service may stay published where there is nothing better"`
	Vantage           string        `yaml:"vantage" default:"any" enum:"any,all,majority" doc:"who decides when several vantages see a service differently"`
}

type providerEntry struct {
	Name           string         `yaml:"name" required:"true" doc:"what you call it; domains refer to it"`
	DisplayName    string         `yaml:"display_name" doc:"for people, at most 60 characters; empty: the domain"`
	ShortName      string         `yaml:"short_name" doc:"for people, at most 20 characters; empty: display_name, shortened"`
	Hosts          []string       `yaml:"hosts" most:"100" doc:"host names: every default port of each, and submission on 2525, is a candidate"`
	Services       []string       `yaml:"services" most:"100" doc:"instead of hosts: exactly these, such as submission://smtp.example.org:587; or beside hosts: jmap://, caldavs:// and carddavs://"`
	Trusted        []trustedEntry `yaml:"trusted" most:"100" doc:"services that are published without having been seen to work"`
	NotOffered     []string       `yaml:"not_offered" most:"2" enum:"pop3,imap" doc:"what is deliberately not offered: pop3, imap; DNS says so once the port was seen to refuse"`
	Username       string         `yaml:"username" default:"address" enum:"address,localpart" doc:"how users log in: address (jane@example.org) or localpart (jane)"`
	AcceptsAddress bool           `yaml:"accepts_address" default:"true" doc:"with localpart: does the whole address log in too? If not, what cannot say it is withheld: SRV records"`
	ProbeAccount   accountSection `yaml:"probe_account" doc:"a mailbox of its own to log in with, once an hour, to prove the form of the user name; optional, see docs/login.md"`
}

type accountSection struct {
	Address      string `yaml:"address" doc:"its address; empty: nobody logs in, which is the default"`
	PasswordFile string `yaml:"password_file" doc:"file with its password, one line; read at start and reload"`
}

type trustedEntry struct {
	Service string `yaml:"service" required:"true" doc:"the service, such as imaps://imap.example.org"`
	Reason  string `yaml:"reason" required:"true" doc:"why it cannot be probed; shown wherever the service is"`
}

type domainEntry struct {
	Name     string   `yaml:"name" doc:"a domain, or \"*.\" and a domain for all its subdomains, in quotes"`
	MX       []string `yaml:"mx" most:"100" doc:"instead of name: any domain whose best MX is one of these hosts"`
	Except   []string `yaml:"except" doc:"with mx: domains that are not served"`
	Provider string   `yaml:"provider" required:"true" doc:"the name of a provider"`
}

type publishEntry struct {
	Zone           string        `yaml:"zone" required:"true" doc:"the zone; the records of every domain that is listed by name, and is in it, go there"`
	Server         string        `yaml:"server" required:"true" doc:"its primary, HOST:PORT, asked over TCP"`
	TSIGName       string        `yaml:"tsig_name" doc:"name of the key that signs updates; empty: they are not signed"`
	TSIGAlgorithm  string        `yaml:"tsig_algorithm" default:"hmac-sha256" enum:"hmac-sha256,hmac-sha512" doc:"how the key signs: hmac-sha256 or hmac-sha512"`
	TSIGSecretFile string        `yaml:"tsig_secret_file" doc:"file with the key's secret in base64, and nothing else; read anew for each update"`
	TTL            time.Duration `yaml:"ttl" default:"1h" doc:"how long resolvers may keep a record"`
	Interval       time.Duration `yaml:"interval" default:"10m" doc:"with serve: there is at most one change in so much time, and the zone is looked at as often"`
	AllowEmpty     bool          `yaml:"allow_empty" default:"false" doc:"may a domain lose its last record for retrieval, or for submission, because nothing works?"`
	DelegateTo     string        `yaml:"delegate_to" doc:"the domain at which the set is kept: the other domains in the zone get aliases of it; empty: each gets its own set"`
	ConfigHost     string        `yaml:"config_host" doc:"host that answers autoconfig and Autodiscover; empty: canonical_host"`
	Addresses      bool          `yaml:"addresses" default:"false" doc:"do autoconfig, autodiscover and ua-auto-config get the addresses of that host, instead of aliases? They are looked up each time"`
	Mailconf       bool          `yaml:"mailconf" default:"false" doc:"is there a TXT record mailconf= at the domain itself, which only Himalaya reads?"`
}

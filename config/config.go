// Package config reads the configuration of mailconfd: a YAML file, variables of
// the environment and flags, put together to one [Config] or to an [Error] that
// names everything that is wrong at once, with file, line and key.
//
// The file is YAML 1.2 as go.yaml.in/yaml/v3 reads it, less what makes a
// configuration hard to trust: an unknown key is an error and so is a key that
// stands there twice; anchors, aliases, merge keys and tags are refused; a number
// is no text, and no time either. Keys are lower-case. Relative paths in the file
// start at its directory.
//
// Defaults, file, variables and flags are layered by viper, in a new one for each load.
// Three things viper never sees. Lists of entries (providers, domains), which it would
// turn into maps. Keys as they are written: it takes Listen for listen, and reads a key
// "tls.mode" as mode below tls. And the environment of the process, which is an argument
// here: with its AutomaticEnv, a variable that is named like a section empties it.
//
// The package opens the configuration file and nothing else: no certificate, no
// password, no name is looked up, nothing is watched. One value may hold a secret, the password in
// the URL of a state in PostgreSQL; no message repeats it.
package config

import (
	"iter"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailconfd/settings"
)

// Config is a configuration that has passed every check. It is not changed after it
// was loaded; a reload makes a new one.
type Config struct {
	File string // where it was read from; "" where there was no file

	Listen         []string       // addresses HOST:PORT for plain HTTP; PORT 0 is any free one
	TrustedProxies []netip.Prefix // whose X-Forwarded-* headers count
	AdminListen    string         // address HOST:PORT; "" for none
	State          string         // sqlite:///PATH, postgres://…, memory: or "" for the default place; may hold a password
	CanonicalHost  string         // a host name as settings.ParseHost gives it, or ""
	Resolver       string         // address HOST:PORT; "" for the system's servers
	SelfCheck      bool           // whether serve examines its own domains as clients do
	TLS            TLS
	Probe          Probe
	Policy         settings.Policy
	Providers      []settings.Provider // each passes its Check; names are unique
	ProbeAccounts  []ProbeAccount      // in the order of Providers; at most one of each
	Publish        []Zone              // no zone comes twice

	domains []Domain
}

// TLSMode says who does TLS.
type TLSMode string

// The modes.
const (
	TLSOff   TLSMode = "off"   // a proxy in front
	TLSFiles TLSMode = "files" // mailconfd, with certificates from files
)

// TLS is how documents are served over HTTPS.
type TLS struct {
	Mode         TLSMode
	Listen       []string // addresses HOST:PORT for HTTPS; at least one with TLSFiles
	HTTPListen   []string // addresses HOST:PORT for plain HTTP beside it
	Certificates []Certificate
}

// Certificate is a certificate chain and its key, each the path of a PEM file. They
// have not been opened.
type Certificate struct {
	CertFile string
	KeyFile  string
}

// Probe is how mail servers are looked at.
type Probe struct {
	Interval time.Duration // between two rounds; a second or more
	CAFile   string        // PEM file of further trusted roots, or ""; not opened
	Via      string        // socks5://HOST:PORT, or ""
	HELO     string        // a full host name, an address literal, or "" for this machine's
	Vantage  string        // a name of letters, digits, ".", "-" and "_"
}

// ProbeAccount is a mailbox to log in with.
type ProbeAccount struct {
	Provider     string // the Name of one of Providers
	Address      settings.Address
	PasswordFile string // a path; not opened
}

// Zone is a DNS zone that is kept in step, and how.
type Zone struct {
	Name           string // as settings.ParseDomain gives it
	Server         string // address HOST:PORT of its primary
	TSIGName       string // of a key; "": updates are not signed
	TSIGAlgorithm  string // "hmac-sha256" or "hmac-sha512"
	TSIGSecretFile string // not opened; "" without a key
	TTL            time.Duration
	Interval       time.Duration // between two changes by serve
	AllowEmpty     bool          // a domain may lose its last record of a use
	DelegateTo     string        // the domain at which the set is kept, of which others have aliases; "": each has its own
	ConfigHost     string        // what answers autoconfig and Autodiscover; "": CanonicalHost
	Addresses      bool          // of the configuration host, in place of aliases
	Mailconf       bool          // add the TXT record mailconf=
}

// ZoneOf returns the zone of Publish that a domain is in: the longest that ends it.
func (c Config) ZoneOf(domain string) (zone Zone, found bool) {
	for _, z := range c.Publish {
		if (domain == z.Name || strings.HasSuffix(domain, "."+z.Name)) && len(z.Name) > len(zone.Name) {
			zone, found = z, true
		}
	}
	return zone, found
}

// Domain says which provider serves a domain, or many: exactly one of Name, Wildcard
// and MX is set.
type Domain struct {
	Name     string   // a domain, as settings.ParseDomain gives it
	Wildcard string   // every subdomain of this domain, at any depth, but not itself
	MX       []string // every domain whose best MX is one of these hosts, less Except
	Except   []string // domains as settings.ParseDomain gives them
	Provider string   // the Name of one of Providers
}

// Domains yields the domains in the order of the file. No name, wildcard or MX comes
// twice. There can be hundreds of thousands.
func (c Config) Domains() iter.Seq[Domain] { return slices.Values(c.domains) }

package srvrecords

import (
	"net/netip"

	"github.com/miekg/dns"
)

// The labels by which clients find the configuration server.
const (
	autodiscoverSRV  = "_autodiscover._tcp"
	autoconfigHost   = "autoconfig"
	autodiscoverHost = "autodiscover"
	paccHost         = "ua-auto-config" // of PACC (draft-ietf-mailmaint-pacc)
	apex             = "@"              // the domain itself
)

// hostLabels are the names that clients ask over HTTPS.
var hostLabels = []string{autoconfigHost, autodiscoverHost, paccHost}

// mailconf begins the TXT record that names the autoconfig document. No specification
// has it.
const mailconf = "mailconf="

// maxString is how long one string of a TXT record can be (RFC 1035 section 3.3).
const maxString = 255

// config adds the records by which clients find the configuration server.
func (c *compiler) config(opt Options) {
	c.targets[c.host] = true
	// One record, on 443: Thunderbird takes the one with the lowest weight, and neither it
	// nor Outlook goes by the port.
	c.speak(autodiscoverSRV, "SRV")
	c.srv(Record{
		Why:     "Autodiscover is answered by this host over HTTPS",
		Readers: readers(autodiscoverSRV),
	}, autodiscoverSRV, 0, 1, 443, dns.Fqdn(c.host))
	said := false
	for _, label := range hostLabels {
		if reason := c.taken(label); reason != "" {
			c.withholdName(label, reason)
			continue
		}
		said = said || label == autoconfigHost
		c.hostName(label, opt.ConfigAddresses)
	}
	if opt.Mailconf {
		c.mailconf(said || autoconfigHost+"."+c.set.Domain == c.host)
	}
}

// taken returns why a host name of ours gets no record, or "".
func (c *compiler) taken(label string) string {
	name := label + "." + c.set.Domain
	switch {
	case name == c.host:
		return "it is the configuration host itself: give it an address record"
	case c.targets[name]:
		return "a mail service is on this host, and the target of an SRV record must not be an alias (RFC 2782)"
	}
	return ""
}

// hostWhy says what a host name is for.
func hostWhy(label string) string {
	if label == paccHost {
		return "clients of PACC ask this name, and go on where the answer is 404, as it is yet; the certificate there must hold it"
	}
	return "mail clients ask this name for their settings; the certificate there must hold it"
}

// hostName lets a name lead to the configuration host: by its addresses, or as its alias.
func (c *compiler) hostName(label string, ips []netip.Addr) {
	r := Record{
		Why:     hostWhy(label),
		Readers: readers(label),
	}
	if len(ips) == 0 {
		c.speak(label, "CNAME")
		c.add(r, label, &dns.CNAME{Hdr: c.header(label, dns.TypeCNAME), Target: dns.Fqdn(c.host)})
		return
	}
	c.speak(label, "A", "AAAA")
	for _, ip := range ips {
		if ip = ip.Unmap(); ip.Is4() {
			c.add(r, label, &dns.A{Hdr: c.header(label, dns.TypeA), A: ip.AsSlice()})
		} else {
			c.add(r, label, &dns.AAAA{Hdr: c.header(label, dns.TypeAAAA), AAAA: ip.AsSlice()})
		}
	}
}

// mailconf adds the TXT record that names the autoconfig document, where the name in it
// leads to our server.
func (c *compiler) mailconf(leads bool) {
	switch {
	case c.set.Domain == Template:
		c.withholdName(apex, "the mailconf record holds the domain itself: print it for each domain")
		return
	case !leads:
		c.withholdName(apex, "the mailconf record would name a host that is not the configuration host")
		return
	}
	c.set.names = append(c.set.names, Name{c.owner(apex), "TXT", mailconf})
	url := "https://" + autoconfigHost + "." + c.set.Domain + "/mail/config-v1.1.xml"
	c.add(Record{
		Why:     "names the autoconfig document; other TXT records of the domain stay beside it",
		Readers: readers(apex),
	}, apex, &dns.TXT{Hdr: c.header(apex, dns.TypeTXT), Txt: split(mailconf + url)})
}

// split cuts a text into strings that a TXT record can hold; readers join them.
func split(text string) []string {
	var all []string
	for len(text) > maxString {
		all, text = append(all, text[:maxString]), text[maxString:]
	}
	return append(all, text)
}

package doctor

import (
	"cmp"
	"html"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"mailconfd/settings"
)

// clients is the one table of simulators, those that most people use first. A file
// each; adding one is a file and a line.
var clients = []client{
	thunderbird,
	outlook,
	thunderbirdAndroid,
	appleMail,
	newOutlook,
	deltaChat,
	evolution,
	kmail,
	fairEmail,
	gnomeAccounts,
	geary,
	nextcloud,
	mailspring,
	snappymail,
	horde,
	aerc,
	himalaya,
}

// escapeAddress encodes an address as most clients do for a query.
func escapeAddress(address string) string { return url.QueryEscape(address) }

// escapeComponent encodes an address as encodeURIComponent does, and much like GLib's
// g_uri_escape_string: only letters, digits and -_.~ stay. A query that decodes "+"
// gets it back.
func escapeComponent(address string) string {
	return strings.ReplaceAll(url.QueryEscape(address), "+", "%20")
}

// fill expands the placeholders of autoconfig, wherever they stand.
func fill(text string, a settings.Address) string {
	return strings.NewReplacer("%EMAILADDRESS%", a.String(), "%EMAILLOCALPART%", a.Local, "%EMAILDOMAIN%", a.Domain).Replace(text)
}

// reject notes that a document was refused as a whole.
func (v *visit) reject(p page, why string) {
	v.note("read the document", why, 0)
	v.find(finding(KindRejected, bare(p.from)+": "+why, "").of(bare(p.from)))
}

// fromSource says where settings come from.
func fromSource(found []Setting, source string) []Setting {
	for i := range found {
		found[i].Source = source
	}
	return found
}

// ldhHost is a host name of letters, digits and hyphens.
var ldhHost = regexp.MustCompile(`^(?i:([a-z0-9]|[a-z0-9][a-z0-9-]{0,61}[a-z0-9])(\.([a-z0-9]|[a-z0-9][a-z0-9-]{0,61}[a-z0-9]))*\.?)$`)

// legalHost tells what Thunderbird and Thunderbird for Android take for a host: a name
// of letters, digits and hyphens, or an IP address (hostnameUtils, HostNameUtils).
func legalHost(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil && !strings.Contains(text, "%") || len(text) <= 255 && ldhHost.MatchString(text)
}

// urlHost returns the host of a URL, or "".
func urlHost(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}

// registrable returns the registrable domain of a host by the Public Suffix List, or ""
// where it has none.
func registrable(host string) string {
	domain, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err != nil {
		return ""
	}
	return domain
}

// parent returns a host name without its first label, or "" at the top.
func parent(host string) string {
	_, rest, _ := strings.Cut(host, ".")
	return rest
}

// sortedByPriority returns records with the lowest priority first, otherwise as they came.
func sortedByPriority(records []Record) []Record {
	return slices.SortedStableFunc(slices.Values(records), func(a, b Record) int { return cmp.Compare(a.Priority, b.Priority) })
}

// xmlTypes are the content types that browsers take for XML.
func xmlTypes(kinds ...string) func(string) bool {
	return func(contentType string) bool {
		return slices.ContainsFunc(kinds, func(k string) bool { return strings.HasPrefix(contentType, k) })
	}
}

// The schemas of Autodiscover's POX ([MS-OXDSCLI] section 2.2.3).
const (
	requestSchema  = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
	responseSchema = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
)

// compactPOX is the body that Outlook and FairEmail post to Autodiscover, each with its own
// XML declaration.
func compactPOX(declaration, address string) string {
	return declaration + `<Autodiscover xmlns="` + requestSchema + `"><Request><EMailAddress>` + html.EscapeString(address) +
		`</EMailAddress><AcceptableResponseSchema>` + responseSchema + `</AcceptableResponseSchema></Request></Autodiscover>`
}

// poxRequest is the body that Thunderbird and others post to Autodiscover, with the
// address as it is: an "&" in it makes it malformed.
func poxRequest(address string) string {
	return `<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="` + requestSchema + `">
  <Request>
    <EMailAddress>` + address + `</EMailAddress>
    <AcceptableResponseSchema>` + responseSchema + `</AcceptableResponseSchema>
  </Request>
</Autodiscover>`
}

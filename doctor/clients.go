package doctor

import (
	"cmp"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// clients is the one table of simulators, those that most people use first. A file
// each; adding one is a file and a line.
var clients = []client{
	thunderbird,
	outlook,
}

// escapeAddress encodes an address as most clients do for a query.
func escapeAddress(address string) string { return url.QueryEscape(address) }

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

// poxRequest is the body that Thunderbird and others post to Autodiscover, with the
// address as it is: an "&" in it makes it malformed.
func poxRequest(address string) string {
	return `<?xml version="1.0" encoding="utf-8"?>
<Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006">
  <Request>
    <EMailAddress>` + address + `</EMailAddress>
    <AcceptableResponseSchema>http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema>
  </Request>
</Autodiscover>`
}

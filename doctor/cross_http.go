package doctor

import (
	"bytes"
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"mailconfd/settings"
)

// overHTTP finds what can be changed on the way (A1.1 to A1.3).
func (c *comparison) overHTTP() {
	plain := map[format][]string{}
	secure := map[format]string{}
	for _, f := range c.files {
		switch end := scheme(f.page.Request.URL); {
		case scheme(f.url) == "http" && end == "http" && f.document():
			plain[f.format] = append(plain[f.format], f.url)
		case scheme(f.url) == "https" && f.page.plain:
			c.throughHTTP(&f)
		case scheme(f.url) == "https" && f.document() && f.page.Certificate == nil:
			secure[f.format] = cmp.Or(secure[f.format], f.url)
		}
	}
	for _, f := range []format{formatAutoconfig, formatAutodiscover} {
		kind := KindHTTPAutoconfig
		if f == formatAutodiscover {
			kind = KindHTTPAutodiscover
		}
		switch {
		case len(plain[f]) == 0:
		case secure[f] == "":
			c.find(kind, "without https anywhere: "+bareAll(plain[f]), "get a certificate for "+urlHost(plain[f][0])+", and redirect to https", c.readers(plain[f]...)...)
		default:
			c.find(kind, "without a redirect to https: "+bareAll(plain[f]), "answer 302 with Location: "+bare(secure[f]), c.readers(plain[f]...)...)
		}
	}
}

// throughHTTP is a fault where a document comes that way. A web site that leads its
// visitors astray is not much better, but only a warning.
func (c *comparison) throughHTTP(f *file) {
	detail, remedy := bare(f.url)+" leads through plain http to "+bare(f.page.Request.URL), "let "+origin(f.url)+" redirect to https only"
	if f.document() {
		c.find(KindThroughHTTP, detail, remedy, c.askers(f.url)...)
		return
	}
	c.findLess(Warning, KindThroughHTTP, detail, remedy, c.askers(f.url)...)
}

// slowest is how long most clients wait.
const slowest = 5 * time.Second

// answers finds answers that clients misunderstand, whatever is in them.
func (c *comparison) answers() {
	c.webCertificates()
	where := map[Kind][]string{}
	for i := range c.files {
		f := &c.files[i]
		h := f.page.Hop
		final := cmp.Or(h.Request.URL, f.url)
		note := func(k Kind) {
			if !slices.Contains(where[k], bare(final)) {
				where[k] = append(where[k], bare(final))
			}
		}
		switch {
		case h.Status == 401 && !c.told(KindAsksUser, about401(final)):
			note(KindUnauthorized)
		case h.Status/100 == 2 && !f.document() && isHTML(h):
			note(KindHTML)
		}
		if f.format == formatAutodiscover && scheme(f.url) == "https" && h.Status != 0 && h.Certificate == nil && !f.document() {
			note(KindPassword)
		}
		if f.page.took > slowest && !c.told(KindSlow, bare(f.url)) {
			c.add(finding(KindSlow, fmt.Sprintf("%s takes %s", bare(f.url), f.page.took.Round(100*time.Millisecond)), "").of(bare(f.url)), c.askers(f.url)...)
		}
	}
	for _, w := range []struct {
		kind Kind
		what string
	}{
		{KindUnauthorized, "status 401: "},
		{KindHTML, "a web page with status 200: "},
		{KindPassword, "answered, and not with settings: "},
	} {
		if urls := where[w.kind]; len(urls) > 0 {
			c.find(w.kind, w.what+strings.Join(urls, ", "), "", c.askers(urls...)...)
		}
	}
	c.errorDocuments()
	c.unknownDomain()
}

// about401 is the subject of a finding that a URL wants a password.
func about401(u string) string { return "401 " + bare(u) }

// webCertificates has one finding for each host.
func (c *comparison) webCertificates() {
	for _, f := range c.files {
		h := f.page.Hop
		if h.Certificate == nil || scheme(h.Request.URL) != "https" {
			continue
		}
		host, remedy := urlHost(h.Request.URL), ""
		if h.Certificate.Kind == settings.FailureCertificateName && host != c.address.Domain {
			remedy = "get a certificate for " + host + ", or take that name out of DNS"
		}
		found := finding(KindWebCertificate, origin(h.Request.URL)+": "+h.Certificate.String(), remedy).of(host)
		c.add(found, c.askers(f.url)...)
	}
}

func isHTML(h Hop) bool {
	start := bytes.ToLower(bytes.TrimSpace(h.Body[:min(len(h.Body), 512)]))
	return strings.HasPrefix(strings.ToLower(h.ContentType), "text/html") || bytes.HasPrefix(start, []byte("<!doctype html")) || bytes.HasPrefix(start, []byte("<html"))
}

// errorDocuments asks by GET, as Delta Chat does, where POST gives settings.
func (c *comparison) errorDocuments() {
	for _, f := range c.files {
		if f.format != formatAutodiscover || len(f.offers) == 0 || scheme(f.url) != "https" {
			continue
		}
		answer := c.inquireOne(askGET(formatAutodiscover, f.url))
		if answer.root.child("Response").child("Error") != nil || answer.root.child("Error") != nil {
			code := answer.root.child("Response").child("Error").value("ErrorCode")
			c.find(KindErrorAnswered, fmt.Sprintf("GET %s answers %d with error %s", bare(f.url), answer.page.Status, shown(code)), "", c.askers(f.url)...)
		}
	}
}

// unservable is a domain that nobody serves (RFC 6761 section 6.4).
const unservable = "mailconfd-doctor.invalid"

// unknownDomain asks the domain's own server for a domain that cannot exist. A server
// that does not look at the address, and gives its one document, is not meant.
func (c *comparison) unknownDomain() {
	i := slices.IndexFunc(c.files, func(f file) bool {
		return f.format == formatAutoconfig && f.document() && scheme(f.url) == "https"
	})
	if i < 0 {
		return
	}
	u, err := url.Parse(c.files[i].url)
	if err != nil {
		return
	}
	u.RawQuery = "emailaddress=jane%40" + unservable
	other := c.inquireOne(askGET(formatAutoconfig, u.String()))
	switch id := other.root.child("emailProvider"); {
	case id != nil && id.attrs["id"] == unservable:
		c.find(KindUnknownAnswered, bare(u.String())+" gives settings for "+unservable, "")
	case other.page.Status/100 == 2 && !other.document():
		c.find(KindUnknownAnswered, fmt.Sprintf("%s answers %d for %s, and not with settings", bare(u.String()), other.page.Status, unservable), "", c.named("Delta Chat", "KMail")...)
	}
}

// named returns those of some clients that take part.
func (c *comparison) named(titles ...string) []string {
	return c.those(func(r ClientReport) bool { return slices.Contains(titles, r.Title) })
}

// inside notes that what was seen may not be what people outside see.
func (c *comparison) inside() {
	var where []string
	for _, f := range c.files {
		if host := urlHost(f.page.Request.URL); host != "" && f.page.Private && f.page.Status != 0 && !slices.Contains(where, host) {
			where = append(where, host)
		}
	}
	for _, o := range c.offers() {
		if s, ok := o.service(); ok && c.probe(s).Verdict().Local && !slices.Contains(where, s.String()) {
			where = append(where, s.String())
		}
	}
	if len(where) > 0 {
		c.find(KindPrivate, strings.Join(where, ", "), "")
	}
}

package doctor

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// overHTTP finds what can be changed on the way (A1.1 to A1.3).
func (c *court) overHTTP() {
	for _, f := range c.files {
		plain := strings.HasPrefix(f.url, "http://")
		switch {
		case plain && f.page.taken && f.root != nil && scheme(f.page.Request.URL) == "http":
			kind := KindHTTPAutoconfig
			if f.format == formatAutodiscover {
				kind = KindHTTPAutodiscover
			}
			c.find(kind, bare(f.url)+" serves the document", "")
		case !plain && f.page.plain:
			c.find(KindThroughHTTP, bare(f.url)+" leads through "+bare(f.page.Request.URL), "")
		}
	}
}

// bare is a URL without its query, which holds the address.
func bare(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return address
}

// slowest is how long most clients wait.
const slowest = 5 * time.Second

// answers finds answers that clients misunderstand, whatever is in them.
func (c *court) answers() {
	for _, f := range c.files {
		h := f.page.Hop
		if h.Certificate != nil && scheme(h.Request.URL) == "https" {
			c.find(KindWebCertificate, bare(h.Request.URL)+": "+h.Certificate.String(), "")
		}
		switch {
		case h.Status == 401:
			c.find(KindUnauthorized, bare(f.url)+" answers 401", "")
		case h.Status/100 == 2 && f.root == nil && isHTML(h):
			c.find(KindHTML, fmt.Sprintf("%s answers %d with a web page", bare(f.url), h.Status), "")
		}
		if h.Took > slowest {
			c.find(KindSlow, fmt.Sprintf("%s takes %s", bare(f.url), h.Took.Round(100*time.Millisecond)), "")
		}
		if f.format == formatAutodiscover && scheme(f.url) == "https" && h.Status != 0 && h.Certificate == nil && f.root == nil {
			c.find(KindPassword, bare(f.url)+" answers, and not with settings", "")
		}
	}
	c.unknownDomain()
}

func isHTML(h Hop) bool {
	start := bytes.ToLower(bytes.TrimSpace(h.Body[:min(len(h.Body), 512)]))
	return strings.HasPrefix(strings.ToLower(h.ContentType), "text/html") || bytes.HasPrefix(start, []byte("<!doctype html")) || bytes.HasPrefix(start, []byte("<html"))
}

// unservable is a domain that nobody serves (RFC 6761 section 6.4).
const unservable = "mailconfd-doctor.invalid"

// unknownDomain asks the domain's own server for a domain that cannot exist.
func (c *court) unknownDomain() {
	for _, f := range c.files {
		if f.format != formatAutoconfig || f.root == nil || scheme(f.url) != "https" {
			continue
		}
		u, err := url.Parse(f.url)
		if err != nil {
			return
		}
		u.RawQuery = "emailaddress=jane%40" + unservable
		v := &visit{examination: c.examination}
		other := readFile(f.format, u.String(), v.ask(Request{Method: "GET", URL: u.String()}, gatherRules))
		if len(other.offers) > 0 && other.root.child("emailProvider").attrs["id"] == unservable {
			c.find(KindUnknownAnswered, bare(f.url)+" gives settings for "+unservable, "")
		}
		return
	}
}

package probe

import (
	"cmp"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"mailconfd/settings"
)

const (
	// maxRedirects is how often a web server may send us on.
	maxRedirects = 5
	// maxPath is the longest path that a TXT record can say: "path=" and its octets are one
	// string (RFC 6763 section 6.1).
	maxPath = 255 - len("path=")
	// nobody is a well-known name that nothing has.
	nobody = "/.well-known/mailconfd-asks-for-a-name-that-nothing-has"
)

// propfind asks a CalDAV or CardDAV server what a client asks first (RFC 6764 section 6,
// RFC 5397).
const propfind = `<?xml version="1.0" encoding="utf-8"?>` + "\r\n" +
	`<propfind xmlns="DAV:"><prop><current-user-principal/></prop></propfind>` + "\r\n"

// browse asks a web server at the well-known path for the service, and lets itself be
// sent to where it is; each request has a connection of its own. The service is there
// when the server asks for a password (RFC 9110 section 11.6.1), but see control. Stalwart gives a JMAP session to everybody, which says where a password is
// asked for.
func (v *visit) browse(ctx context.Context, legacy bool) seen {
	begin := &url.URL{Scheme: "https", Host: authority(v.service), Path: v.service.Scheme.WellKnown()}
	at := begin
	var s seen
	for range maxRedirects + 1 {
		before := s.tls
		var answer page
		answer, s = v.fetch(ctx, legacy, v.request(at))
		s.tls = cmp.Or(s.tls, before) // the server has answered, whatever comes later
		if s.err != nil {
			return s
		}
		next, err := v.sentOn(at, answer)
		switch {
		case err != nil:
			s.err = err
			return s
		case next != nil:
			at = next
			continue
		}
		if answer.session != "" {
			s = v.session(ctx, legacy, at, answer, s)
		} else {
			s.auth, s.err = asksForPassword(answer)
		}
		if s.err == nil && at != begin {
			s.path = contextPath(at)
		}
		if s.err == nil && answer.session == "" {
			return v.control(ctx, legacy, s, at)
		}
		return s
	}
	s.err = fail(settings.FailureWellKnown, "sent on more than %d times, the last time to %s", maxRedirects, at)
	return s
}

// authority returns host and port as a URL and the Host field have them.
func authority(s settings.Service) string {
	if s.Port != 443 {
		return net.JoinHostPort(s.Host, strconv.Itoa(int(s.Port)))
	}
	if strings.Contains(s.Host, ":") {
		return "[" + s.Host + "]"
	}
	return s.Host
}

// page is what a web server answers, without its body.
type page struct {
	*http.Response
	session string // of a JMAP session: the address of its API
}

// fetch asks once.
func (v *visit) fetch(ctx context.Context, legacy bool, r *http.Request) (p page, s seen) {
	s = v.converse(ctx, legacy, func(c *conversation) (err error) {
		if err = c.upgrade(); err != nil {
			return err
		}
		p, err = c.request(r)
		return err
	})
	return p, s
}

// request makes the request that a client would begin with.
func (v *visit) request(at *url.URL) *http.Request {
	r := &http.Request{
		Method: http.MethodGet, URL: at, Host: at.Host, Close: true,
		Header: http.Header{"User-Agent": {"mailconfd"}, "Accept": {"application/json"}},
	}
	if v.service.Role() != settings.RoleJMAP {
		r.Method = "PROPFIND"
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(propfind)), int64(len(propfind))
		r.Header.Set("Accept", "application/xml, text/xml")
		r.Header.Set("Content-Type", "application/xml; charset=utf-8")
		r.Header.Set("Depth", "0")
	}
	return r
}

// doing says what is asked for.
func doing(r *http.Request) string { return r.Method + " " + r.URL.RequestURI() }

// sentOn returns where an answer sends us, or nil.
func (v *visit) sentOn(from *url.URL, p page) (*url.URL, error) {
	switch p.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return v.leads(from, p, p.Header.Get("Location"))
	}
	return nil, nil
}

// leads returns the address that an answer tells. Only the same host and port are
// followed: a client that is to go elsewhere with its password has to be told so by DNS.
func (v *visit) leads(from *url.URL, p page, address string) (*url.URL, error) {
	to, err := from.Parse(address)
	switch {
	case address == "" || err != nil:
		return nil, fail(settings.FailureWellKnown, "%s: %s, and leads to what is no address: %q", doing(p.Request), p.Status, address)
	case to.Scheme == "http":
		return nil, fail(settings.FailureInsecureRedirect, "%s: %s, and leads to %s", doing(p.Request), p.Status, address)
	}
	host, err := settings.ParseHost(to.Hostname())
	if err != nil || to.Scheme != "https" || host != v.service.Host || cmp.Or(to.Port(), "443") != strconv.Itoa(int(v.service.Port)) {
		return nil, fail(settings.FailureWellKnown, "%s: %s, and leads to another place, %s: name the host there instead", doing(p.Request), p.Status, address)
	}
	if to.Path == "" {
		to.Path = "/" // RFC 9110 section 4.2.3
	}
	return &url.URL{Scheme: "https", Host: from.Host, Path: to.Path, RawPath: to.RawPath, RawQuery: to.RawQuery}, nil
}

// asksForPassword returns the ways to log in that a server offers where it asks for a
// password.
func asksForPassword(p page) (settings.Mechanisms, error) {
	switch p.StatusCode {
	case http.StatusUnauthorized:
		auth := mechanismsOf(challenges(p.Header.Values("WWW-Authenticate")))
		if auth.Password() == settings.NoPassword {
			return auth, noPassword(auth)
		}
		return auth, nil
	case http.StatusMultiStatus:
		return nil, fail(settings.FailureNoAuth, "%s: %s: answered without asking for a password", doing(p.Request), p.Status)
	}
	return nil, fail(settings.FailureWellKnown, "%s: %s; 401 Unauthorized was expected", doing(p.Request), p.Status)
}

// session asks the API of a JMAP session that was given to us without a password: there
// one has to be asked for.
func (v *visit) session(ctx context.Context, legacy bool, at *url.URL, told page, s seen) seen {
	var api *url.URL
	if api, s.err = v.leads(at, told, told.session); s.err != nil {
		return s
	}
	const nothing = `{"using":["urn:ietf:params:jmap:core"],"methodCalls":[]}`
	r := v.request(api)
	r.Method, r.Body, r.ContentLength = http.MethodPost, io.NopCloser(strings.NewReader(nothing)), int64(len(nothing))
	r.Header.Set("Content-Type", "application/json")
	before := s.tls
	var answer page
	if answer, s = v.fetch(ctx, legacy, r); s.err == nil {
		s.auth, s.err = asksForPassword(answer)
	}
	s.tls = cmp.Or(s.tls, before)
	return s
}

// proof is where a service was found to be, apart from what the server does with every name.
type proof struct {
	service settings.Service
	address netip.AddrPort
	path    string
}

// control asks for a name that nothing has, once for each place at which a service is
// found: servers count such requests as an attack. A password there is no sign of the
// service where the well-known path itself asks for one, nor where any name leads to the
// same place.
func (v *visit) control(ctx context.Context, legacy bool, found seen, at *url.URL) seen {
	key := proof{v.service, v.address, at.Path}
	if _, known := v.prober.proofs.Load(key); known {
		return found
	}
	own := strings.TrimRight(at.Path, "/") == v.service.Scheme.WellKnown()
	from := &url.URL{Scheme: "https", Host: authority(v.service), Path: nobody}
	for range maxRedirects + 1 {
		answer, s := v.fetch(ctx, legacy, v.request(from))
		found.took = s.took
		switch {
		case answer.Response == nil, kindOf(s.err) == settings.FailureTemporary:
			found.err = s.err
			return found
		case answer.StatusCode == http.StatusUnauthorized && (own || from.Path == at.Path):
			found.err = fail(settings.FailureWellKnown, "%s: %s, as for %s: a password for everything is no sign of the service", doing(answer.Request), answer.Status, v.service.Scheme.WellKnown())
			return found
		}
		next, err := v.sentOn(from, answer)
		if next == nil || err != nil {
			break
		}
		from = next
	}
	v.prober.proofs.Store(key, true)
	return found
}

// contextPath returns the path at which the service is, as far as a TXT record can say it
// (RFC 6764 section 4): not with a query, not too long, nothing that leads to another host
// where it is taken for a reference (RFC 3986 section 4.2), and no "$", which a template
// would be filled in at.
func contextPath(at *url.URL) string {
	path := at.EscapedPath()
	if at.RawQuery != "" || len(path) > maxPath || strings.HasPrefix(path, "//") || strings.Contains(path, "$") {
		return ""
	}
	return path
}

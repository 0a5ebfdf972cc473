package server

import (
	"cmp"
	"net/http"
	"net/netip"
	"strings"
)

// toHTTPS decides whether a request has to be made again over https. Outlook asks
// Autodiscover over plain http only to be sent elsewhere, and warns of anything else;
// autoconfig is sent to https only where that is known to work, since Horde and old
// clients know nothing but http. The host of the redirect is our own: the canonical
// one, one that we hold a certificate for, or that of a domain served here.
func (s *Server) toHTTPS(r *http.Request, door Door, f Format) (res result, stop bool) {
	if door != Redirect && (door != Open || !s.forwardedHTTP(r)) {
		return result{}, false
	}
	host := hostName(r.Host)
	ours := s.options.Certificates.Holds(host)
	if f == Autoconfig {
		if door == Redirect && ours {
			return result{outcome: moved, detail: "https://" + host + r.URL.RequestURI()}, true
		}
		return result{}, false
	}
	canonical := s.options.CanonicalHost
	if ours && r.Method == http.MethodPost {
		// Not to a host of another domain: Thunderbird 153 would ask its user about that one,
		// even when autoconfig has answered.
		canonical = ""
	}
	domain := ""
	if !ours && (host == "" || host != s.options.CanonicalHost) {
		_, found, res := s.find(r.Context(), readings(host)...)
		if res.outcome != published {
			return res, true
		}
		domain, host = found, "autodiscover."+found
	}
	host = cmp.Or(canonical, host)
	return result{outcome: moved, domain: domain, detail: "https://" + host + autodiscoverPath}, true
}

// forwardedHTTP tells whether a proxy that is trusted says that its client came over
// plain http.
func (s *Server) forwardedHTTP(r *http.Request) bool {
	proto, _, _ := strings.Cut(r.Header.Get("X-Forwarded-Proto"), ",")
	if !strings.EqualFold(strings.TrimSpace(proto), "http") {
		return false
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	for _, p := range s.options.TrustedProxies {
		if p.Contains(peer.Addr().Unmap().WithZone("")) {
			return true
		}
	}
	return false
}

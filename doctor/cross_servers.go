package doctor

import (
	"fmt"
	"slices"
	"strings"

	"mailconfd/settings"
)

// servers finds what the mail servers themselves show: what is published and does not
// work, whoever it is published to; injection; and what they offer beyond it.
func (c *court) servers() {
	for _, o := range c.offers() {
		service, ok := o.service()
		if !ok {
			continue
		}
		if v := c.probe(service).Verdict(); !v.Verified {
			c.add(c.broken(service, v, o.source), c.readers(o.source)...)
		}
	}
	var more []string
	for _, s := range c.candidates() {
		if c.works(s) && !c.lacksRecord(s) {
			more = append(more, s.String())
		}
	}
	if len(more) > 0 {
		c.find(KindBetterOffered, strings.Join(more, ", "), "")
	}
}

// lacksRecord tells a service whose only lack is an SRV record, which is a finding of
// its own.
func (c *court) lacksRecord(s settings.Service) bool {
	return s.Security() == settings.ImplicitTLS && slices.ContainsFunc(c.srv, func(o offer) bool { return o.role == s.Role() && o.host == s.Host && o.security == SecuritySTARTTLS }) &&
		!slices.ContainsFunc(c.srv, func(o offer) bool { return o.role == s.Role() && o.security == SecurityTLS && o.host != "" })
}

// candidates are what a host of the published services could offer besides: implicit
// TLS, and STARTTLS for submission, which many networks let through sooner
// (RFC 8314 section 3.3).
func (c *court) candidates() []settings.Service {
	var all []settings.Service
	var published []string
	roles := map[string][]settings.Role{}
	var hosts []string
	for _, o := range c.offers() {
		service, ok := o.service()
		if !ok {
			continue
		}
		published = append(published, o.place())
		if !slices.Contains(hosts, service.Host) {
			hosts = append(hosts, service.Host)
		}
		roles[service.Host] = append(roles[service.Host], o.role)
	}
	for _, host := range limit(hosts, maxOffers) {
		for _, s := range settings.Candidates(host) {
			worth := s.Security() == settings.ImplicitTLS || s.Scheme == settings.SchemeSubmission && s.OnDefaultPort()
			if worth && slices.Contains(roles[host], s.Role()) && !slices.Contains(published, offer{role: s.Role(), host: s.Host, port: s.Port}.place()) {
				all = append(all, s)
			}
		}
	}
	return all
}

// broken makes a finding of a service that does not work. It is about the service: that
// several clients are sent there does not make it several.
func (e *examination) broken(s settings.Service, v settings.Verdict, source string) Finding {
	k := v.Failure.Kind
	remedy := k.Text().Remedy
	switch {
	case kindOf(k) == KindOtherTLS || k == settings.FailureTLS:
		if security := e.truth(s.Role(), s.Host, s.Port); security != "" {
			remedy = fmt.Sprintf("in %s, write %s for %s port %d", bare(source), e.says(source, s, security), s.Host, s.Port)
		}
	case k == settings.FailureCertificateName && v.TLS != nil && len(v.TLS.SubjectNames) > 0:
		remedy = fmt.Sprintf("publish a name that is in the certificate (%s), or add %s to it", shown(strings.Join(v.TLS.SubjectNames, ", ")), s.Host)
	}
	return finding(kindOf(k), s.String()+": "+v.Failure.Detail, remedy).of(s.String())
}

// says is how a source would say how a service is encrypted.
func (e *examination) says(source string, s settings.Service, security Security) string {
	switch {
	case strings.HasPrefix(source, "_"):
		other := offer{role: s.Role(), host: s.Host, port: s.Port, security: security}
		service, _ := other.service()
		return fmt.Sprintf("_%s._tcp.%s. SRV 0 1 %d %s.", service.Scheme, e.address.Domain, s.Port, s.Host)
	case strings.Contains(strings.ToLower(source), autodiscoverPath):
		return line(formatAutodiscover, security)
	default:
		return line(formatAutoconfig, security)
	}
}

package doctor

import (
	"fmt"
	"slices"
	"strings"

	"mailconfd/settings"
)

// servers finds what the mail servers themselves show: what is published and does not
// work, whoever it is published to; injection; and what they offer beyond it.
func (c *comparison) servers() {
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
func (c *comparison) lacksRecord(s settings.Service) bool {
	return s.Security() == settings.ImplicitTLS && slices.ContainsFunc(c.srv, func(o offer) bool { return o.role == s.Role() && o.host == s.Host && o.security == SecuritySTARTTLS }) &&
		!slices.ContainsFunc(c.srv, func(o offer) bool { return o.role == s.Role() && o.security == SecurityTLS && o.host != "" })
}

// candidates are what a host of the published services could offer besides: implicit
// TLS, and STARTTLS for submission, which many networks let through sooner
// (RFC 8314 section 3.3).
func (e *examination) candidates() []settings.Service {
	var all []settings.Service
	var published []string
	roles := map[string][]settings.Role{}
	var hosts []string
	for _, o := range e.offers() {
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
	case k == settings.FailureTemporary:
		remedy = ""
	case (kindOf(k) == KindOtherTLS || k == settings.FailureTLS) && !s.OnDefaultPort():
		// On the scheme's own port the server is wrong; elsewhere what was said of it is.
		if security := e.truth(s.Role(), s.Host, s.Port); security != "" {
			remedy = e.sayInstead(s, security, source)
		}
	case k == settings.FailureCertificateName && v.TLS != nil && len(v.TLS.SubjectNames) > 0:
		remedy = fmt.Sprintf("publish a name that is in the certificate (%s), or add %s to it", shown(strings.Join(v.TLS.SubjectNames, ", ")), s.Host)
	}
	f := finding(kindOf(k), s.String()+": "+v.Failure.Detail, remedy).of(s.String())
	if k == settings.FailureTemporary && has(e.working(), s.Role()) {
		f.Weight = Note
	}
	return f
}

// sayInstead says what to change in each source that says a service wrongly. A source
// that is not among the domain's own stands for itself.
func (e *examination) sayInstead(s settings.Service, security Security, source string) string {
	lines := map[string][]string{} // what to write, and where
	var order []string
	add := func(line, where string) {
		if lines[line] == nil {
			order = append(order, line)
		}
		if !slices.Contains(lines[line], where) {
			lines[line] = append(lines[line], where)
		}
	}
	wrong := e.saying(s)
	if len(wrong) == 0 {
		wrong = []offer{{format: formatOf(source), source: source, role: s.Role(), host: s.Host, port: s.Port}}
	}
	for _, o := range wrong {
		add(e.instead(o, security), bare(o.source))
	}
	var words []string
	for _, line := range order {
		words = append(words, fmt.Sprintf("in %s, %s", strings.Join(lines[line], " and "), line))
	}
	return strings.Join(words, "; ")
}

// saying returns the offers of a service, of each address of a document one.
func (e *examination) saying(s settings.Service) []offer {
	var all []offer
	for _, o := range e.offers() {
		if said, ok := o.service(); !ok || said != s {
			continue
		}
		sources := []string{o.source}
		for _, f := range e.docs {
			if f.url == o.source {
				sources = f.urls
			}
		}
		for _, source := range sources {
			o.source = source
			all = append(all, o)
		}
	}
	return all
}

// instead is what to write in place of an offer, now that it is known how its port
// encrypts.
func (e *examination) instead(o offer, truth Security) string {
	right := o
	right.security = truth
	if !o.format.says(&right) {
		return fmt.Sprintf("publish another service than %s port %d: %s cannot say how it encrypts", o.host, o.port, o.format)
	}
	return fmt.Sprintf("write %s for %s port %d", e.statement(o, truth), o.host, o.port)
}

// formatOf tells by its name what a source is.
func formatOf(source string) format {
	switch {
	case strings.HasPrefix(source, "_"):
		return formatSRV
	case strings.Contains(strings.ToLower(source), autodiscoverPath):
		return formatAutodiscover
	default:
		return formatAutoconfig
	}
}

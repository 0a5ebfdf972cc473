package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"mailconfd/settings"
)

// horde is Horde's library Mail_Autoconfig, behind IMP and others: 2.0.0 read. (Until
// 2022 its ISPDB was a host that is gone.)
//
// It finds the two directions apart: SRV, then http only and the ISPDB, then guesses,
// and takes the first server that it can connect to. Without implicit TLS it insists on
// STARTTLS; it does not check certificates. Any status but 404 is read.
var horde = client{
	name: "horde", title: "Horde", read: "Horde Mail_Autoconfig 2.0.0", people: "few",
	http: httpRules{
		timeout: 30 * time.Second, redirects: 5, crosses: true, downgrade: true,
		takes: func(status int) bool { return status != 404 },
	},
	discover: discoverHorde,
}

func discoverHorde(v *visit) []Setting {
	domains := v.hordeDomains()
	var found []Setting
	for _, direction := range []hordeDirection{
		{element: "incomingServer", kinds: map[string]settings.Role{"imap": settings.RoleIMAP, "pop3": settings.RolePOP3}, labels: []string{"imap", "imaps", "pop3", "pop3s"}},
		{element: "outgoingServer", kinds: map[string]settings.Role{"smtp": settings.RoleSubmission}, labels: []string{"submission"}},
	} {
		if s, ok := v.hordeFind(domains, direction); ok {
			found = append(found, s)
		}
	}
	if slices.ContainsFunc(found, func(s Setting) bool { return s.Source == guess }) {
		return v.guessed(found)
	}
	return found
}

// hordeDirection is reading or sending.
type hordeDirection struct {
	element string
	kinds   map[string]settings.Role
	labels  []string
}

// hordeDomains are the domain and all above it. It goes up to the public suffix and asks
// there too; this stops before.
func (v *visit) hordeDomains() []string {
	var domains []string
	for d := v.address.Domain; strings.Contains(d, ".") && registrable(d) != ""; d = parent(d) {
		domains = append(domains, d)
	}
	return domains
}

// hordeFind asks one source after the other until a server can be connected to.
func (v *visit) hordeFind(domains []string, d hordeDirection) (Setting, bool) {
	if s, ok := v.hordeFirst(v.hordeSRV(domains, d)); ok {
		return s, true
	}
	for _, domain := range domains {
		if candidates := v.hordeDocument(domain, d); len(candidates) > 0 {
			if s, ok := v.hordeFirst(candidates); ok {
				return s, true
			}
			break
		}
	}
	return v.hordeFirst(v.hordeGuesses(domains, d))
}

// hordeFirst returns the first server that it can connect to, with any certificate.
func (v *visit) hordeFirst(candidates []Setting) (Setting, bool) {
	for _, s := range candidates[:min(maxTries, len(candidates))] {
		service, _ := s.Service()
		verdict := v.probe(service).Verdict()
		if verdict.Verified || kindOf(verdict.Failure.Kind) == KindCertificate || kindOf(verdict.Failure.Kind) == KindCertificateName {
			v.note("try "+service.String(), "it can be connected to", 0)
			return s, true
		}
		v.note("try "+service.String(), v.failed(s, service, verdict.Failure), 0)
	}
	return Setting{}, false
}

// hordeSRV sorts by priority over all labels; among equals it throws dice, for which the
// heaviest stands here.
func (v *visit) hordeSRV(domains []string, d hordeDirection) []Setting {
	type offer struct {
		Setting
		Record
	}
	var offers []offer
	for _, domain := range domains {
		for _, label := range d.labels {
			owner := "_" + label + "._tcp." + domain
			for _, r := range v.dns(owner, TypeSRV).Records {
				kind, security := strings.CutSuffix(label, "s")
				role := map[string]settings.Role{"imap": settings.RoleIMAP, "pop3": settings.RolePOP3, "submission": settings.RoleSubmission}[kind]
				s, ok := newSetting(role, r.Host, int(r.Port), hordeSecurity(security), v.address.String())
				if s.Source = owner; ok {
					offers = append(offers, offer{s, r})
				}
			}
		}
	}
	slices.SortStableFunc(offers, func(a, b offer) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(b.Weight, a.Weight))
	})
	var found []Setting
	for _, o := range offers {
		found = append(found, o.Setting)
	}
	return found
}

func hordeSecurity(implicit bool) Security {
	if implicit {
		return SecurityTLS
	}
	return SecuritySTARTTLS
}

// hordeDocument asks the URLs of one domain for the servers of one direction.
func (v *visit) hordeDocument(domain string, d hordeDirection) []Setting {
	for _, u := range []string{
		"http://autoconfig." + domain + "/mail/config-v1.1.xml?emailaddress=" + escapeAddress(v.address.String()),
		"http://" + domain + "/.well-known/autoconfig/mail/config-v1.1.xml",
		v.ispdb(thunderbirdNetISPDB) + domain,
	} {
		p := v.get(u)
		if !p.taken {
			continue
		}
		root, err := parseXML(p.Body)
		if err != nil {
			v.passOver(p, "not well-formed: "+err.Error())
			continue
		}
		if found := v.hordeRead(root, d); len(found) > 0 {
			return fromSource(found, p.from)
		}
	}
	return nil
}

func (v *visit) hordeRead(root *node, d hordeDirection) []Setting {
	var found []Setting
	for _, n := range root.child("emailProvider").all(d.element) {
		role := d.kinds[n.attrs["type"]]
		if role == "" {
			continue
		}
		published := n.value("username")
		user := v.address.String()
		if published != "" {
			user = strings.NewReplacer("%EMAILADDRESS%", v.address.String(), "%EMAILLOCALPART%", v.address.Local).Replace(published)
		}
		s, ok := newSetting(role, n.value("hostname"), leadingInt(n.value("port")), hordeSecurity(strings.EqualFold(n.value("socketType"), "SSL")), user)
		if !ok {
			v.note("read the document", fmt.Sprintf("%s %q port %q is no address", n.name, n.value("hostname"), n.value("port")), 0)
			continue
		}
		if strings.Contains(user, "%EMAILDOMAIN%") {
			v.find(finding(KindUsername, fmt.Sprintf("Horde does not know %%EMAILDOMAIN%% and logs in as %s", user), ""))
		}
		found = append(found, s)
	}
	return found
}

// hordeGuesses are hosts that have an address, at the ports for STARTTLS.
func (v *visit) hordeGuesses(domains []string, d hordeDirection) []Setting {
	names := map[settings.Scheme][]string{
		settings.SchemeIMAP: {"", "imap.", "mail."}, settings.SchemePOP3: {"", "pop.", "pop3.", "mail."}, settings.SchemeSubmission: {"", "smtp.", "mail."},
	}
	schemes := []settings.Scheme{settings.SchemeIMAP, settings.SchemePOP3}
	if d.element == "outgoingServer" {
		schemes = []settings.Scheme{settings.SchemeSubmission}
	}
	var found []Setting
	for _, domain := range domains {
		for _, scheme := range schemes {
			for _, prefix := range names[scheme] {
				if len(v.lookUp(prefix+domain, TypeA).Records) > 0 {
					found = append(found, settingOf(settings.Service{Scheme: scheme, Host: prefix + domain, Port: scheme.DefaultPort()}, v.address.String(), guess))
				}
			}
		}
	}
	return found
}

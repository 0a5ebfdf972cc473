package doctor

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"mailconfd/settings"
)

// thunderbird is Thunderbird for the desktop: releases-comm-central cf9726f563 read,
// 153.7 ESR run; where the two differ, what ran is right.
//
// It asks everything at once and takes the best source that answers: the domain's own
// four URLs, then the ISPDB, then the MX's domain; Autodiscover only if all of those
// fail, but it always waits for it. Of the four URLs the first that answers at all
// decides: a page of HTML with status 200 hides a good document behind the next URL.
var thunderbird = client{
	name: "thunderbird", title: "Thunderbird", read: "Thunderbird 153", people: "many",
	http: httpRules{
		timeout: 5 * time.Second, redirects: 20, crosses: true, downgrade: true,
		parses: xmlTypes("text/xml", "application/xml", "text/rdf"),
	},
	discover: discoverThunderbird,
}

const thunderbirdISPDB = "https://live.thunderbird.net/autoconfig/v1.1/"

func discoverThunderbird(v *visit) []Setting {
	domain, address := v.address.Domain, v.address.String()
	if strings.Contains("."+domain, ".xn--") {
		kind, typed := KindAsksUser, ownLetters(v.options.Typed)
		if typed {
			kind = KindNothingFound
		}
		f := finding(kind, "Thunderbird asks nothing at all when the domain is typed with its own letters; "+domain+" is asked", "tell users to type the address as "+address)
		f.Weight = Note // its own inability
		v.find(f)
		if typed {
			v.note("look for "+v.options.Typed, "nothing is asked: the domain is not in A-labels", 0)
			return nil
		}
	}
	query := "?emailaddress=" + escapeComponent(address)
	host, wellKnown := "://autoconfig."+domain+"/mail/config-v1.1.xml"+query, "://"+domain+"/.well-known/autoconfig/mail/config-v1.1.xml"+query
	exchange := thunderbirdExchange{visit: v, login: address}
	exchange.look(v.address)
	if found := v.thunderbirdAutoconfig("https"+host, "https"+wellKnown, "http"+host, "http"+wellKnown); found != nil {
		return found
	}
	if found := v.thunderbirdDatabase(domain); found != nil {
		return found
	}
	if found := v.thunderbirdMX(domain, query); found != nil {
		return found
	}
	switch {
	case exchange.found != nil:
		return exchange.found
	case exchange.unauthorized != "":
		v.find(finding(KindAsksUser, exchange.unauthorized+" answers 401: Thunderbird asks for another password and looks no further", "answer 404 for what is not served; never 401").of(about401(exchange.unauthorized)))
		return nil
	}
	return v.thunderbirdGuess()
}

// thunderbirdAutoconfig takes the first URL that answers, for better or worse.
func (v *visit) thunderbirdAutoconfig(urls ...string) []Setting {
	for _, u := range urls {
		p := v.get(u)
		if p.took > v.client.http.timeout {
			v.find(finding(KindSlow, fmt.Sprintf("%s does not answer: everyone who sets up Thunderbird waits %s for it", u, v.client.http.timeout), "").of(bare(u)))
		}
		if found, decided := v.thunderbirdTake(p); decided {
			return found
		}
	}
	return nil
}

// thunderbirdDatabase asks the ISPDB, without the address.
func (v *visit) thunderbirdDatabase(domain string) []Setting {
	rules := v.client.http
	rules.timeout = 10 * time.Second
	found, _ := v.thunderbirdTake(v.ask(Request{Method: "GET", URL: v.ispdb(thunderbirdISPDB) + domain}, rules))
	return found
}

// thunderbirdTake reads an answer; decided tells whether there was one. XML without a
// body counts as none.
func (v *visit) thunderbirdTake(p page) (found []Setting, decided bool) {
	switch {
	case !p.taken || p.parsed && len(p.Body) == 0:
		return nil, false
	case !p.parsed:
		v.reject(p, fmt.Sprintf("Content-Type %q is none that it parses; it looks at no other URL of the domain", p.ContentType))
		return nil, true
	}
	found, err := thunderbirdRead(p.Body, v.address)
	if err != nil {
		v.reject(p, err.Error()+"; it looks at no other URL of the domain")
		return nil, true
	}
	v.oddLogins(found)
	return fromSource(found, p.from), true
}

// oddLogins finds user names that nobody can have meant.
func (v *visit) oddLogins(found []Setting) {
	for _, s := range found {
		if s.meant != "" {
			v.find(finding(KindUsername, fmt.Sprintf("Thunderbird would log in to %s %d as %q: %s is published", s.Host, s.Port, s.Username, s.meant), ""))
		}
	}
}

// thunderbirdMX asks the domains of the best MX: its host without the first label, and
// its registrable domain. It does not if the latter is the domain itself.
func (v *visit) thunderbirdMX(domain, query string) []Setting {
	hosts := v.mx(domain)
	if len(hosts) == 0 {
		return nil
	}
	base := registrable(hosts[0])
	if base == "" || base == domain {
		return nil
	}
	domains := []string{base}
	if full := parent(hosts[0]); strings.HasSuffix(full, "."+base) {
		domains = []string{full, base}
	}
	for _, d := range domains {
		if found := v.thunderbirdAutoconfig("https://autoconfig." + d + "/mail/config-v1.1.xml" + query); found != nil {
			return found
		}
		if found := v.thunderbirdDatabase(d); found != nil {
			return found
		}
	}
	return nil
}

// thunderbirdGuess tries the usual names: encrypted before not, IMAP before POP3,
// implicit TLS before STARTTLS (GuessConfig). The certificate has to be good. It would
// also try port 25, and services without encryption; here they are left alone. Its
// user name is the local part.
func (v *visit) thunderbirdGuess() []Setting {
	domain := v.address.Domain
	names := map[settings.Role][]string{
		settings.RoleIMAP:       {"imap." + domain, "mail." + domain, domain},
		settings.RolePOP3:       {"pop3." + domain, "pop." + domain, "mail." + domain, domain},
		settings.RoleSubmission: {"smtp." + domain, "mail." + domain, domain},
	}
	var found []Setting
	for _, schemes := range [][]settings.Scheme{
		{settings.SchemeIMAPS, settings.SchemeIMAP, settings.SchemePOP3S, settings.SchemePOP3},
		{settings.SchemeSubmissions, settings.SchemeSubmission},
	} {
		var tries []Setting
		for _, scheme := range schemes {
			for _, host := range names[scheme.Role()] {
				tries = append(tries, settingOf(settings.Service{Scheme: scheme, Host: host, Port: scheme.DefaultPort()}, v.address.Local, guess))
			}
		}
		if s, ok := v.firstGuess(tries); ok {
			found = append(found, s)
		}
	}
	return v.guessed(found)
}

// ownLetters tells an address whose domain is written in letters beyond ASCII.
func ownLetters(typed string) bool {
	domain := typed[strings.LastIndexByte(typed, '@')+1:]
	return strings.ContainsFunc(domain, func(r rune) bool { return r > unicode.MaxASCII })
}

package doctor

import (
	"fmt"
	"mime"
	"net/url"
	"strings"
	"time"

	"mailconfd/settings"
)

// client is a mail program that can be simulated.
type client struct {
	name  string // for --client: lower case, with hyphens
	title string // for people
	read  string // the version that was read or run
	// people is how many are likely to use it: "many", "some", "few".
	people   string
	http     httpRules
	discover func(*visit) []Setting // nil: it looks where nobody else can see
	unknown  Finding                // what is known of such a client
	// login tells whether the client can log in with what a server offers; nil: it knows
	// PLAIN, LOGIN and the protocols' own commands.
	login func(settings.Role, settings.Mechanisms) bool
}

// httpRules say which answers a client takes.
type httpRules struct {
	timeout   time.Duration          // for one URL with all its redirects; 0: it waits for ever
	redirects int                    // how many it follows
	crosses   bool                   // it follows from http to https, and back
	downgrade bool                   // it follows from https to http
	anyName   bool                   // it does not check for whom a certificate is
	takes     func(status int) bool  // nil: any 2xx
	parses    func(mime string) bool // whether it parses an answer of this Content-Type; nil: any
}

// visit is one client on its way to its settings: it does what the client does and
// notes what it saw.
type visit struct {
	*examination
	client   client
	steps    []Step
	findings []Finding
	unknown  bool      // it ends where this doctor does not follow
	broken   []attempt // what is published and did not work when the client tried it
}

// page is the end of a chain of redirects.
type page struct {
	Hop
	taken  bool // the client takes the answer: in time, trusted, with a status that it likes
	parsed bool // taken, and of a type that it parses
	plain  bool // some hop was plain http
	from   string
	took   time.Duration // with all redirects
}

func (v *visit) note(did, saw string, took time.Duration) {
	v.steps = append(v.steps, Step{Did: did, Saw: saw, MS: took.Milliseconds()})
}

// noteRequest notes a request.
func (v *visit) noteRequest(method, url, saw string, took time.Duration) {
	v.note(method+" "+url, saw, took)
	v.steps[len(v.steps)-1].asked = url
}

func (v *visit) find(f Finding) { v.findings = append(v.findings, f) }

// get asks a URL as the client does, and follows redirects as far as it does.
func (v *visit) get(address string) page {
	return v.ask(Request{Method: "GET", URL: address}, v.client.http)
}

// post sends a body.
func (v *visit) post(address, contentType, body string) page {
	return v.ask(Request{Method: "POST", URL: address, ContentType: contentType, Body: body}, v.client.http)
}

// ask makes a request by rules, which are the client's own but for special cases.
func (v *visit) ask(r Request, rules httpRules) page {
	p := page{from: r.URL}
	for hops := 0; ; hops++ {
		p.Hop = v.fetch(r)
		p.took += p.Took
		p.plain = p.plain || strings.HasPrefix(r.URL, "http://")
		refused := rules.refuses(p.Hop, p.took)
		v.noteRequest(r.Method, r.URL, describe(p.Hop, refused), p.Took)
		if refused != "" {
			return p
		}
		next, ok := v.redirected(p.Hop, rules, hops)
		if !ok {
			break
		}
		next.Public = r.Public || !p.Private
		r = next
	}
	p.taken = p.Status/100 == 2
	if rules.takes != nil {
		p.taken = rules.takes(p.Status)
	}
	p.parsed = p.taken && (rules.parses == nil || rules.parses(p.ContentType))
	return p
}

// refuses returns why the client does not even look at an answer.
func (rules httpRules) refuses(h Hop, took time.Duration) string {
	switch {
	case rules.timeout > 0 && took > rules.timeout:
		return fmt.Sprintf("it waits for %s only", rules.timeout)
	case h.Status == 0:
		return "no answer"
	case h.Certificate != nil && !(rules.anyName && h.Certificate.Kind == settings.FailureCertificateName):
		return "it does not trust the certificate"
	}
	return ""
}

// redirected returns the request that a redirect leads to, if the client goes there.
func (v *visit) redirected(h Hop, rules httpRules, hops int) (Request, bool) {
	r := h.Request
	switch h.Status {
	case 301, 302, 303:
		if r.Method == "POST" { // as browsers do, and most libraries (RFC 9110 section 15.4)
			r.Method, r.Body, r.ContentType = "GET", "", ""
		}
	case 307, 308:
	default:
		return r, false
	}
	from, to := scheme(r.URL), scheme(h.Location)
	switch {
	case rules.redirects == 0: // the simulator looks at it by itself, or nobody does
		return r, false
	case h.Location == "" || to != "http" && to != "https":
		v.note("follow the redirect", "it leads nowhere", 0)
		return r, false
	case hops >= rules.redirects:
		v.note("follow the redirect", fmt.Sprintf("no: this client follows %d", rules.redirects), 0)
		return r, false
	case from == "https" && to == "http" && !rules.downgrade:
		v.note("follow the redirect", "no: it leads from https to http", 0)
		return r, false
	case from != to && !rules.crosses:
		v.note("follow the redirect", "no: this client does not change between http and https", 0)
		return r, false
	}
	r.URL = h.Location
	return r, true
}

func scheme(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Scheme)
}

// describe says what was seen of a hop.
func describe(h Hop, refused string) string {
	var words []string
	switch {
	case h.Status == 0 && h.Failure != nil:
		words = append(words, h.Failure.String())
	case h.Status == 0:
		words = append(words, "no answer")
	default:
		kind, _, _ := mime.ParseMediaType(h.ContentType)
		words = append(words, strings.TrimSpace(fmt.Sprintf("%d %s", h.Status, kind)))
		if h.Location != "" {
			words = append(words, "to "+h.Location)
		} else {
			words = append(words, fmt.Sprintf("%d bytes", len(h.Body)))
		}
	}
	if h.Certificate != nil {
		words = append(words, h.Certificate.String())
	}
	if refused != "" && h.Status != 0 {
		words = append(words, refused)
	}
	return strings.Join(words, ", ")
}

// mx returns the mail exchangers of a domain, best first.
func (v *visit) mx(domain string) []string {
	answer := v.dns(domain, TypeMX)
	var hosts []string
	for _, r := range sortedByPriority(answer.Records) {
		if r.Host != "" {
			hosts = append(hosts, r.Host)
		}
	}
	return hosts
}

// dns asks DNS and notes it.
func (v *visit) dns(name string, kind RecordType) Answer {
	answer := v.lookUp(name, kind)
	saw := "no record"
	switch {
	case answer.Failure != nil:
		saw = answer.Failure.String()
	case len(answer.Records) > 0:
		var words []string
		for _, r := range answer.Records {
			words = append(words, r.words(kind))
		}
		saw = strings.Join(words, "; ")
	}
	v.note(string(kind)+" "+name, saw, answer.Took)
	step := &v.steps[len(v.steps)-1]
	step.dns, step.name = kind, name
	return answer
}

func (r Record) words(kind RecordType) string {
	host := r.Host
	if host == "" {
		host = "."
	}
	switch kind {
	case TypeMX:
		return fmt.Sprintf("%d %s", r.Priority, host)
	case TypeSRV:
		return fmt.Sprintf("%d %d %d %s", r.Priority, r.Weight, r.Port, host)
	case TypeTXT:
		return r.Text
	default:
		return host
	}
}

// ispdb returns the base URL of the central database: the client's, or the one of the
// options.
func (v *visit) ispdb(own string) string {
	if v.options.ISPDB != "" {
		return v.options.ISPDB
	}
	return own
}

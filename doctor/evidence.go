package doctor

import (
	"fmt"
	"slices"
	"sync"

	"mailconfd/settings"
)

// evidence is what a domain publishes, read plainly: not as some client would read it,
// but so that what was said can be held against what is true.
type evidence struct {
	files []file  // every address at which clients ask
	docs  []*file // those with a document; of several with the same bytes the first
	srv   []offer
	mx    []string // best first
}

// format is a kind of document.
type format string

const (
	formatAutoconfig   format = "autoconfig"
	formatAutodiscover format = "Autodiscover"
	formatPACC         format = "PACC"
	formatSRV          format = "SRV"
)

// file is one URL and what it answers.
type file struct {
	format format
	url    string
	page   page
	root   *node // nil: no well-formed XML of the format
	offers []offer
	urls   []string // all that answer with the same bytes
	asked  inquiry  // what was asked for it
}

// document tells whether the answer is of the format.
func (f *file) document() bool { return f.root != nil || len(f.offers) > 0 }

// offer is one service as a document or an SRV record offers it.
type offer struct {
	format   format
	source   string // the URL, or the owner name of the record
	role     settings.Role
	host     string // "": none, which in SRV says that the service is not offered
	port     uint16
	security Security // "": the words mean nothing to clients
	said     string   // the words themselves
	priority uint16   // SRV
}

// service returns the offer as the rest of mailconfd names it, if it is one that can be
// tried: an encrypted service at a host and port that exist.
func (o offer) service() (settings.Service, bool) {
	host, err := settings.ParseHost(o.host)
	if err != nil || o.port == 0 {
		return settings.Service{}, false
	}
	return Setting{Role: o.role, Host: host, Port: o.port, Security: o.security}.Service()
}

// place is where an offer leads, however it is encrypted.
func (o offer) place() string { return Setting{Role: o.role, Host: o.host, Port: o.port}.place() }

func (o offer) String() string {
	return fmt.Sprintf("%s %s port %d (%s)", o.role, shown(o.host), o.port, o.said)
}

// Limits of what is looked at: a hostile document could name thousands of servers.
const (
	maxOffers  = maxTries // of one document
	maxAll     = 40       // of everything
	maxRecords = 8        // of one owner name
)

// gatherRules follow every redirect and take every certificate: the evidence says which
// there were.
var gatherRules = httpRules{redirects: 10, crosses: true, downgrade: true, anyName: true}

// inquiry is one URL to ask for evidence.
type inquiry struct {
	format format
	Request
}

func askGET(f format, u string) inquiry { return inquiry{f, Request{Method: "GET", URL: u}} }

func (e *examination) askPOST(u string) inquiry {
	return inquiry{formatAutodiscover, Request{Method: "POST", URL: u, ContentType: "text/xml; charset=utf-8", Body: poxRequest(e.address.String())}}
}

// inquiries are where documents are. The first of each format is what most clients ask.
func (e *examination) inquiries() []inquiry {
	domain := e.address.Domain
	query := "?emailaddress=" + escapeAddress(e.address.String())
	host, wellKnown := "://autoconfig."+domain+"/mail/config-v1.1.xml"+query, "://"+domain+"/.well-known/autoconfig/mail/config-v1.1.xml"+query
	all := []inquiry{
		askGET(formatAutoconfig, "https"+host),
		askGET(formatAutoconfig, "https"+wellKnown),
		askGET(formatAutoconfig, "https://autoconfig."+domain+"/.well-known/mail-v1.xml?emailaddress="+rawAddress(e.address.String())),
		askGET(formatAutoconfig, "http"+host),
		askGET(formatAutoconfig, "http"+wellKnown),
		e.askPOST("https://autodiscover." + domain + autodiscoverPath),
		e.askPOST("https://" + domain + autodiscoverPath),
		e.askPOST("http://autodiscover." + domain + autodiscoverPath),
		askGET(formatPACC, "https://ua-auto-config."+domain+"/.well-known/user-agent-configuration.json"),
	}
	for _, r := range limit(sortedByPriority(e.lookUp("_autodiscover._tcp."+domain, TypeSRV).Records), maxRecords) {
		u := "https://" + r.Host + autodiscoverPath
		if r.Host != "" && !slices.ContainsFunc(all, func(i inquiry) bool { return i.URL == u }) {
			all = append(all, e.askPOST(u))
		}
	}
	return all
}

// gather asks for everything that the domain publishes. Nearly all of it has been asked
// for by some client already.
func (e *examination) gather() *evidence {
	ev := &evidence{}
	for _, r := range sortedByPriority(e.lookUp(e.address.Domain, TypeMX).Records) {
		if r.Host != "" {
			ev.mx = append(ev.mx, r.Host)
		}
	}
	ev.files = e.inquire(e.inquiries())
	if !slices.ContainsFunc(ev.files, func(f file) bool { return f.format == formatAutoconfig && f.document() }) {
		ev.files = append(ev.files, e.inquire(e.mxInquiries(ev.mx))...)
	}
	for _, scheme := range settings.Schemes() {
		if scheme == settings.SchemeSieve || scheme.WellKnown() != "" {
			continue // no account is set up by these
		}
		owner := "_" + string(scheme) + "._tcp." + e.address.Domain
		for _, r := range limit(e.lookUp(owner, TypeSRV).Records, maxRecords) {
			ev.srv = append(ev.srv, srvOffer(scheme, owner, r))
		}
	}
	ev.group()
	for _, f := range []format{formatAutoconfig, formatAutodiscover} {
		if ev.inconsistent(f) {
			e.askAgain(ev, f)
		}
	}
	return ev
}

// inconsistent tells whether the addresses of a format lead to different servers.
func (ev *evidence) inconsistent(f format) bool {
	first := ev.first(f)
	return first != nil && slices.ContainsFunc(ev.docs, func(d *file) bool {
		return d.format == f && len(d.offers) > 0 && difference(first.offers, d.offers) != ""
	})
}

// askAgain asks the addresses of a format once more, past what is remembered: whoever
// publishes may have changed over while the first answers came.
func (e *examination) askAgain(ev *evidence, f format) {
	afresh := newExamination(e.ctx, e.options, e.address)
	var of []int
	var all []inquiry
	for i := range ev.files {
		if ev.files[i].format == f && ev.files[i].document() {
			of, all = append(of, i), append(all, ev.files[i].asked)
		}
	}
	for i, again := range afresh.inquire(all) {
		if again.document() {
			ev.files[of[i]] = again
		}
	}
	ev.group()
}

// mxInquiries are for a domain that leaves it to its mail provider
// (draft-ietf-mailmaint-autoconfig-06 section 4).
func (e *examination) mxInquiries(mx []string) []inquiry {
	if len(mx) == 0 {
		return nil
	}
	var all []inquiry
	base := registrable(mx[0])
	for _, d := range slices.Compact([]string{parent(mx[0]), base}) {
		if d != e.address.Domain && base != "" && len(d) >= len(base) {
			all = append(all, askGET(formatAutoconfig, "https://autoconfig."+d+"/mail/config-v1.1.xml?emailaddress="+escapeAddress(e.address.String())))
		}
	}
	return all
}

// inquire asks several URLs at once.
func (e *examination) inquire(all []inquiry) []file {
	files := make([]file, len(all))
	var tasks []func()
	for i, q := range all {
		tasks = append(tasks, func() { files[i] = e.inquireOne(q) })
	}
	together(tasks)
	return files
}

func (e *examination) inquireOne(q inquiry) file {
	v := &visit{examination: e}
	f := readFile(q.format, q.URL, v.ask(q.Request, gatherRules))
	f.asked = q
	return f
}

// together does things at the same time, a few of them at once.
func together(tasks []func()) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, 8)
	for _, task := range tasks {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			task()
		})
	}
	wg.Wait()
}

// limit returns the first few of a list.
func limit[T any](all []T, n int) []T { return all[:min(n, len(all))] }

// group finds the documents that are served at several addresses.
func (ev *evidence) group() {
	first := map[string]*file{}
	ev.docs = nil
	for i := range ev.files {
		f := &ev.files[i]
		f.urls = nil
		if !f.document() {
			continue
		}
		key := string(f.format) + string(f.page.Body)
		if first[key] == nil {
			first[key] = f
			ev.docs = append(ev.docs, f)
		}
		first[key].urls = append(first[key].urls, f.url)
	}
}

// offers returns all that is offered, documents first.
func (ev *evidence) offers() []offer {
	var all []offer
	for _, f := range ev.docs {
		all = append(all, f.offers...)
	}
	return limit(append(all, ev.srv...), maxAll)
}

// first returns the first document of a format in the order in which clients ask.
func (ev *evidence) first(f format) *file {
	for _, d := range ev.docs {
		if d.format == f && len(d.offers) > 0 {
			return d
		}
	}
	return nil
}

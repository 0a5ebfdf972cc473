package doctor

import (
	"context"
	"slices"
	"sync"
	"time"

	"mailconfd/settings"
)

// World is the outside, as far as a doctor needs it. Each call ends by itself within
// some twenty seconds, and when ctx does. What goes wrong is in the answer: there is
// no error that is not evidence.
type World interface {
	// Fetch makes one HTTP exchange. It follows no redirect, keeps no cookie and sends no
	// credential. A certificate that is not good does not stop it: some clients do not
	// check either. With Request.Public it does not connect to a private address.
	Fetch(context.Context, Request) Hop
	// Lookup asks DNS for one type of record at one name.
	Lookup(ctx context.Context, name string, kind RecordType) Answer
	// Probe looks at one mail service.
	Probe(context.Context, settings.Service) settings.Observation
}

// MaxBody is how much of an answer Fetch keeps: documents have one to four kilobytes.
const MaxBody = 256 << 10

// Request is one HTTP request. Requests that are equal but for Public are made once,
// unless what the careful one was refused is then asked without care.
type Request struct {
	Method      string // GET or POST
	URL         string // absolute, http or https
	ContentType string // of Body
	Body        string
	// Public is set for what a public host redirects to, so that it cannot lead into our
	// own network.
	Public bool
}

// Hop is what became of one request.
type Hop struct {
	Request     Request
	Status      int               // 0: there was no answer
	Failure     *settings.Failure // why there was none
	Location    string            // of a redirect, absolute; "" where there is none or it is no URL
	ContentType string            // as it was sent
	Body        []byte            // at most MaxBody bytes
	Cut         bool              // the body was longer
	Certificate *settings.Failure // https: why a client that checks would refuse it; nil: it is good
	TLS         *settings.TLS     // https
	Unreached   bool              // no connection came about in all the time there was
	Silent      bool              // a connection came about and was closed before a byte came
	Private     bool              // the answer came from a loopback or private address
	Took        time.Duration     // until the whole body was there
}

// RecordType is a type of DNS record.
type RecordType string

// The types that clients look up, and those that explain what they find.
const (
	TypeA     RecordType = "A"
	TypeAAAA  RecordType = "AAAA"
	TypeCNAME RecordType = "CNAME"
	TypeMX    RecordType = "MX"
	TypeSRV   RecordType = "SRV"
	TypeTXT   RecordType = "TXT"
)

// Answer is what DNS said.
type Answer struct {
	// Records are of the type that was asked for, whatever aliases led there. Names are in
	// lower case without the final dot; "" is the root, which is a null MX (RFC 7505) or
	// an SRV that says "not offered" (RFC 6186 section 3.4).
	Records []Record
	// Alias is where the name itself leads, if it is an alias.
	Alias      string
	NoSuchName bool              // the name does not exist, with any type of record (NXDOMAIN)
	Authentic  bool              // the resolver says that DNSSEC vouches for it
	Failure    *settings.Failure // the resolver did not answer; Records says nothing then
	Took       time.Duration
}

// Record is one DNS record. Which fields are set depends on the type.
type Record struct {
	Host     string // A and AAAA: the address; CNAME, MX, SRV: the target
	Priority uint16 // MX: preference; SRV: priority
	Weight   uint16
	Port     uint16
	Text     string // TXT: the strings, joined
}

// record remembers what was asked, and lets each question be asked once.
type record struct {
	mu      sync.Mutex
	hops    map[Request]*exchange // their key is never Public
	dead    map[string]Hop        // by scheme and host: what could not be reached
	answers map[question]*once[Answer]
	probes  map[settings.Service]*once[settings.Observation]
}

type question struct {
	name string
	kind RecordType
}

// once is an answer that everybody waits for and one fetches.
type once[T any] struct {
	sync.Once
	value T
}

// ask returns the answer to a key, made by the first who asks.
func ask[K comparable, T any](mu *sync.Mutex, known *map[K]*once[T], key K, fetch func() T) T {
	mu.Lock()
	if *known == nil {
		*known = map[K]*once[T]{}
	}
	o := (*known)[key]
	if o == nil {
		o = new(once[T])
		(*known)[key] = o
	}
	mu.Unlock()
	o.Do(func() { o.value = fetch() })
	return o.value
}

// exchange is one request and what became of it: asked without care, or with the care of
// Request.Public.
type exchange struct {
	mu               sync.Mutex // whoever asks next waits
	careless, public *Hop
}

// made returns what was really asked.
func (x *exchange) made() []*Hop {
	return slices.DeleteFunc([]*Hop{x.careless, x.public}, func(h *Hop) bool { return h == nil })
}

// fetch makes a request, or remembers what became of it.
func (e *examination) fetch(r Request) Hop {
	key := r
	key.Public = false
	e.asked.mu.Lock()
	if e.asked.hops == nil {
		e.asked.hops = map[Request]*exchange{}
	}
	x := e.asked.hops[key]
	if x == nil {
		x = new(exchange)
		e.asked.hops[key] = x
	}
	e.asked.mu.Unlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	h := e.exchange(x, r)
	h.Request = r
	return h
}

// exchange returns what is known of a request if that answers it, or makes it. An answer
// from a private address is none to whoever asks with care.
func (e *examination) exchange(x *exchange, r Request) Hop {
	switch {
	case x.careless != nil && r.Public && x.careless.Private:
		return Hop{Failure: &settings.Failure{Kind: settings.FailureUnreachable, Detail: "it leads from a public host to a private address, and is not asked"}}
	case x.careless != nil:
		return *x.careless
	case x.public != nil && (r.Public || x.public.Status != 0):
		return *x.public
	}
	h := e.reach(r)
	if r.Public {
		x.public = &h
	} else {
		x.careless = &h
	}
	return h
}

// reach makes a request. A server that could not be reached is not waited for again at
// its other paths.
func (e *examination) reach(r Request) Hop {
	at := origin(r.URL)
	e.asked.mu.Lock()
	h, dead := e.asked.dead[at]
	e.asked.mu.Unlock()
	if dead {
		return h
	}
	h = e.options.World.Fetch(e.ctx, r)
	if h.Unreached {
		e.asked.mu.Lock()
		defer e.asked.mu.Unlock()
		if e.asked.dead == nil {
			e.asked.dead = map[string]Hop{}
		}
		e.asked.dead[at] = h
	}
	return h
}

// lookUp asks DNS, or remembers.
func (e *examination) lookUp(name string, kind RecordType) Answer {
	return ask(&e.asked.mu, &e.asked.answers, question{name, kind}, func() Answer { return e.options.World.Lookup(e.ctx, name, kind) })
}

// probe looks at a service, or remembers.
func (e *examination) probe(s settings.Service) settings.Observation {
	return ask(&e.asked.mu, &e.asked.probes, s, func() settings.Observation { return e.options.World.Probe(e.ctx, s) })
}

package outside

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/net/idna"
)

// Limits of one exchange.
const (
	defaultFetchTimeout = 20 * time.Second
	defaultAtOnce       = 16
	maxHeader           = 64 << 10 // of the answer, in bytes
	maxURL              = 8 << 10
)

// FetchOptions say how to fetch.
type FetchOptions struct {
	Resolver *Resolver
	Dialer   *Dialer
	// Local says why an address is not one of the public internet, or "" where it is.
	Local     func(netip.Addr) string
	UserAgent string        // said to every server
	MaxBody   int           // bytes of an answer that are kept
	Timeout   time.Duration // for an exchange, from the look-up to the last byte. Default: 20 seconds
	AtOnce    int           // how many exchanges run at once; others wait for their turn. Default: 16
}

// Fetcher makes single HTTP exchanges (RFC 9112), to see what is there rather than to get
// at it. It follows no redirect, keeps no cookie and no connection, sends no credential
// and asks for no compression; a certificate that is not good does not stop it. It is
// safe for concurrent use.
type Fetcher struct {
	options FetchOptions
	slots   chan struct{}
}

// NewFetcher returns a fetcher. Resolver, Dialer and Local are required.
func NewFetcher(o FetchOptions) *Fetcher {
	if o.Timeout <= 0 {
		o.Timeout = defaultFetchTimeout
	}
	if o.AtOnce <= 0 {
		o.AtOnce = defaultAtOnce
	}
	return &Fetcher{o, make(chan struct{}, o.AtOnce)}
}

// FetchRequest is one request.
type FetchRequest struct {
	Method, URL string // http or https; a user and password in the URL are left out
	ContentType string // of Body
	Body        string
	Public      bool // connect to no address that Local has something to say about
}

// Exchange is what became of a request.
type Exchange struct {
	Host        string               // of the URL, as it was looked up
	Status      int                  // 0: there was no answer, or not a whole one
	Location    string               // of a redirect (3xx), absolute; "" where it has none that is a http or https URL
	ContentType string               // as it was sent
	Body        []byte               // at most MaxBody bytes
	Cut         bool                 // it was longer
	TLS         *tls.ConnectionState // https, once there was a handshake; the certificates are not verified
	Local       string               // why the address that was connected to is not public, or ""
	Took        time.Duration        // until the whole body was there
	Err         error                // why there was no answer: a *FetchError
	Silent      bool                 // why there was none: the connection was closed before a byte came
}

// Stage is how far an exchange came.
type Stage string

// The stages.
const (
	StageLookup    Stage = "look up"
	StageConnect   Stage = "connect"
	StageHandshake Stage = "TLS handshake"
	StageAnswer    Stage = "answer"
)

// FetchError says at which stage an exchange ended and why.
type FetchError struct {
	Stage Stage
	At    string // the host, or the address that was connected to
	Err   error
}

// Error says it to a person.
func (e *FetchError) Error() string { return fmt.Sprintf("%s %s: %v", e.Stage, e.At, e.Err) }

// Unwrap returns the reason, for errors.Is.
func (e *FetchError) Unwrap() error { return e.Err }

// Reasons of an exchange that was not tried.
var (
	ErrURL       = errors.New("no http or https URL that can be asked")
	ErrNoAddress = errors.New("the name has no A or AAAA record")
	ErrNotPublic = errors.New("not asked, since it is not on the public internet")
)

// errOldTLS is what a server shows that speaks nothing newer than TLS 1.1.
var errOldTLS = errors.New("the server offers no TLS 1.2 or later (RFC 8996)")

// Fetch makes the exchange. It ends when its time is over, however slowly the server
// drips, and when ctx does.
func (f *Fetcher) Fetch(ctx context.Context, r FetchRequest) Exchange {
	select {
	case f.slots <- struct{}{}:
		defer func() { <-f.slots }()
	case <-ctx.Done():
		return Exchange{Err: &FetchError{StageLookup, r.URL, ctx.Err()}}
	}
	started := time.Now()
	ctx, cancel := context.WithTimeout(ctx, f.options.Timeout)
	defer cancel()
	var x Exchange
	if err := f.exchange(ctx, r, &x); err != nil {
		x = Exchange{Host: x.Host, TLS: x.TLS, Local: x.Local, Err: err, Silent: x.Silent}
		if ctx.Err() != nil { // whatever it looks like, this is the reason
			x.Silent = false
			x.Err = &FetchError{stageOf(err), r.URL, ctx.Err()}
		}
	}
	x.Took = time.Since(started)
	return x
}

func stageOf(err error) Stage {
	var at *FetchError
	if errors.As(err, &at) {
		return at.Stage
	}
	return StageAnswer
}

// exchange looks the host up, connects, and asks.
func (f *Fetcher) exchange(ctx context.Context, r FetchRequest, x *Exchange) error {
	request, host, port, err := f.request(ctx, r)
	if err != nil {
		return &FetchError{StageLookup, r.URL, err}
	}
	x.Host = host
	targets, err := f.targets(ctx, host, port, r.Public)
	if err != nil {
		return &FetchError{StageLookup, host, err}
	}
	conn, at, err := f.dial(ctx, targets)
	if err != nil {
		return &FetchError{StageConnect, at.String(), err}
	}
	heard := &hearing{Conn: conn}
	conn = heard
	defer func() { x.Silent = !heard.any.Load() }()
	x.Local = f.options.Local(at.Addr())
	if request.URL.Scheme == "https" {
		secure, err := f.secure(ctx, conn, host, at)
		if err != nil {
			return &FetchError{StageHandshake, at.String(), err}
		}
		state := secure.ConnectionState()
		conn, x.TLS = secure, &state
	}
	defer conn.Close()
	if err := f.ask(request, conn, x); err != nil {
		return &FetchError{StageAnswer, at.String(), err}
	}
	return nil
}

// hearing is a connection that notes whether a byte has come.
type hearing struct {
	net.Conn
	any atomic.Bool
}

func (h *hearing) Read(p []byte) (int, error) {
	n, err := h.Conn.Read(p)
	if n > 0 {
		h.any.Store(true)
	}
	return n, err
}

// request makes the request and says where it goes.
func (f *Fetcher) request(ctx context.Context, r FetchRequest) (request *http.Request, host string, port uint16, err error) {
	u, err := url.Parse(r.URL)
	if err != nil || len(r.URL) > maxURL || u.Hostname() == "" {
		return nil, "", 0, ErrURL
	}
	standard := map[string]uint64{"http": 80, "https": 443}[u.Scheme]
	if u.Port() != "" && standard != 0 {
		standard, err = strconv.ParseUint(u.Port(), 10, 16)
	}
	if err != nil || standard == 0 {
		return nil, "", 0, ErrURL
	}
	if host = u.Hostname(); !isAddress(host) {
		if host, err = idna.Lookup.ToASCII(strings.TrimSuffix(host, ".")); err != nil {
			return nil, "", 0, fmt.Errorf("%w: %w", ErrURL, err)
		}
	}
	u.User, u.Fragment = nil, ""
	request, err = http.NewRequestWithContext(ctx, r.Method, u.String(), strings.NewReader(r.Body))
	if err != nil {
		return nil, "", 0, fmt.Errorf("%w: %w", ErrURL, err)
	}
	request.Header.Set("User-Agent", f.options.UserAgent)
	request.Header.Set("Accept", "*/*")
	if r.ContentType != "" {
		request.Header.Set("Content-Type", r.ContentType)
	}
	return request, host, uint16(standard), nil
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// ask sends the request on the connection and reads the answer.
func (f *Fetcher) ask(request *http.Request, conn net.Conn, x *Exchange) error {
	given := func(context.Context, string, string) (net.Conn, error) { return conn, nil }
	transport := &http.Transport{
		DialContext: given, DialTLSContext: given,
		DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
	}
	response, err := transport.RoundTrip(request) // not a Client: it would follow, and log in
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, int64(f.options.MaxBody)+1))
	if len(body) > f.options.MaxBody {
		body, x.Cut = body[:f.options.MaxBody], true
	} else if err != nil {
		return err
	}
	x.Status, x.Body, x.ContentType = response.StatusCode, body, response.Header.Get("Content-Type")
	if response.StatusCode/100 == 3 {
		x.Location = location(request.URL, response.Header.Get("Location"))
	}
	return nil
}

// location makes the target of a redirect absolute (RFC 9110 section 10.2.2).
func location(from *url.URL, to string) string {
	u, err := from.Parse(to)
	if err != nil || to == "" || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		return ""
	}
	u.User, u.Fragment = nil, ""
	if text := u.String(); len(text) <= maxURL {
		return text
	}
	return ""
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"

	"mailconfd/doctor"
	"mailconfd/settings"
)

// witness looks at what a world answers: it tells people what is waited for, and notices
// when nothing could be learnt because our own network or resolver does not work.
type witness struct {
	doctor.World
	tell *waiting

	mu               sync.Mutex
	fetches, lookups tally
}

// tally counts answers, and keeps the first failure that was our own.
type tally struct {
	all, local int
	first      *settings.Failure
}

func (t *tally) add(f *settings.Failure) {
	t.all++
	if f != nil && f.Kind == settings.FailureLocal {
		if t.local++; t.first == nil {
			t.first = f
		}
	}
}

func (w *witness) Fetch(ctx context.Context, r doctor.Request) doctor.Hop {
	defer w.tell.begin(r.Method + " " + r.URL)()
	h := w.World.Fetch(ctx, r)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fetches.add(h.Failure)
	return h
}

func (w *witness) Lookup(ctx context.Context, name string, kind doctor.RecordType) doctor.Answer {
	defer w.tell.begin(string(kind) + " " + name)()
	a := w.World.Lookup(ctx, name, kind)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lookups.add(a.Failure)
	return a
}

func (w *witness) Probe(ctx context.Context, s settings.Service) settings.Observation {
	defer w.tell.begin(s.String())()
	return w.World.Probe(ctx, s)
}

// complaint returns an error if every question of a kind failed on our side.
func (w *witness) complaint() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, t := range []tally{w.lookups, w.fetches} {
		if t.all > 0 && t.local == t.all {
			return fmt.Errorf("nothing can be seen from here: %s", t.first.Detail)
		}
	}
	return nil
}

// document is an autoconfig or Autodiscover document that is not served yet.
type document struct {
	body  []byte
	paths *regexp.Regexp // where it would be served, in lower case
}

var (
	autoconfigPaths   = regexp.MustCompile(`/(config-v1\.1\.xml|mail-v1\.xml)$`)
	autodiscoverPaths = regexp.MustCompile(`^/autodiscover/autodiscover\.xml$`)
	rootElement       = regexp.MustCompile(`<(?:[\w.-]+:)?(clientConfig|Autodiscover)[\s/>]`)
)

// readDocument reads a document. It may be broken: that is what doctor is to say.
func readDocument(name string) (*document, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	body, err := io.ReadAll(io.LimitReader(file, doctor.MaxBody+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > doctor.MaxBody:
		return nil, fmt.Errorf("%s: longer than %d bytes, which no client reads", name, doctor.MaxBody)
	}
	root := rootElement.FindSubmatch(body)
	switch {
	case root == nil:
		return nil, errors.New(name + ": neither an autoconfig document (clientConfig) nor an Autodiscover answer (Autodiscover)")
	case string(root[1]) == "clientConfig":
		return &document{body, autoconfigPaths}, nil
	}
	return &document{body, autodiscoverPaths}, nil
}

// offline is a world in which the domain's own URLs answer with a document: over https as
// it is, over http with a redirect there.
type offline struct {
	doctor.World
	domain   string
	document document
}

func (o offline) Fetch(ctx context.Context, r doctor.Request) doctor.Hop {
	u, err := url.Parse(r.URL)
	if err != nil || !strings.HasSuffix("."+strings.ToLower(u.Hostname()), "."+o.domain) || !o.document.paths.MatchString(strings.ToLower(u.Path)) {
		return o.World.Fetch(ctx, r)
	}
	if u.Scheme == "http" {
		u.Scheme, u.Host = "https", u.Hostname()
		return doctor.Hop{Request: r, Status: 301, Location: u.String()}
	}
	return doctor.Hop{
		Request: r, Status: 200, ContentType: "text/xml; charset=utf-8", Body: o.document.body,
		TLS: &settings.TLS{Version: "TLS 1.3"},
	}
}

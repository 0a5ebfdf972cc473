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

	"mailconfd/doctor"
	"mailconfd/settings"
)

// errBlind ends an examination that says nothing about the domain.
var errBlind = errors.New("nothing can be seen from here")

// cannotLook returns an error if a report says nothing about the domain, because our own
// network, proxy or resolver does not work.
func cannotLook(r doctor.Report) error {
	if r.Blind == "" {
		return nil
	}
	return fmt.Errorf("%w: %s", errBlind, r.Blind)
}

// toldWorld is a world that tells people what is waited for.
type toldWorld struct {
	doctor.World
	tell *waiting
}

func (w toldWorld) Fetch(ctx context.Context, r doctor.Request) doctor.Hop {
	defer w.tell.begin(r.Method + " " + r.URL)()
	return w.World.Fetch(ctx, r)
}

func (w toldWorld) Lookup(ctx context.Context, name string, kind doctor.RecordType) doctor.Answer {
	defer w.tell.begin(string(kind) + " " + name)()
	return w.World.Lookup(ctx, name, kind)
}

func (w toldWorld) Probe(ctx context.Context, s settings.Service) settings.Observation {
	defer w.tell.begin(s.String())()
	return w.World.Probe(ctx, s)
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

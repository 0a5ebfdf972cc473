package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"mailconfd/doctor"
	"mailconfd/internal/outside"
	"mailconfd/probe"
	"mailconfd/settings"
)

// userAgent is what doctor calls itself. It does not pass for a mail client: whoever
// reads the log of a server that it asked should see who did.
func userAgent() string { return "mailconfd-doctor/" + buildVersion() }

// fetchTimeout is for one HTTP exchange; no mail client that was read waits longer for
// more than one.
const fetchTimeout = 16 * time.Second

// Fetch makes one HTTP exchange, as doctor.World wants it.
func (w world) Fetch(ctx context.Context, r doctor.Request) doctor.Hop {
	x := w.fetcher.Fetch(ctx, outside.FetchRequest{Method: r.Method, URL: r.URL, ContentType: r.ContentType, Body: r.Body, Public: r.Public})
	h := doctor.Hop{
		Request: r, Status: x.Status, Location: x.Location, ContentType: x.ContentType,
		Body: x.Body, Cut: x.Cut, Silent: x.Silent, Private: x.Local != "", Took: x.Took,
	}
	if x.TLS != nil {
		h.TLS = probe.TLSFacts(*x.TLS)
		h.Certificate, _ = w.JudgeCertificate(x.Host, x.TLS.PeerCertificates)
	}
	if x.Err != nil {
		f := fetchFailure(x.Err)
		h.Failure = &f
		var at *outside.FetchError
		h.Unreached = f.Kind == settings.FailureTimeout && errors.As(x.Err, &at) && at.Stage == outside.StageConnect
	}
	return h
}

// fetchFailure says in the words of a probe why there was no answer.
func fetchFailure(err error) settings.Failure {
	var at *outside.FetchError
	if !errors.As(err, &at) {
		return settings.Failure{Kind: settings.FailureLocal, Detail: err.Error()}
	}
	doing := string(at.Stage) + " " + at.At
	f := probe.NetworkFailure(doing, at.Err)
	switch {
	case errors.Is(err, outside.ErrNoAddress), errors.Is(err, outside.ErrAliases), errors.Is(err, outside.ErrURL):
		f.Kind = settings.FailureDNS
	case errors.Is(err, outside.ErrNotPublic):
		f.Kind = settings.FailureUnreachable
	case errors.Is(err, context.Canceled):
		f = settings.Failure{Kind: settings.FailureLocal, Detail: doing + ": doctor was stopped"}
	case at.Stage == outside.StageAnswer && strings.Contains(at.Err.Error(), "server closed idle connection"):
		f.Kind = settings.FailureReset // net/http saw the end before it had written the request, and has no other name for it
	case at.Stage == outside.StageHandshake && f.Kind == settings.FailureLocal:
		f.Kind = settings.FailureTLS
	case at.Stage == outside.StageAnswer && f.Kind == settings.FailureLocal:
		f.Kind = settings.FailureProtocol
	}
	return f
}

// Lookup asks DNS, as doctor.World wants it.
func (w world) Lookup(ctx context.Context, name string, kind doctor.RecordType) doctor.Answer {
	started := time.Now()
	found, err := w.resolver.Lookup(ctx, name, string(kind))
	answer := doctor.Answer{Alias: found.Alias, NoSuchName: found.NoSuchName, Authentic: found.Authentic, Took: time.Since(started)}
	for _, r := range found.Records {
		answer.Records = append(answer.Records, doctor.Record(r))
	}
	if err != nil {
		f := settings.Failure{Kind: settings.FailureLocal, Detail: err.Error()}
		if errors.Is(err, outside.ErrAliases) {
			f.Kind = settings.FailureDNS
		}
		answer.Failure = &f
	}
	return answer
}

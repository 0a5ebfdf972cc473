package server

import (
	"fmt"
	"net/http"

	"mailconfd/autodiscover"
)

// outcome is what a request comes to.
type outcome int

// The outcomes.
const (
	published    outcome = iota // here is the document
	unchanged                   // the client has the document
	moved                       // ask again over https
	malformed                   // what is asked cannot be understood
	unknown                     // the domain is not served here
	unpublished                 // the format cannot say what works
	incomplete                  // nothing works that could be said of a role which it needs
	undecided                   // the first probes are not over
	unverified                  // nothing works
	unsearchable                // an MX look-up did not work
	otherSchema                 // a client of ActiveSync or Exchange
	noSuchPath
	wrongMethod
	bug
	outcomes // how many there are
)

// replies is the one table from outcome to answer. The status is what makes clients
// go on to their next source or stop: a 404 is passed by all, Delta Chat and KMail stop
// at any 2xx, and after a 401 Thunderbird says that the password is wrong.
var replies = [outcomes]struct {
	status     int
	retryAfter string            // seconds
	code       autodiscover.Code // what a POST to Autodiscover gets as body; 0: the text
	text       string            // %s is the domain, or what was wrong
}{
	published:    {status: http.StatusOK},
	unchanged:    {status: http.StatusNotModified},
	moved:        {http.StatusFound, "", 0, "ask again over https\n"},
	malformed:    {http.StatusBadRequest, "", autodiscover.InvalidRequest, "%s\n"},
	unknown:      {http.StatusNotFound, "", autodiscover.NoProvider, "no mail settings are kept here for %s; check its spelling, or ask whoever runs its mail\n"},
	unpublished:  {http.StatusNotFound, "", autodiscover.NoProvider, "the mail servers of %s cannot be described in this format; ask whoever runs them for the settings\n"},
	incomplete:   {http.StatusNotFound, "", autodiscover.NoProvider, "not all that a mail account needs works at %s at the moment, so its settings are not given out; ask again later\n"},
	undecided:    {http.StatusServiceUnavailable, "5", 0, "the mail servers of %s are being checked; ask again in a few seconds\n"},
	unverified:   {http.StatusServiceUnavailable, "60", 0, "no mail server of %s is known to work at the moment; ask again in a few minutes\n"},
	unsearchable: {http.StatusServiceUnavailable, "10", 0, "whether %s is served here could not be looked up in DNS; ask again in a few seconds\n"},
	otherSchema:  {http.StatusNotFound, "", autodiscover.NoProvider, "neither ActiveSync nor Exchange is offered here\n"},
	noSuchPath:   {http.StatusNotFound, "", 0, "nothing is kept here; mail clients ask for /mail/config-v1.1.xml and /autodiscover/autodiscover.xml\n"},
	wrongMethod:  {http.StatusMethodNotAllowed, "", 0, "this is not answered here; see the header Allow\n"},
	bug:          {http.StatusInternalServerError, "", 0, "something went wrong here; it is in the log\n"},
}

// result is the outcome of one request and what has to be said about it.
type result struct {
	outcome outcome
	detail  string // malformed: what was wrong, in one line; moved: where to
	domain  string // the domain that decided, "" where none did
	early   bool   // the document may be better in a few seconds
}

// text says the outcome to a person.
func (r result) text() string {
	text := replies[r.outcome].text
	switch r.outcome {
	case malformed:
		return fmt.Sprintf(text, r.detail)
	case unknown, unpublished, incomplete, undecided, unverified, unsearchable:
		if r.domain == "" {
			return "no mail domain is named; add ?" + parameter + "=you@example.org, or ask under the domain's own name\n"
		}
		return fmt.Sprintf(text, r.domain)
	}
	return text
}

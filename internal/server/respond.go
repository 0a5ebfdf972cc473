package server

import (
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"

	"mailconfd/autodiscover"
	"mailconfd/settings"
)

// Thunderbird parses an answer only where its media type starts with exactly this.
const (
	xmlType  = "text/xml; charset=utf-8"
	textType = "text/plain; charset=utf-8"
)

// sayDocument sends a document, or says that the client has it already.
func (s *Server) sayDocument(w http.ResponseWriter, r *http.Request, d document, a settings.Address, early bool) outcome {
	buffer := s.buffers.Get().(*[]byte)
	defer s.buffers.Put(buffer)
	body := d.Append((*buffer)[:0], a)
	*buffer = body
	tag := entityTag(body)
	h := common(w)
	h.Set("Etag", tag)
	if r.Method == http.MethodPost {
		h.Set("Cache-Control", "no-store") // it is made for one user
	} else {
		h.Set("Cache-Control", s.keep(early))
		if matches(r.Header["If-None-Match"], tag) {
			w.WriteHeader(http.StatusNotModified)
			return unchanged
		}
	}
	send(w, r, http.StatusOK, xmlType, body)
	return published
}

// keep says how long a document may be kept.
func (s *Server) keep(early bool) string {
	if early {
		return "public, max-age=5"
	}
	return *s.cacheControl.Load()
}

// sayNo sends any other outcome, with a body for a person; a POST to Autodiscover gets
// the protocol's own.
func (s *Server) sayNo(w http.ResponseWriter, r *http.Request, f Format, res result) {
	answer := replies[res.outcome]
	h := common(w)
	h.Set("Cache-Control", "no-store")
	if answer.retryAfter != "" {
		h.Set("Retry-After", answer.retryAfter)
	}
	if res.outcome == moved {
		h.Set("Location", res.detail)
		if r.Method == http.MethodPost {
			// RFC 9110 section 15.4.8: method and body stay. After a 302 Thunderbird 153 asks by GET, without the
			// address, and would be told the settings of the canonical host's own domain.
			answer.status = http.StatusTemporaryRedirect
		}
	}
	if f == Autodiscover && r.Method == http.MethodPost && answer.code != 0 {
		send(w, r, answer.status, xmlType, autodiscover.AppendError(nil, answer.code))
		return
	}
	send(w, r, answer.status, textType, []byte(res.text()))
}

// common sets what every public answer carries. What is served is public, so that a
// page of any origin may read it.
func common(w http.ResponseWriter) http.Header {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("X-Content-Type-Options", "nosniff")
	return h
}

// send sends an answer with its length, and to a HEAD without the body.
func send(w http.ResponseWriter, r *http.Request, status int, mediaType string, body []byte) {
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a client that has gone is no concern of ours
	}
}

// entityTag is a strong validator (RFC 9110 section 8.8.3): a digest of the bytes, so
// that replicas agree.
func entityTag(body []byte) string {
	sum := sha256.Sum256(body)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
}

// matches tells whether an If-None-Match names the tag (RFC 9110 section 13.1.2): its
// comparison is weak, so that a proxy's W/ before the tag does no harm.
func matches(fields []string, tag string) bool {
	for _, f := range fields {
		if strings.Contains(f, tag) || strings.TrimSpace(f) == "*" {
			return true
		}
	}
	return false
}

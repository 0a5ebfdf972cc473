package login

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"mailconfd/settings"
)

// Limits of one connection beside those of the Opener.
const (
	patience = 30 * time.Second // for one answer; wrong passwords are punished with seconds
	goodbye  = 5 * time.Second  // for the answer to QUIT or LOGOUT
	maxReply = 8 << 10          // octets of a line
)

// witness is a connection that remembers why it ended: the text of a library's error may
// hold words of the server, and is not looked at.
type witness struct {
	net.Conn
	mu    sync.Mutex
	ended error
}

// Read reads as the connection does.
func (w *witness) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	w.saw(err)
	return n, err
}

// Write writes as the connection does.
func (w *witness) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	w.saw(err)
	return n, err
}

// saw keeps the first error: the later ones follow from it.
func (w *witness) saw(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended == nil {
		w.ended = err
	}
}

// broken says, in our own words, why a login got no answer. doing is how far it got.
func (w *witness) broken(doing string) answer {
	w.mu.Lock()
	defer w.mu.Unlock()
	var timeout net.Error
	switch {
	case w.ended == nil:
		return unanswered(settings.FailureProtocol, doing+": the answer is none of the protocol")
	case errors.Is(w.ended, os.ErrDeadlineExceeded), errors.Is(w.ended, context.DeadlineExceeded), errors.As(w.ended, &timeout) && timeout.Timeout():
		return unanswered(settings.FailureTimeout, doing+": no answer in time")
	}
	return unanswered(settings.FailureReset, doing+": the connection ended without an answer")
}

// forgive forgets that a read timed out.
func (w *witness) forgive() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = nil
}

// allow gives what follows so much time.
func (w *witness) allow(d time.Duration) { _ = w.SetDeadline(time.Now().Add(d)) }

// greeted is a connection whose greeting came before TLS: the libraries want one first.
type greeted struct {
	*witness
	first io.Reader
}

// greet puts a greeting in front of what the server says.
func greet(w *witness, greeting string) net.Conn {
	return &greeted{w, io.MultiReader(strings.NewReader(greeting), w)}
}

// Read reads the greeting first.
func (g *greeted) Read(p []byte) (int, error) { return g.first.Read(p) }

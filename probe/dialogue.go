package probe

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"mailconfd/settings"
)

// Limits of what a server may send in one connection.
const (
	maxLine  = 8 << 10   // octets of a line, its end included
	maxText  = 64 << 10  // octets of text in all
	maxBytes = 512 << 10 // octets on the wire, TLS included; a long certificate chain has 20 KB
	maxHead  = 256       // octets that are kept for a look at what was sent in place of TLS
)

var errTooLong = errors.New("the server sends more than any protocol needs")

// wire is a connection that counts what comes in.
type wire struct {
	net.Conn
	received int
	head     []byte // the first octets since mark
	ended    error  // a socket tells why it was cut only once
}

// Read reads as the connection does, up to the limit. An error that is no time-out is
// returned for ever.
func (w *wire) Read(p []byte) (int, error) {
	switch {
	case w.ended != nil:
		return 0, w.ended
	case w.received >= maxBytes:
		return 0, errTooLong
	}
	n, err := w.Conn.Read(p[:min(len(p), maxBytes-w.received)])
	if err != nil && !isTimeout(err) {
		w.ended = err
	}
	w.received += n
	w.head = append(w.head, p[:min(n, maxHead-len(w.head))]...)
	return n, err
}

// mark forgets the first octets: those to come are of interest.
func (w *wire) mark() { w.head = nil }

// dialogue is a conversation by lines over one connection: CRLF ends a line, a bare LF
// is tolerated. Everything that is read counts against a limit and ends by a deadline
// that the server cannot move. After a method has returned an error, which holds a
// failure, nothing more can be said.
type dialogue struct {
	ctx        context.Context
	wire       *wire
	conn       net.Conn // wire, or TLS on it
	text       *bufio.Reader
	left       int       // octets of text that may still come
	end        time.Time // of the whole dialogue
	patience   time.Duration
	proxied    bool
	secure     bool // TLS is on, or being put on
	asked      bool // in the handshake, for a certificate of ours
	spoken     bool // the server has said something since the handshake
	open       bool // the server has greeted and takes commands
	transcript *transcript
	warnings   []settings.Warning
}

func newDialogue(ctx context.Context, conn net.Conn, end time.Time, log *transcript) *dialogue {
	w := &wire{Conn: conn}
	return &dialogue{ctx: ctx, wire: w, conn: w, text: bufio.NewReaderSize(w, maxLine), left: maxText, end: end, transcript: log}
}

// allow sets how long what follows may take from a moment on, all of it together.
func (d *dialogue) allow(from time.Time, patience time.Duration) {
	by := from.Add(patience)
	if by.After(d.end) {
		by = d.end
	}
	d.patience = max(by.Sub(from), 0).Round(time.Millisecond)
	_ = d.wire.SetDeadline(by) // fails only on a closed connection, as the read that follows will
}

// rest allows what is left of the dialogue.
func (d *dialogue) rest() {
	now := time.Now()
	d.allow(now, d.end.Sub(now))
}

// warn notes something that the operator should know.
func (d *dialogue) warn(kind settings.WarningKind, detail string) {
	d.warnings = append(d.warnings, settings.Warning{Kind: kind, Detail: printable(detail, maxDetail)})
}

// say sends a line.
func (d *dialogue) say(line string) error {
	d.transcript.said(line)
	if _, err := io.WriteString(d.conn, line+"\r\n"); err != nil {
		return d.broken("send "+line, err)
	}
	return nil
}

// hear reads a line and returns it without its end. doing says what for.
func (d *dialogue) hear(doing string) (string, error) {
	line, err := d.text.ReadSlice('\n')
	d.left -= len(line)
	if d.left < 0 || errors.Is(err, bufio.ErrBufferFull) {
		err = errTooLong
	}
	if err != nil {
		if len(line) > 0 {
			d.transcript.heard(string(line[:min(len(line), maxTranscriptLine+1)]))
		}
		return "", d.broken(doing, err)
	}
	d.spoken = d.secure
	text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
	d.transcript.heard(text)
	return text, nil
}

// phrase reads a line that may hold literals, "{n}" or "{n+}" at the end of a line with
// n octets behind it (RFC 9051 section 4.3, RFC 5804 section 1.2). The parts are text
// and literal in turn, text first and last.
func (d *dialogue) phrase(doing string) (parts []string, err error) {
	for {
		line, err := d.hear(doing)
		if err != nil {
			return nil, err
		}
		text, size, ok := literalSize(line)
		if !ok {
			return append(parts, line), nil
		}
		if size > d.left {
			return nil, d.broken(doing, errTooLong)
		}
		literal := make([]byte, size)
		n, err := io.ReadFull(d.text, literal)
		d.left -= n
		if err != nil {
			return nil, d.broken(doing, err)
		}
		d.transcript.heard(string(literal))
		parts = append(parts, text, string(literal))
	}
}

// literalSize splits a line that ends with the announcement of a literal.
func literalSize(line string) (text string, size int, ok bool) {
	at := strings.LastIndexByte(line, '{')
	if at < 0 || !strings.HasSuffix(line, "}") {
		return "", 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(line[at+1:len(line)-1], "+"), 10, 31)
	return line[:at], int(n), err == nil
}

// silent waits for the first octet of what comes, and tells that there was none in the
// time. Any other outcome shows at the next line.
func (d *dialogue) silent(patience time.Duration) bool {
	d.allow(time.Now(), patience)
	_, err := d.text.Peek(1)
	return isTimeout(err) && d.ctx.Err() == nil
}

// unread returns what has come and was not read yet.
func (d *dialogue) unread() string {
	ahead, _ := d.text.Peek(d.text.Buffered())
	return string(ahead)
}

// began tells what the first octet is that has come, if any has.
func (d *dialogue) began() (first byte, ok bool) {
	if len(d.wire.head) == 0 {
		return 0, false
	}
	return d.wire.head[0], true
}

// broken says what a failed read or write means; the dialogue is over.
func (d *dialogue) broken(doing string, err error) error {
	d.open = false
	if err := stopped(d.ctx, doing); err != nil {
		return err
	}
	switch {
	case errors.Is(err, errTooLong):
		return fail(settings.FailureTooLong, "%s: more than %d octets in a line, or %d in all", doing, maxLine, maxText)
	case isTimeout(err):
		return fail(settings.FailureTimeout, "%s: no full answer within %s", doing, inWords(d.patience))
	case d.asked && !d.spoken && (isAlert(err) || isEnd(err) || isCut(err)):
		// With TLS 1.3 a server says so after the handshake is over for the client
		// (RFC 8446 section 4.4.2.4).
		return fail(settings.FailureClientCertificate, "%s: the server asked for a client certificate and ends: %s", doing, reasonOf(err))
	case isEnd(err) && d.wire.received == 0 && d.proxied:
		return fail(settings.FailureProtocol, "%s: closed without a byte; the proxy may not have reached the server", doing)
	case isEnd(err) && d.wire.received == 0:
		return fail(settings.FailureTemporary, "%s: accepted and closed without a byte, as servers with too many connections do", doing)
	case isEnd(err):
		return fail(settings.FailureReset, "%s: the server closed the connection", doing)
	case isAlert(err) || d.secure && !isCut(err):
		return fail(settings.FailureTLS, "%s: %s", doing, reasonOf(err))
	}
	return fail(settings.FailureReset, "%s: %s", doing, reasonOf(err))
}

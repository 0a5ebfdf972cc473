package lab

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-sasl"

	"mailconfd/settings"
)

// Limits of the scripted server.
const (
	maxLine         = 8 << 10         // of what a client sends, and of a literal
	sessionPatience = 5 * time.Minute // for one line, in either direction
	lingerPatience  = 5 * time.Second // for a client to close its side
	lingerBytes     = 1 << 20         // that such a client may still send
	dripInterval    = 200 * time.Millisecond
	floodBytes      = 10_000_000
)

// script is what a scripted server does. The zero script with a TLS configuration is
// a server that never offers TLS.
type script struct {
	tls      *tls.Config
	implicit bool // TLS from the first byte
	starttls bool // STARTTLS is offered and works
	busyTLS  bool // STARTTLS is offered and is temporarily out of order
	injects  injection

	mechanisms      []string // offered inside TLS
	clearMechanisms []string // offered before
	logins          *logins  // who is let in

	// open, if set, is done before anything is said or read; opening, if set, in
	// place of the greeting. If they return false the connection has ended.
	open    func(*session) bool
	opening func(*session) bool
}

// injection says whether plaintext is slipped in between the answer to STARTTLS
// and the handshake.
type injection int

const (
	noInjection   injection = iota
	sameSegment             // together with the answer
	afterwardOnly           // once the client has begun the handshake
)

// healthy is the script of a server without a fault.
func healthy(service settings.Service, config *tls.Config) scripted {
	implicit := service.Security() == settings.ImplicitTLS
	return scripted{dialogueOf(service), script{
		tls:        config,
		implicit:   implicit,
		starttls:   !implicit,
		mechanisms: passwordMechanisms(),
		logins:     newLogins(),
	}}
}

// dialogue is what the scripted server says in one protocol.
type dialogue struct {
	greeting func(*session) string
	upgraded func(*session) string // said unasked after STARTTLS; nil: nothing
	refusal  string                // greeting that turns every client away
	busy     string                // greeting that turns the client away for now
	flood    string                // repeated, it makes a greeting as long as one likes
	injected string                // what an attacker would slip in after STARTTLS
	answer   func(s *session, line string) (reply string, next step)
}

// step is what follows an answer.
type step int

const (
	stay    step = iota
	upgrade      // to TLS
	leave
)

// dialogueOf returns the dialogue of the service's protocol.
func dialogueOf(service settings.Service) dialogue {
	switch service.Role() {
	case settings.RoleSubmission:
		return smtpDialogue()
	case settings.RoleIMAP:
		return imapDialogue()
	case settings.RolePOP3:
		return pop3Dialogue()
	}
	return sieveDialogue()
}

// scripted is a server that follows a script.
type scripted struct {
	dialogue dialogue
	script   script
}

// serve is the server's handler.
func (v scripted) serve(c *conn) {
	defer c.Close()
	s := &session{conn: c, stream: c, reader: bufio.NewReaderSize(c, maxLine), dialogue: v.dialogue, script: v.script}
	if v.script.open != nil && !v.script.open(s) {
		return
	}
	if v.script.implicit && !s.handshake() {
		return
	}
	if v.script.opening != nil {
		if !v.script.opening(s) {
			return
		}
	} else if s.write(v.dialogue.greeting(s)) != nil {
		return
	}
	s.converse()
}

// session is one connection to a scripted server.
type session struct {
	conn     *conn
	stream   net.Conn // conn, or TLS on it
	reader   *bufio.Reader
	dialogue dialogue
	script   script

	user     string // POP3: given with USER
	loggedIn bool
}

// converse answers line by line until one side leaves.
func (s *session) converse() {
	for {
		line, err := s.readLine()
		if err != nil {
			return
		}
		reply, next := s.dialogue.answer(s, line)
		if next == upgrade {
			if !s.upgrade(reply) {
				return
			}
			continue
		}
		if s.write(reply) != nil {
			return
		}
		if next == leave {
			s.linger()
			return
		}
	}
}

// secure tells whether TLS is on.
func (s *session) secure() bool { return s.stream != net.Conn(s.conn) }

// mayUpgrade tells whether STARTTLS is offered at this point.
func (s *session) mayUpgrade() bool { return s.script.starttls && !s.secure() }

// mechanisms returns what is offered at this point.
func (s *session) mechanisms() []string {
	if s.secure() {
		return s.script.mechanisms
	}
	return s.script.clearMechanisms
}

// offersPassword tells whether a client may log in with a password at this point.
func (s *session) offersPassword() bool { return slices.Contains(s.mechanisms(), sasl.Plain) }

// login lets the user in if the password is right.
func (s *session) login(user, password string) { s.loggedIn = s.script.logins.admits(user, password) }

// authenticate runs a SASL exchange. ask sends a challenge and returns the response,
// in Base64 or "*" to give up.
func (s *session) authenticate(mechanism, initial string, ask func(challenge []byte) (string, error)) {
	exchange := newSASL(strings.ToUpper(mechanism), func(user, password string) error {
		s.login(user, password)
		return nil
	})
	if exchange == nil {
		return
	}
	var response []byte
	if initial != "" {
		response = decodeSASL(initial)
	}
	for {
		challenge, done, err := exchange.Next(response)
		if done || err != nil {
			return
		}
		text, err := ask(challenge)
		if err != nil || text == "*" {
			return
		}
		response = decodeSASL(text)
	}
}

// decodeSASL decodes a response; what is no Base64, and "=", is an empty one.
func decodeSASL(text string) []byte {
	response, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return []byte{}
	}
	return response
}

// write sends text.
func (s *session) write(text string) error {
	_ = s.stream.SetWriteDeadline(time.Now().Add(sessionPatience))
	_, err := io.WriteString(s.stream, text)
	return err
}

// readLine reads a line without its end.
func (s *session) readLine() (string, error) {
	_ = s.stream.SetReadDeadline(time.Now().Add(sessionPatience))
	line, err := s.reader.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	return strings.TrimRight(string(line), "\r\n"), nil
}

// upgrade sends the answer to STARTTLS and starts TLS, with an injection if the
// script has one.
func (s *session) upgrade(reply string) bool {
	if s.script.injects == sameSegment {
		reply += s.dialogue.injected
	}
	if s.write(reply) != nil {
		return false
	}
	if s.script.injects == afterwardOnly {
		// The client has read the answer when its first byte of the handshake is here.
		if _, err := s.reader.Peek(1); err != nil || s.write(s.dialogue.injected) != nil {
			return false
		}
	}
	if !s.handshake() {
		return false
	}
	return s.dialogue.upgraded == nil || s.write(s.dialogue.upgraded(s)) == nil
}

// handshake starts TLS. Plaintext that the client has sent along goes into the
// handshake, which fails of it: it is never taken for a command (CVE-2011-0411).
func (s *session) handshake() bool {
	_ = s.conn.SetDeadline(time.Now().Add(sessionPatience))
	secure := tls.Server(bufferedConn{s.conn, s.reader}, s.script.tls)
	if err := secure.Handshake(); err != nil {
		s.linger()
		return false
	}
	s.stream, s.reader = secure, bufio.NewReaderSize(secure, maxLine)
	return true
}

// bufferedConn is a connection whose first bytes have already been read ahead.
type bufferedConn struct {
	*conn
	reader *bufio.Reader
}

// Read reads what was read ahead first.
func (b bufferedConn) Read(p []byte) (int, error) { return b.reader.Read(p) }

// linger ends the sending side and waits for the client to do the same. A connection
// that is closed with unread bytes in it ends with a reset, which may overtake
// what was sent last.
func (s *session) linger() {
	if secure, ok := s.stream.(*tls.Conn); ok {
		_ = secure.CloseWrite()
	}
	_ = s.conn.CloseWrite()
	_ = s.conn.SetReadDeadline(time.Now().Add(lingerPatience))
	_, _ = io.CopyN(io.Discard, s.conn, lingerBytes)
}

// say sends text in place of the greeting and ends the connection.
func say(text string) func(*session) bool {
	return func(s *session) bool {
		if s.write(text) == nil {
			s.linger()
		}
		return false
	}
}

// hangUp ends the connection without a word.
func hangUp(s *session) bool {
	s.linger()
	return false
}

// drip is a tar pit: a byte now and then, for ever, and never the end of a line. It
// ends when the client leaves or the connection is cut.
func drip(s *session) bool {
	text := s.dialogue.flood
	for {
		if !s.ignore(dripInterval) {
			return false
		}
		if s.write(text[:1]) != nil {
			return false
		}
		text = text[1:]
		if text == "" || text[0] == '\r' {
			text = s.dialogue.flood
		}
	}
}

// silence says nothing until the client leaves.
func silence(s *session) bool {
	s.ignore(sessionPatience)
	return false
}

// ignore throws away what the client sends during the time, and tells whether the
// client is still there after it.
func (s *session) ignore(during time.Duration) bool {
	_ = s.stream.SetReadDeadline(time.Now().Add(during))
	_, err := io.Copy(io.Discard, s.reader)
	var timeout net.Error
	return errors.As(err, &timeout) && timeout.Timeout()
}

// flood sends a greeting of 10 MB: as many lines as the protocol allows, one very
// long line where it allows one. Whoever still listens then gets the real greeting.
func flood(s *session) bool {
	chunk := strings.Repeat(s.dialogue.flood, 1+(32<<10)/len(s.dialogue.flood))
	for sent := 0; sent < floodBytes; sent += len(chunk) {
		if s.write(chunk) != nil {
			return false
		}
	}
	if !strings.HasSuffix(chunk, "\n") {
		return s.write("\r\n") == nil
	}
	return s.write(s.dialogue.greeting(s)) == nil
}

// resetAfterGreeting greets, waits for the first command, so that the greeting has
// surely been read, and resets the connection.
func resetAfterGreeting(s *session) bool {
	if s.write(s.dialogue.greeting(s)) != nil {
		return false
	}
	_ = s.stream.SetReadDeadline(time.Now().Add(sessionPatience))
	if _, err := s.reader.Peek(1); err == nil {
		s.conn.reset()
	}
	return false
}

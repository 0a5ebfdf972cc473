package login

import (
	"bufio"
	"encoding/base64"
	"errors"
	"io"
	"strconv"
	"strings"
)

// lines is a conversation by lines, for the protocols that have no library here.
type lines struct {
	*witness
	text *bufio.Reader
}

func newLines(w *witness) *lines { return &lines{w, bufio.NewReaderSize(w, maxReply)} }

// leave says goodbye; what comes of it does not matter.
func (l *lines) leave(word string) {
	l.allow(goodbye)
	if l.say(word) == nil {
		_, _ = l.hear()
	}
}

// say sends a line.
func (l *lines) say(line string) error {
	_, err := io.WriteString(l.witness, line+"\r\n")
	return err
}

// hear reads a line, without its end.
func (l *lines) hear() (string, error) {
	line, err := l.text.ReadSlice('\n')
	return strings.TrimRight(string(line), "\r\n"), err
}

// ask sends a line and reads the answer's first.
func (l *lines) ask(line string) (string, error) {
	l.allow(patience)
	if err := l.say(line); err != nil {
		return "", err
	}
	return l.hear()
}

// errNotProtocol is about what is no answer of the protocol.
var errNotProtocol = errors.New("no answer of the protocol")

func encode(message []byte) string { return base64.StdEncoding.EncodeToString(message) }

// phrase reads a line with what is announced as a literal put into it as a quoted string
// (RFC 9051 section 4.3, RFC 5804 section 4).
func (l *lines) phrase() (string, error) {
	whole := ""
	for {
		line, err := l.hear()
		if err != nil {
			return "", err
		}
		at := strings.LastIndexByte(line, '{')
		if at < 0 || !strings.HasSuffix(line, "}") {
			return whole + line, nil
		}
		size, err := strconv.ParseUint(strings.TrimSuffix(line[at+1:len(line)-1], "+"), 10, 16)
		if err != nil || size > maxReply {
			return "", errNotProtocol
		}
		literal := make([]byte, size)
		if _, err := io.ReadFull(l.text, literal); err != nil {
			return "", err
		}
		whole += line[:at] + `"` + string(literal) + `"`
	}
}

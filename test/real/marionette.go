//go:build real

package real

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// scriptTime is how long a script in Thunderbird may run, and answerTime how long until its answer must be there.
const (
	scriptTime = 2 * time.Minute
	answerTime = scriptTime + 10*time.Second
)

// marionette is a connection to the remote control that is built into Thunderbird: JSON in frames "LENGTH:JSON"
// over TCP. https://firefox-source-docs.mozilla.org/testing/marionette/Protocol.html
type marionette struct {
	connection net.Conn
	reader     *bufio.Reader
	commands   int // sent so far
}

// dialMarionette connects, and chooses the context of the program itself: without it scripts see web pages only.
func dialMarionette(address string) (*marionette, error) {
	connection, err := net.DialTimeout("tcp", address, 5*time.Second)
	if err != nil {
		return nil, err
	}
	m := &marionette{connection: connection, reader: bufio.NewReader(connection)}
	if err := m.begin(); err != nil {
		_ = connection.Close()
		return nil, err
	}
	return m, nil
}

func (m *marionette) begin() error {
	if err := m.connection.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return err
	}
	if _, err := m.read(); err != nil { // the greeting
		return err
	}
	for _, c := range []struct {
		name       string
		parameters any
	}{
		{"WebDriver:NewSession", map[string]any{}},
		{"Marionette:SetContext", map[string]string{"value": "chrome"}},
		{"WebDriver:SetTimeouts", map[string]int64{"script": scriptTime.Milliseconds()}},
	} {
		if _, err := m.call(c.name, c.parameters); err != nil {
			return err
		}
	}
	return nil
}

// call sends a command and returns the value of its answer.
func (m *marionette) call(name string, parameters any) (json.RawMessage, error) {
	if err := m.connection.SetDeadline(time.Now().Add(answerTime)); err != nil {
		return nil, err
	}
	m.commands++
	command, err := json.Marshal([]any{0, m.commands, name, parameters})
	if err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(m.connection, "%d:%s", len(command), command); err != nil {
		return nil, fmt.Errorf("send %s: %w", name, err)
	}
	frame, err := m.read()
	if err != nil {
		return nil, fmt.Errorf("read the answer to %s: %w", name, err)
	}
	var failure *struct{ Error, Message, Stacktrace string }
	var value json.RawMessage
	if err := json.Unmarshal(frame, &[]any{new(int), new(int), &failure, &value}); err != nil {
		return nil, fmt.Errorf("read the answer to %s: %w in %s", name, err, frame)
	}
	if failure != nil {
		return nil, fmt.Errorf("%s: %s: %s\n%s", name, failure.Error, failure.Message, failure.Stacktrace)
	}
	return value, nil
}

// run runs a script. It gets the arguments and, as the last one, a function to which it gives {value} or {error} in
// the end. The value is decoded into result, unless that is nil.
func (m *marionette) run(script string, result any, arguments ...any) error {
	answer, err := m.call("WebDriver:ExecuteAsyncScript", map[string]any{
		"script": script, "args": append([]any{}, arguments...), "newSandbox": true,
	})
	if err != nil {
		return err
	}
	var ended struct {
		Value struct {
			Value json.RawMessage
			Error string
		}
	}
	if err := json.Unmarshal(answer, &ended); err != nil {
		return fmt.Errorf("read what the script gave: %w in %s", err, answer)
	}
	if ended.Value.Error != "" {
		return fmt.Errorf("script: %s", ended.Value.Error)
	}
	if result == nil {
		return nil
	}
	return json.Unmarshal(ended.Value.Value, result)
}

// read reads a frame.
func (m *marionette) read() ([]byte, error) {
	length, err := m.reader.ReadString(':')
	if err != nil {
		return nil, err
	}
	const most = 16 << 20
	n, err := strconv.Atoi(length[:len(length)-1])
	if err != nil || n < 0 || n > most {
		return nil, fmt.Errorf("frame of length %q, want at most %d", length, most)
	}
	frame := make([]byte, n)
	_, err = io.ReadFull(m.reader, frame)
	return frame, err
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"mailconfd/doctor"
)

// origin says which line of the input an object is about.
type origin struct {
	Line  int    `json:"line"` // from 1
	Input string `json:"input"`
}

// examined is the line of JSON for what was examined.
type examined struct {
	origin
	doctor.Report
}

// refused is the line of JSON for what could not be examined.
type refused struct {
	origin
	Error string `json:"error"`
}

// errLines ends a run in which some lines could not be examined.
var errLines = errors.New("some lines could not be examined; their objects have an error")

// maxLine is what no line of the input can reach, in bytes: no address does. Of one that
// does maxShown are kept, to name it.
const (
	maxLine  = 4096
	maxShown = 60
)

// errTooLong is why such a line cannot be examined.
var errTooLong = errors.New("longer than any address: want one such as jane@example.org, or a domain")

// task is a line of the input.
type task struct {
	origin
	err error // why it is none that can be examined
}

// many examines what the lines of the input name, several at once, and writes a line of
// JSON for each, in the order in which they end. Faults win over lines that could not be
// examined when it comes to the exit code.
func (c *examiner) many(ctx context.Context, in io.Reader) error {
	tasks := make(chan task)
	broken := make(chan error, 1)
	go func() { // reading a terminal cannot be stopped: nobody waits for this one
		defer close(tasks)
		broken <- readTasks(ctx, in, tasks)
	}()
	out := &lineWriter{examiner: c, tell: c.waiting()}
	var workers sync.WaitGroup
	for range c.flags.atOnce {
		workers.Go(func() { out.work(ctx, tasks) })
	}
	workers.Wait()
	out.tell.clear()
	switch {
	case ctx.Err() != nil:
		fmt.Fprintf(c.stderr, "mailconfd: addresses that are done: %d\n", out.count)
		return ctx.Err()
	case out.broken != nil:
		return out.broken
	}
	if err := <-broken; err != nil {
		return err
	}
	if out.faults != nil {
		return out.faults
	}
	return out.bad
}

// readTasks hands out the lines, less those that are blank or begin with "#".
func readTasks(ctx context.Context, in io.Reader, tasks chan<- task) error {
	lines := bufio.NewReaderSize(in, maxLine)
	for n := 1; ; n++ {
		t, err := readTask(lines)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read standard input: %w", err)
		case t.Input == "" || strings.HasPrefix(t.Input, "#"):
			continue
		}
		t.Line = n
		select {
		case tasks <- t:
		case <-ctx.Done():
			return nil
		}
	}
}

// readTask reads one line. What is too long for one is skipped to its end.
func readTask(lines *bufio.Reader) (t task, err error) {
	line, more, err := lines.ReadLine()
	t.Input = strings.TrimSpace(string(line))
	if !more {
		return t, err
	}
	t.Input = strings.ToValidUTF8(t.Input[:min(len(t.Input), maxShown)], "") + "…"
	t.err = errTooLong
	for more && err == nil {
		_, more, err = lines.ReadLine()
	}
	if errors.Is(err, io.EOF) { // that was the last line; the next read says so again
		err = nil
	}
	return t, err
}

// lineWriter writes what several workers find, a line at a time.
type lineWriter struct {
	*examiner
	tell *waiting

	mu     sync.Mutex
	count  int
	faults error // errFaults, once there was one
	bad    error // errLines, once there was one, or errUntested
	broken error // standard output is
}

func (o *lineWriter) work(ctx context.Context, tasks <-chan task) {
	for {
		select {
		case t, more := <-tasks:
			if !more || o.examineOne(ctx, t) != nil {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// examineOne examines one line and writes its object. The error ends everything.
func (o *lineWriter) examineOne(ctx context.Context, t task) error {
	var result any
	var end error // what the report comes to
	a, typed, err := whom(t.Input)
	if t.err != nil {
		err = t.err
	}
	if err == nil {
		report, failed := o.examine(ctx, a, typed, o.tell)
		result, end, err = examined{t.origin, report}, outcome(report), failed
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case o.broken != nil:
		return o.broken
	case err != nil:
		result, o.bad = refused{t.origin, err.Error()}, errLines
	case errors.Is(end, errFaults):
		o.faults = end
	case end != nil && o.bad == nil:
		o.bad = end
	}
	o.count++
	o.tell.clear()
	o.broken = writeLine(o.stdout, result)
	return o.broken
}

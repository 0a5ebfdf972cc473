package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
)

// refusal is the line of JSON for what could not be examined.
type refusal struct {
	Line  int    `json:"line"`
	Input string `json:"input"`
	Error string `json:"error"`
}

// errLines ends a run in which some lines could not be examined.
var errLines = errors.New("some lines could not be examined; their objects have an error")

// task is a line of the input.
type task struct {
	line int
	text string
}

// many examines what the lines of the input name, several at once, and writes a line of
// JSON for each, in the order in which they end. Faults win over lines that could not be
// examined when it comes to the exit code.
func (c *clinic) many(ctx context.Context, in io.Reader) error {
	tasks := make(chan task)
	broken := make(chan error, 1)
	go func() { // reading a terminal cannot be stopped: nobody waits for this one
		defer close(tasks)
		broken <- readTasks(ctx, in, tasks)
	}()
	out := &lineWriter{clinic: c, tell: c.waiting()}
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
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		select {
		case tasks <- task{n, text}:
		case <-ctx.Done():
			return nil
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read standard input: %w", err)
	}
	return nil
}

// lineWriter writes what several workers find, a line at a time.
type lineWriter struct {
	*clinic
	tell *waiting

	mu     sync.Mutex
	count  int
	faults error // errFaults, once there was one
	bad    error // errLines, once there was one
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
	a, err := patient(t.text)
	var faults error
	if err == nil {
		report, failed := o.examine(ctx, a, t.text, o.tell)
		result, faults, err = report, faultsIn(report), failed
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case o.broken != nil:
		return o.broken
	case err != nil:
		result, o.bad = refusal{t.line, t.text, err.Error()}, errLines
	case faults != nil:
		o.faults = faults
	}
	o.count++
	o.tell.clear()
	o.broken = writeLine(o.stdout, result)
	return o.broken
}

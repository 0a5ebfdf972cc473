package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailconfd/doctor"
	"mailconfd/internal/lab"
)

// Whatever stands in a line, each is a task of its own number.
func TestReadTasks(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 1<<20)
	for name, c := range map[string]struct {
		in   string
		want []task
	}{
		"nothing":           {"", nil},
		"blank and comment": {"\n  \n# example.org\n#" + long + "\n", nil},
		"no last newline":   {"example.org", []task{{origin{1, "example.org"}, nil}}},
		"CRLF":              {"\r\n example.org \r\n", []task{{origin{2, "example.org"}, nil}}},
		"too long": {"a.example\n" + long + "@example.org\n\nb.example\n", []task{
			{origin{1, "a.example"}, nil}, {origin{2, long[:maxShown] + "…"}, errTooLong}, {origin{4, "b.example"}, nil},
		}},
		"too long at the end": {long, []task{{origin{1, long[:maxShown] + "…"}, errTooLong}}},
		"the buffer, full":    {long[:maxLine] + "\nb.example", []task{{origin{1, long[:maxShown] + "…"}, errTooLong}, {origin{2, "b.example"}, nil}}},
		"one less":            {long[:maxLine-1] + "\nb.example", []task{{origin{1, long[:maxLine-1]}, nil}, {origin{2, "b.example"}, nil}}},
		"cut in a letter": {
			long[:maxShown-1] + "é" + long + "\n", []task{{origin{1, long[:maxShown-1] + "…"}, errTooLong}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tasks := make(chan task, 10)
			if err := readTasks(t.Context(), strings.NewReader(c.in), tasks); err != nil {
				t.Error(err)
			}
			close(tasks)
			var got []task
			for t := range tasks {
				got = append(got, t)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// What people paste names whom to examine too.
func TestWhom(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][2]string{
		"jane@example.org":                  {"jane@example.org", "jane@example.org"},
		" example.org ":                     {"jane@example.org", "example.org"},
		"Joe Doe <joe@example.org>":         {"joe@example.org", "joe@example.org"},
		"<joe@example.org>":                 {"joe@example.org", "joe@example.org"},
		"mailto:joe@example.org":            {"joe@example.org", "joe@example.org"},
		"mailto:joe@example.org?subject=hi": {"joe@example.org", "joe@example.org"},
		"https://example.org":               {"jane@example.org", "example.org"},
		"http://example.org:8080/mail?a=b":  {"jane@example.org", "example.org"},
		"joe@bücher.example":                {"joe@xn--bcher-kva.example", "joe@bücher.example"},
	} {
		a, typed, err := whom(text)
		if err != nil || a.String() != want[0] || typed != want[1] {
			t.Errorf("%q: %s, typed %q, %v; want %q", text, a, typed, err, want)
		}
	}
	for _, text := range []string{"", "<>", "Jane <jane", "ftp://example.org", "https://", "jane doe", "mailto:"} {
		if a, _, err := whom(text); err == nil {
			t.Errorf("%q is taken for %s", text, a)
		}
	}
}

// Whoever stops it has what was done until then, in whole lines.
func TestDoctorManyIsStopped(t *testing.T) {
	t.Parallel()
	internet, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = internet.Close() })
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, internet.CA().RootPEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	environ := []string{"MAILCONFD_CA_FILE=" + ca, "MAILCONFD_RESOLVER=" + internet.Resolver(), "MAILCONFD_VIA=" + internet.ProxyURL()}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	in, typed := io.Pipe() // stays open: there could be more
	out, written := io.Pipe()
	var stderr bytes.Buffer
	code := make(chan int)
	go func() {
		code <- run(ctx, []string{"doctor", "-", "--only", "thunderbird"}, environ, in, written, &stderr)
		_ = written.Close()
	}()
	if _, err := io.WriteString(typed, "example.test\n"); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		t.Fatal("no line comes before the input ends")
	}
	var report doctor.Report
	if err := json.Unmarshal(lines.Bytes(), &report); err != nil || report.Address != "jane@example.test" {
		t.Errorf("%v: %s", err, lines.Bytes())
	}
	stop()
	if got := <-code; got != exitCannot || lines.Scan() {
		t.Errorf("exit code %d, and more: %s", got, lines.Bytes())
	}
	if !strings.Contains(stderr.String(), "done: 1") {
		t.Error(stderr.String())
	}
	_ = typed.Close()
}

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailconfd/doctor"
	"mailconfd/internal/lab"
)

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

//go:build real

package real

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailconfd/internal/overview"
)

// replica is a "mailconfd serve" that can be killed and started again.
type replica struct {
	*daemon
	config string // path
	public string // HOST:PORT
	admin  string
}

func newReplica(t *testing.T, dir, name string, number int) *replica {
	t.Helper()
	r := &replica{
		daemon: &daemon{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})},
		config: filepath.Join(dir, name+".yaml"),
		public: fmt.Sprintf("127.0.0.1:%d", 8080+number),
		admin:  fmt.Sprintf("127.0.0.1:%d", 9090+number),
	}
	t.Cleanup(func() {
		if r.command != nil {
			r.stop()
		}
		if t.Failed() {
			t.Logf("%s, the end of its output:\n%s", name, r.tail())
		}
	})
	return r
}

// start starts the program, again after it has ended. Its output goes on in the same file.
func (r *replica) start(t *testing.T) {
	t.Helper()
	output, err := os.OpenFile(r.log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	d := &daemon{name: r.name, log: r.log, done: make(chan struct{})}
	d.command = exec.Command(program(t), "serve", "--config", r.config)
	d.command.Stdout, d.command.Stderr = output, output
	d.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if err := d.command.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.done)
		_ = d.command.Wait()
	}()
	r.daemon = d
}

// kill ends the program by SIGKILL. An error is that it had ended before.
func (r *replica) kill() error {
	err := r.command.Process.Signal(syscall.SIGKILL)
	<-r.done
	return err
}

// ready waits until the replica is ready to answer.
func (r *replica) ready(t *testing.T) {
	t.Helper()
	r.eventually(t, startWithin, "be ready", func() error {
		_, err := r.ask("http://"+r.admin+"/readyz", "")
		return err
	})
}

// clientSees is what a client can see of an answer.
type clientSees struct {
	status     int
	etag, body string
}

// ask gets a URL, on a connection of its own. The error is nil for 200 alone.
func (r *replica) ask(url, host string) (clientSees, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // what Thunderbird waits
	defer cancel()
	asked, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return clientSees{}, err
	}
	asked.Host, asked.Close = host, true
	response, err := http.DefaultClient.Do(asked)
	if err != nil {
		return clientSees{}, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 32<<20))
	if err != nil {
		return clientSees{}, err
	}
	got := clientSees{response.StatusCode, response.Header.Get("ETag"), string(body)}
	if got.status != http.StatusOK {
		return got, fmt.Errorf("%s: %s: %s", url, response.Status, body)
	}
	return got, nil
}

// autoconfig asks as Thunderbird does.
func (r *replica) autoconfig() (clientSees, error) {
	return r.ask("http://"+r.public+autoconfigRequest.path, autoconfigRequest.host)
}

// report is what the API of the admin listener tells.
func (r *replica) report() (known overview.Report, err error) {
	got, err := r.ask("http://"+r.admin+"/api/v1/services?limit=100", "")
	if err != nil {
		return known, err
	}
	return known, json.Unmarshal([]byte(got.body), &known)
}

// metric returns the sum of a metric over all labels that have a part of the text.
func (r *replica) metric(name, labels string) (sum float64, err error) {
	got, err := r.ask("http://"+r.admin+"/metrics", "")
	if err != nil {
		return 0, err
	}
	found := false
	lines := bufio.NewScanner(bytes.NewReader([]byte(got.body)))
	for lines.Scan() {
		series, text, _ := strings.Cut(lines.Text(), " ")
		base, rest, _ := strings.Cut(series, "{")
		if base != name || !strings.Contains(rest, labels) {
			continue
		}
		value, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return 0, err
		}
		sum, found = sum+value, true
	}
	if !found && labels == "" {
		return 0, fmt.Errorf("no metric %s", name)
	}
	return sum, nil
}

// waitForMetric waits until a metric has a value.
func (r *replica) waitForMetric(t *testing.T, name, labels string, right func(float64) bool) {
	t.Helper()
	r.eventually(t, startWithin, "show "+name+" "+labels, func() error {
		value, err := r.metric(name, labels)
		if err == nil && !right(value) {
			err = fmt.Errorf("%s is %v", name, value)
		}
		return err
	})
}

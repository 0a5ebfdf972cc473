package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"mailconfd/internal/lab"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mailconfd": main})
}

// TestScripts runs the real program, a process each time, in a lab of its own. One
// script is one story. Beside the commands of testscript there are break, mend, get,
// await and hangup, below, map, zone and dav in script_lab_test.go, and those of login_test.go.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUpLab,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"sqlite": sqlite, "break": breakService, "mend": mendService, "get": get, "await": await, "hangup": hangUp, "lint": lint,
			"map": mapNames, "zone": setZone, "awaitfile": awaitFile, "logins": setLogins, "crash": crash, "leakless": leakless,
			"primary": startPrimary, "edit": editZone, "dump": dumpZone, "awaitzone": awaitZone,
			"dav": setDAV,
		},
	})
}

type labKey struct{}

// setUpLab starts a lab for a script and lets the program see it as the internet.
func setUpLab(env *testscript.Env) error {
	internet, err := lab.New()
	if err != nil {
		return err
	}
	env.Defer(func() { _ = internet.Close() })
	ca := filepath.Join(env.WorkDir, "ca.pem")
	if err := os.WriteFile(ca, internet.CA().RootPEM(), 0o644); err != nil {
		return err
	}
	env.Values[labKey{}] = internet
	env.Values[primaryKey{}] = &primaryOf{}
	env.Values[davKey{}] = map[string]*davServer{}
	env.Setenv("MAILCONFD_CA_FILE", ca)
	env.Setenv("MAILCONFD_RESOLVER", internet.Resolver())
	env.Setenv("MAILCONFD_VIA", internet.ProxyURL())
	env.Setenv("XDG_STATE_HOME", filepath.Join(env.WorkDir, "state"))
	if err := writeWebCertificate(env, internet); err != nil {
		return err
	}
	for _, name := range []string{"PUBLIC", "ADMIN", "SECURE", "PLAIN"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		env.Setenv(name, l.Addr().String())
		_ = l.Close()
	}
	return nil
}

func internetOf(ts *testscript.TestScript) *lab.Internet { return ts.Value(labKey{}).(*lab.Internet) }

// sqlite: sqlite FILE STATEMENT
func sqlite(ts *testscript.TestScript, neg bool, args []string) {
	db, err := sql.Open("sqlite", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(args[1])
	ts.Check(err)
}

// breakService: break SERVICE=FAULT ...
func breakService(ts *testscript.TestScript, neg bool, args []string) {
	for _, words := range args {
		service, fault, err := lab.ParseBreak(words)
		ts.Check(err)
		ts.Check(internetOf(ts).BreakAs(service, fault))
	}
}

// mendService: mend SERVICE ...
func mendService(ts *testscript.TestScript, neg bool, args []string) {
	for _, word := range args {
		service, err := lab.ParseService(word)
		ts.Check(err)
		ts.Check(internetOf(ts).Mend(service))
	}
}

// request is a GET or, with a body, a POST, as the arguments of get and await have it:
// [-host HOST] [-post FILE] [-lab] URL.
func request(ts *testscript.TestScript, args []string) (*http.Request, *http.Client, []string) {
	client := &http.Client{Timeout: 10 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	host, method := "", http.MethodGet
	var body io.Reader
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		switch flag := args[0]; {
		case flag == "-lab":
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM([]byte(ts.ReadFile("ca.pem")))
			client.Transport = &http.Transport{DialContext: internetOf(ts).Dial, TLSClientConfig: &tls.Config{RootCAs: pool}}
			args = args[1:]
		case flag == "-host" && len(args) > 1:
			host, args = args[1], args[2:]
		case flag == "-post" && len(args) > 1:
			method, body = http.MethodPost, strings.NewReader(ts.ReadFile(args[1]))
			args = args[2:]
		default:
			ts.Fatalf("unknown flag %s", flag)
		}
	}
	if len(args) == 0 {
		ts.Fatalf("no URL")
	}
	r, err := http.NewRequestWithContext(context.Background(), method, args[0], body)
	ts.Check(err)
	r.Host = host
	return r, client, args[1:]
}

// get: get [flags] URL STATUS. The body becomes stdout, the header stderr.
func get(ts *testscript.TestScript, neg bool, args []string) {
	r, client, rest := request(ts, args)
	response, err := client.Do(r)
	ts.Check(err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	ts.Check(err)
	_, _ = ts.Stdout().Write(body)
	for name, values := range response.Header {
		fmt.Fprintf(ts.Stderr(), "%s: %s\n", name, strings.Join(values, ", "))
	}
	if len(rest) == 1 && rest[0] != strconv.Itoa(response.StatusCode) {
		ts.Fatalf("status %s, want %s; %s", response.Status, rest[0], body)
	}
}

// await: await [flags] URL TEXT waits until the answer holds the text.
func await(ts *testscript.TestScript, neg bool, args []string) {
	until(ts, func() (bool, string) {
		r, client, rest := request(ts, args)
		response, err := client.Do(r)
		if err != nil {
			return false, err.Error()
		}
		defer response.Body.Close()
		body, _ := io.ReadAll(response.Body)
		last := response.Status + "\n" + string(body)
		return len(rest) == 1 && strings.Contains(last, rest[0]) != neg, last
	})
}

// awaitFile: awaitfile FILE TEXT waits until a file holds the text.
func awaitFile(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: awaitfile FILE TEXT")
	}
	until(ts, func() (bool, string) {
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && strings.Contains(string(data), args[1]) != neg, string(data)
	})
}

// until waits for something to be so, twenty seconds at the most.
func until(ts *testscript.TestScript, so func() (bool, string)) {
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, last := so()
		if ok {
			return
		}
		select {
		case <-deadline.C:
			ts.Fatalf("waited in vain; last: %s", last)
		case <-tick.C:
		}
	}
}

// hangUp: hangup sends SIGHUP to the commands in the background.
func hangUp(ts *testscript.TestScript, neg bool, args []string) {
	for _, job := range ts.BackgroundCmds() {
		ts.Check(job.Process.Signal(syscall.SIGHUP))
	}
}

package main

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"

	"mailconfd/internal/lab"
)

// writeWebCertificate puts web.pem and web.key into the script's directory: what a
// provider's web server has.
func writeWebCertificate(env *testscript.Env, internet *lab.Internet) error {
	certificate, err := internet.CA().Certificate(demoNames...)
	if err != nil {
		return err
	}
	chain, key, err := encode(certificate)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(env.WorkDir, "web.pem"), chain, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(env.WorkDir, "web.key"), key, 0o600)
}

// mapNames: map NAME:PORT=HOST:PORT ... lets names of the lab lead to listeners.
func mapNames(ts *testscript.TestScript, neg bool, args []string) {
	for _, arg := range args {
		from, to, _ := strings.Cut(arg, "=")
		name, port, _ := strings.Cut(from, ":")
		number, err := strconv.ParseUint(port, 10, 16)
		ts.Check(err)
		ts.Check(internetOf(ts).Map(name, uint16(number), to))
	}
}

type davKey struct{}

// davServer is a web server that leads from each well-known path to one place, and asks for
// a password there.
type davServer struct{ path atomic.Pointer[string] }

// ServeHTTP answers.
func (d *davServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch path := *d.path.Load(); {
	case path == "":
		http.NotFound(w, r)
	case r.URL.Path == path:
		w.Header().Set("WWW-Authenticate", `Basic realm="mail"`)
		w.WriteHeader(http.StatusUnauthorized)
	case r.URL.Path == "/.well-known/caldav", r.URL.Path == "/.well-known/carddav", r.URL.Path == "/.well-known/jmap":
		http.Redirect(w, r, path, http.StatusMovedPermanently)
	default:
		http.NotFound(w, r)
	}
}

// setDAV: dav NAME [PATH] lets the web server of a name lead to a path from now on, or know
// of nothing.
func setDAV(ts *testscript.TestScript, neg bool, args []string) {
	servers := ts.Value(davKey{}).(map[string]*davServer)
	name, path := args[0], strings.Join(args[1:], "")
	d := servers[name]
	if d == nil {
		d = new(davServer)
		servers[name] = d
		certificate, err := internetOf(ts).CA().Certificate(name)
		ts.Check(err)
		listener := httptest.NewUnstartedServer(d)
		listener.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
		listener.Config.ErrorLog = log.New(io.Discard, "", 0)
		d.path.Store(&path)
		listener.StartTLS()
		ts.Defer(listener.Close)
		ts.Check(internetOf(ts).Map(name, 443, listener.Listener.Addr().String()))
	}
	d.path.Store(&path)
}

// setZone: zone FILE... publishes the records of these zone files in the lab, and no others.
func setZone(ts *testscript.TestScript, neg bool, args []string) {
	var records []dns.RR
	for _, file := range args {
		parser := dns.NewZoneParser(strings.NewReader(ts.ReadFile(file)), ".", "")
		for rr, more := parser.Next(); more; rr, more = parser.Next() {
			records = append(records, rr)
		}
		ts.Check(parser.Err())
	}
	internetOf(ts).SetRecords(records)
}

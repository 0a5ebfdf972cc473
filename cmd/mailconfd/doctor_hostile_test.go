package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mailconfd/config"
	"mailconfd/doctor"
	"mailconfd/internal/lab"
	"mailconfd/settings"
)

// hostileLab is a lab in which every web name leads to one handler, over both schemes,
// and a world that looks into it.
func hostileLab(t *testing.T, handler http.Handler, timeout time.Duration) (*lab.Internet, world) {
	t.Helper()
	internet, err := lab.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = internet.Close() })
	certificate, err := internet.CA().Certificate(demoNames...)
	if err != nil {
		t.Fatal(err)
	}
	secure, plain := httptest.NewUnstartedServer(handler), httptest.NewServer(handler)
	secure.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	secure.Config.ErrorLog, plain.Config.ErrorLog = log.New(io.Discard, "", 0), log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	t.Cleanup(plain.Close)
	for _, name := range demoNames {
		for port, s := range map[uint16]*httptest.Server{443: secure, 80: plain} {
			if err := internet.Map(name, port, s.Listener.Addr().String()); err != nil {
				t.Fatal(err)
			}
		}
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, internet.CA().RootPEM(), 0o644); err != nil {
		t.Fatal(err)
	}
	a := &app{stdout: io.Discard, stderr: io.Discard, log: slog.New(slog.DiscardHandler)}
	w, err := a.outside(config.Config{Resolver: internet.Resolver(), Probe: config.Probe{CAFile: ca, Via: internet.ProxyURL()}}, timeout)
	if err != nil {
		t.Fatal(err)
	}
	return internet, w
}

func examineLab(t *testing.T, w doctor.World) doctor.Report {
	t.Helper()
	d, err := doctor.New(doctor.Options{World: w})
	if err != nil {
		t.Fatal(err)
	}
	// Each client waits for its own URLs in turn, so that slow answers add up.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	report := d.Examine(ctx, settings.Address{Local: "jane", Domain: lab.Domain})
	if ctx.Err() != nil {
		t.Fatal("it does not end")
	}
	return report
}

// A server of evil mind can neither hang the doctor nor let it grow.
func TestDoctorAmongHostileServers(t *testing.T) {
	t.Parallel()
	entities := "<!DOCTYPE clientConfig [<!ENTITY a0 \"ha\">"
	for i := range 30 {
		entities += fmt.Sprintf("<!ENTITY a%d \"%s\">", i+1, strings.Repeat(fmt.Sprintf("&a%d;", i), 10))
	}
	stuffing := bytes.Repeat([]byte("<a>"), 1<<20)
	xml := func(w http.ResponseWriter) { w.Header().Set("Content-Type", "text/xml") }
	for name, handler := range map[string]http.HandlerFunc{
		"endless redirects": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
		},
		"a redirect to itself": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, r.URL.String(), http.StatusTemporaryRedirect)
		},
		"entities": func(w http.ResponseWriter, _ *http.Request) {
			xml(w)
			_, _ = io.WriteString(w, entities+"]><clientConfig>&a30;</clientConfig>")
		},
		"depth": func(w http.ResponseWriter, _ *http.Request) {
			xml(w)
			_, _ = w.Write(stuffing)
		},
		"attributes": func(w http.ResponseWriter, _ *http.Request) {
			xml(w)
			_, _ = io.WriteString(w, "<clientConfig "+strings.Repeat("a='b' ", 30_000)+"/>")
		},
		"servers": func(w http.ResponseWriter, _ *http.Request) {
			xml(w)
			_, _ = io.WriteString(w, `<clientConfig><emailProvider id="example.test"><domain>example.test</domain>`)
			for i := range 5000 {
				_, _ = fmt.Fprintf(w, `<incomingServer type="imap"><hostname>h%d.example.test</hostname><port>993</port><socketType>SSL</socketType></incomingServer>`, i)
			}
		},
		"10 GB": func(w http.ResponseWriter, _ *http.Request) {
			xml(w)
			w.Header().Set("Content-Length", "10000000000")
			for {
				if _, err := w.Write(stuffing); err != nil {
					return
				}
			}
		},
		"drip": func(w http.ResponseWriter, _ *http.Request) {
			xml(w)
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				if _, err := io.WriteString(w, " "); err != nil || http.NewResponseController(w).Flush() != nil {
					return
				}
				<-tick.C
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			_, w := hostileLab(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				handler(w, r)
			}), 300*time.Millisecond)
			examineLab(t, w)
			if n := asked.Load(); n > 500 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

// A public host cannot send the doctor into our own network, by any redirect, and by no
// name in DNS.
func TestDoctorStaysOutside(t *testing.T) {
	t.Parallel()
	var inside atomic.Int32
	secret := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inside.Add(1) }))
	t.Cleanup(secret.Close)
	_, port, _ := net.SplitHostPort(secret.Listener.Addr().String())
	var n atomic.Int32
	targets := []string{"127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "inside.example.test", "0.0.0.0", "localhost"}
	internet, w := hostileLab(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target := targets[int(n.Add(1))%len(targets)]
		http.Redirect(w, r, "http://"+target+":"+port+"/mail/config-v1.1.xml", http.StatusFound)
	}), 5*time.Second)
	rr, err := dns.NewRR("inside.example.test. 60 A 127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	internet.DNS().Set(rr)
	report := examineLab(t, w)
	if n.Load() < 10 || inside.Load() > 0 {
		t.Errorf("%d redirects, %d led inside", n.Load(), inside.Load())
	}
	refused := false
	for _, c := range report.Clients {
		for _, s := range c.Steps {
			refused = refused || strings.Contains(s.Saw, "not on the public internet")
		}
	}
	if !refused {
		t.Error("no client's steps tell of it")
	}
}

// No request says more than a client would: no credential, no cookie, and who asks.
func TestDoctorSendsNoSecret(t *testing.T) {
	t.Parallel()
	headers := make(chan http.Header, 1000)
	_, w := hostileLab(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers <- r.Header
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	}), 5*time.Second)
	examineLab(t, w)
	close(headers)
	seen := 0
	for h := range headers {
		seen++
		if h.Get("Authorization")+h.Get("Cookie")+h.Get("Accept-Encoding") != "" || !strings.HasPrefix(h.Get("User-Agent"), "mailconfd-doctor/") {
			t.Error(h)
		}
	}
	if seen == 0 {
		t.Error("nothing was asked")
	}
}

// A certificate that is not good is told, not stopped at.
func TestWorldJudgesCertificates(t *testing.T) {
	t.Parallel()
	internet, w := hostileLab(t, http.NotFoundHandler(), 5*time.Second)
	if err := internet.Map("ua-auto-config."+lab.Domain, 443, "127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	h := w.Fetch(t.Context(), doctor.Request{Method: "GET", URL: "https://autoconfig.example.test/"})
	if h.Status != 404 || h.Certificate != nil || h.TLS == nil || h.Failure != nil || h.Private {
		t.Errorf("%+v", h)
	}
	other, err := internet.CA().Certificate("elsewhere.test")
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{other}}
	s.StartTLS()
	t.Cleanup(s.Close)
	if err := internet.Map("other.example.test", 443, s.Listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	h = w.Fetch(t.Context(), doctor.Request{Method: "GET", URL: "https://other.example.test/"})
	if h.Status != 404 || h.Certificate == nil || h.Certificate.Kind != settings.FailureCertificateName {
		t.Errorf("%+v", h)
	}
	for u, want := range map[string]settings.FailureKind{
		"https://ua-auto-config.example.test/": settings.FailureRefused,
		"https://nowhere.test/":                settings.FailureDNS,
		"http://other.example.test/":           settings.FailureRefused,
		"https://mail.example.test:143/":       settings.FailureTLS,
		"http://mail.example.test:143/":        settings.FailureProtocol,
		"gopher://mail.example.test/":          settings.FailureDNS,
	} {
		if h := w.Fetch(t.Context(), doctor.Request{Method: "GET", URL: u}); h.Status != 0 || h.Failure == nil || h.Failure.Kind != want {
			t.Errorf("%s: want %s, got %+v", u, want, h.Failure)
		}
	}
}

// A connection that is closed before a byte comes is told: a proxy may be all there is.
func TestWorldTellsSilence(t *testing.T) {
	t.Parallel()
	internet, w := hostileLab(t, http.NotFoundHandler(), 5*time.Second)
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() })
	go func() {
		for {
			c, err := mute.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	for _, port := range []uint16{80, 443} {
		if err := internet.Map("mute.example.test", port, mute.Addr().String()); err != nil {
			t.Fatal(err)
		}
	}
	for u, want := range map[string]bool{
		"http://mute.example.test/": true, "https://mute.example.test/": true,
		"http://example.test/": false, "https://example.test/": false, "https://nowhere.test/": false,
		"https://mail.example.test:143/": false, "https://mail.example.test:1/": false,
	} {
		if h := w.Fetch(t.Context(), doctor.Request{Method: "GET", URL: u}); h.Silent != want {
			t.Errorf("%s: %+v %+v", u, h, h.Failure)
		}
	}
}

func TestWorldLooksUp(t *testing.T) {
	t.Parallel()
	internet, w := hostileLab(t, http.NotFoundHandler(), 5*time.Second)
	a := w.Lookup(t.Context(), lab.Domain, doctor.TypeMX)
	if len(a.Records) != 1 || a.Records[0].Host != lab.Host || a.Failure != nil {
		t.Errorf("%+v", a)
	}
	loop, err := dns.NewRR("loop.example.test. 60 CNAME loop.example.test.")
	if err != nil {
		t.Fatal(err)
	}
	internet.DNS().Set(loop)
	if a = w.Lookup(t.Context(), "loop.example.test", doctor.TypeA); a.Failure == nil || a.Failure.Kind != settings.FailureDNS {
		t.Errorf("%+v", a)
	}
	internet.DNS().Fail("broken.example.test", lab.DNSServFail)
	if a = w.Lookup(t.Context(), "broken.example.test", doctor.TypeA); a.Failure == nil || a.Failure.Kind != settings.FailureLocal {
		t.Errorf("%+v", a)
	}
}

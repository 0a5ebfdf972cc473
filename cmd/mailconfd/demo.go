package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"mailconfd/autoconfig"
	"mailconfd/autodiscover"
	"mailconfd/config"
	"mailconfd/internal/lab"
	"mailconfd/internal/server"
	"mailconfd/internal/store"
	"mailconfd/settings"
	"mailconfd/srvrecords"
)

func (a *app) demo() *cobra.Command {
	var (
		listen, dir string
		breaks      []string
	)
	c := &cobra.Command{
		Use:   "demo",
		Short: "show all of it on this machine, with no set-up and no root",
		Long: `demo starts a small internet on loopback: mail servers for example.test, a
certification authority, a DNS server, and a SOCKS5 proxy through which other
programs see all of it at its real names and ports. It probes the servers,
serves what works, and prints what Thunderbird and Outlook would set up. It stays
up until it is interrupted. While it runs it reads, from standard input, lines
such as "break imaps=refused" and "mend imaps".`,
		Example: `  mailconfd demo
  mailconfd demo --break submission=refused --break imaps=certificate_expired
  mailconfd demo --dir /tmp/demo     # then, elsewhere: . /tmp/demo/demo.env`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if !c.Flags().Changed("log-level") {
				a.logLevel = "error" // the demo says in its own words what changes
				if err := a.setUpLog(); err != nil {
					return err
				}
			}
			show, err := a.newShow(listen, dir, breaks)
			if err != nil {
				return err
			}
			return errors.Join(show.run(c.Context()), show.close())
		},
	}
	c.Flags().StringVar(&listen, "listen", "127.0.0.1:0", "`ADDRESS` for plain HTTP that always serves the documents, for curl")
	c.Flags().StringVar(&dir, "dir", "", "`DIR` that keeps ca.pem and demo.env (default: a temporary one, removed at the end)")
	c.Flags().StringArrayVar(&breaks, "break", nil, "`SERVICE=FAULT` to begin with, such as imaps=refused or submission:2525=no_starttls; repeatable")
	return c
}

// The demo's people and names.
const (
	demoAddress  = lab.User
	demoInterval = 2 * time.Second
)

// demoNames are where the demo answers over HTTP and HTTPS.
var demoNames = []string{lab.Domain, "autoconfig." + lab.Domain, "autodiscover." + lab.Domain}

// show is a running demo.
type show struct {
	*app
	screen
	internet  *lab.Internet
	daemon    *daemon
	listeners []server.Listener
	dir       string
	temporary bool

	mu     sync.Mutex // what is printed comes from several goroutines
	newest settings.Result
	opened bool                     // the first answer has been told
	late   bool                     // it waits no longer for slow services
	told   map[server.Format]string // what each client was last said to set up
}

// patience is how long the first answer is held back for services that do not change
// it: all of them are answered within it unless one is broken to be slow.
const patience = settings.FirstAnswer + time.Second

// newShow starts the lab and builds the daemon in it.
func (a *app) newShow(listen, dir string, breaks []string) (s *show, err error) {
	s = &show{app: a, screen: a.screenOf(a.stdout), dir: dir, told: map[server.Format]string{}}
	defer func() {
		if err != nil {
			_ = s.close()
		}
	}()
	if s.internet, err = lab.New(); err != nil {
		return s, err
	}
	for _, words := range breaks {
		if _, err := s.breakService(words); err != nil {
			return s, err
		}
	}
	if err := s.writeFiles(); err != nil {
		return s, err
	}
	return s, s.build(listen)
}

// breakService lets a service show a fault, by the words of --break.
func (s *show) breakService(words string) (settings.Service, error) {
	service, fault, err := lab.ParseBreak(words)
	if err != nil {
		return service, err
	}
	return service, s.internet.BreakAs(service, fault)
}

func (s *show) caFile() string { return filepath.Join(s.dir, "ca.pem") }

// variables returns what lets other programs look into the demo.
func (s *show) variables() [][2]string {
	return [][2]string{
		{"MAILCONFD_CA_FILE", s.caFile()},
		{"MAILCONFD_RESOLVER", s.internet.Resolver()},
		{"MAILCONFD_VIA", s.internet.ProxyURL()},
	}
}

// writeFiles writes the authority's root, the variables, and the web certificate.
func (s *show) writeFiles() (err error) {
	if s.dir == "" {
		s.dir, err = os.MkdirTemp("", "mailconfd-demo-")
		s.temporary = true
	} else if s.dir, err = filepath.Abs(s.dir); err == nil {
		err = os.MkdirAll(s.dir, 0o755)
	}
	if err != nil {
		return err
	}
	var env strings.Builder
	for _, v := range s.variables() {
		fmt.Fprintf(&env, "export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
	}
	certificate, err := s.internet.CA().Certificate(demoNames...)
	if err != nil {
		return err
	}
	chain, key, err := encode(certificate)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		data []byte
		mode os.FileMode
	}{
		{"ca.pem", s.internet.CA().RootPEM(), 0o644},
		{"demo.env", []byte(env.String()), 0o644},
		{"web.pem", chain, 0o644},
		{"web.key", key, 0o600},
	} {
		if err := os.WriteFile(filepath.Join(s.dir, f.name), f.data, f.mode); err != nil {
			return err
		}
	}
	return nil
}

// encode writes a certificate and its key as PEM.
func encode(c tls.Certificate) (chain, key []byte, err error) {
	for _, der := range c.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	return chain, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// build puts a daemon into the lab, with short times, and its doors at their names.
func (s *show) build(listen string) error {
	cfg, _, err := config.Load(config.Options{
		MailHost: lab.Host, Domains: []string{lab.Domain},
		Flags: map[string]string{"resolver": s.internet.Resolver(), "via": s.internet.ProxyURL(), "ca-file": s.caFile()},
	})
	if err != nil {
		return err
	}
	cfg.Probe.Interval = demoInterval
	cfg.Policy.MaxAge, cfg.Policy.Grace = time.Minute, 10*time.Minute
	cfg.Policy.WithdrawAfter, cfg.Policy.WithdrawAfterTime = 2, demoInterval
	cfg.TLS = config.TLS{
		Mode: config.TLSFiles, Listen: []string{"127.0.0.1:0"}, HTTPListen: []string{"127.0.0.1:0"},
		Certificates: []config.Certificate{{CertFile: filepath.Join(s.dir, "web.pem"), KeyFile: filepath.Join(s.dir, "web.key")}},
	}
	cfg.AdminListen = "127.0.0.1:0"
	w, err := s.outside(cfg, 10*time.Second)
	if err != nil {
		return err
	}
	if s.daemon, err = newDaemon(cfg, w, &store.Memory{}, s.log); err != nil {
		return err
	}
	s.daemon.changed = s.changed
	ctx := context.Background()
	open, err := server.Listen(ctx, server.Open, listen)
	if err != nil {
		return err
	}
	s.listeners = append(s.listeners, open)
	more, err := openDoors(ctx, cfg)
	s.listeners = append(s.listeners, more...)
	if err != nil {
		return err
	}
	return s.hang(more)
}

// hang puts the doors where the names lead.
func (s *show) hang(listeners []server.Listener) error {
	ports := map[server.Door]uint16{server.Secure: 443, server.Redirect: 80}
	for _, l := range listeners {
		for _, name := range demoNames {
			if port, ok := ports[l.Door]; ok {
				if err := s.internet.Map(name, port, l.Addr().String()); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// close takes everything down.
func (s *show) close() error {
	var all []error
	for _, l := range s.listeners {
		_ = l.Close() // the server has closed them already, where it ran
	}
	if s.internet != nil {
		all = append(all, s.internet.Close())
	}
	if s.temporary {
		all = append(all, os.RemoveAll(s.dir))
	}
	return errors.Join(all...)
}

// run shows until ctx ends.
func (s *show) run(ctx context.Context) error {
	fmt.Fprintf(s, "%s\n", s.paint(text.Bold, "mailconfd demo: a mail provider on this machine; nothing leaves it"))
	fmt.Fprintf(s, "probing %d services of %s …\n", len(settings.Candidates(lab.Host)), lab.Host)
	go s.listenToWords(ctx)
	impatient := time.AfterFunc(patience, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.late = true
		s.tell()
	})
	defer impatient.Stop()
	return s.daemon.run(ctx, s.listeners, nil, nil)
}

// listenToWords obeys what is typed. The end of standard input is not the end of the
// demo: it may have none.
func (s *show) listenToWords(ctx context.Context) {
	lines := bufio.NewScanner(s.stdin)
	for lines.Scan() && ctx.Err() == nil {
		if words := strings.TrimSpace(lines.Text()); words != "" {
			s.obey(words)
		}
	}
}

func (s *show) obey(words string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	verb, rest, _ := strings.Cut(words, " ")
	var service settings.Service
	var err error
	switch verb {
	case "break":
		service, err = s.breakService(rest)
	case "mend":
		if service, err = lab.ParseService(rest); err == nil {
			err = s.internet.Mend(service)
		}
	default:
		err = fmt.Errorf("%q: want break SERVICE=FAULT or mend SERVICE", words)
	}
	if err != nil {
		fmt.Fprintln(s.stderr, "mailconfd: "+err.Error())
		return
	}
	fmt.Fprintf(s, "%s: done; what is published follows within seconds\n", verb+" "+service.String())
}

// changed takes in what clients are told now, and tells it.
func (s *show) changed(_ settings.Provider, r settings.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest = r
	s.tell()
}

// tell prints what is new. The caller holds mu.
func (s *show) tell() {
	r := s.newest
	if r.Verified.Provider().Name == "" {
		return // nothing has come yet
	}
	for _, role := range settings.Roles() {
		if r.Verified.Undecided(role) {
			return
		}
	}
	set, err := srvrecords.Compile(r, lab.Domain, srvrecords.Options{TTL: demoInterval})
	if err != nil {
		s.log.Error("no records", "error", err)
		return
	}
	s.internet.SetRecords(set.RRs())
	slow := slices.ContainsFunc(r.Withheld, func(w settings.Withheld) bool { return w.Why == settings.WhyNotProbed })
	if slow && !s.late {
		return
	}
	if !s.opened {
		s.opened = true
		s.opening(r, set)
		return
	}
	for _, c := range clients {
		if words := c.words(r.Verified); words != s.told[c.format] {
			s.told[c.format] = words
			s.heading(time.Now().Format(time.TimeOnly) + "  " + c.name + " would now set up")
			fmt.Fprint(s, words)
		}
	}
}

// client is a mail program and the document that it reads.
type client struct {
	name   string
	format server.Format
	choose func(settings.Verified) ([]settings.Service, error)
}

// clients are whose view the demo tells.
var clients = []client{
	{"Thunderbird", server.Autoconfig, func(v settings.Verified) ([]settings.Service, error) {
		d, err := autoconfig.Compile(v)
		return d.Services(), err
	}},
	{"Outlook", server.Autodiscover, func(v settings.Verified) ([]settings.Service, error) {
		d, err := autodiscover.Compile(v)
		return d.Services(), err
	}},
}

// opening tells the first answer, and what to try.
func (s *show) opening(r settings.Result, set srvrecords.Set) {
	for _, c := range clients {
		s.told[c.format] = c.words(r.Verified)
		s.heading(fmt.Sprintf("%s would set up, for %s (%s)", c.name, demoAddress, c.format))
		fmt.Fprint(s, s.told[c.format])
	}
	if len(r.Withheld) > 0 {
		s.heading("Withheld")
		for _, w := range r.Withheld {
			s.paragraph(2, "", w.String())
		}
	}
	s.heading("DNS records (mailconfd records)")
	for _, rr := range set.RRs() {
		fmt.Fprintln(s, "  "+strings.ReplaceAll(rr.String(), "\t", " "))
	}
	s.invitation()
}

// invitation prints commands to try. They are printed whole, to be copied.
func (s *show) invitation() {
	open := "http://" + s.listeners[0].Addr().String()
	proxy := strings.Replace(s.internet.ProxyURL(), "socks5:", "socks5h:", 1)
	autoconfigPath := "/mail/config-v1.1.xml?emailaddress=" + demoAddress
	s.heading("Try, in another terminal")
	fmt.Fprintf(s, "  curl '%s%s'\n", open, autoconfigPath)
	fmt.Fprintf(s, "  curl --proxy %s --cacert %s 'https://autoconfig.%s%s'\n", proxy, s.caFile(), lab.Domain, autoconfigPath)
	fmt.Fprintf(s, "  . %s\n", filepath.Join(s.dir, "demo.env"))
	fmt.Fprintf(s, "  %s probe %s\n", self(), lab.Host)
	fmt.Fprintf(s, "  %s records %s --mail-host %s\n", self(), lab.Domain, lab.Host)
	for _, l := range s.listeners {
		if l.Door == server.Admin {
			fmt.Fprintf(s, "  curl http://%s/metrics\n", l.Addr())
		}
	}
	s.heading("Or type here")
	fmt.Fprintln(s, "  break submission=refused      # and see the answer become 2525")
	fmt.Fprintln(s, "  mend submission")
	fmt.Fprintf(s, "\nCtrl-C ends it.\n")
}

// words says what a client would set up.
func (c client) words(v settings.Verified) string {
	services, err := c.choose(v)
	if err != nil {
		return "  nothing: " + err.Error() + "\n"
	}
	var b strings.Builder
	for _, service := range services {
		fmt.Fprintf(&b, "  %-4s  %s port %d, %s, user name %s\n", protocolWords(service.Role()), service.Host, service.Port, service.Security(), demoAddress)
	}
	return b.String()
}

func protocolWords(r settings.Role) string {
	if r == settings.RoleSubmission {
		return "SMTP"
	}
	return strings.ToUpper(string(r))
}

// self is how this program is called, for commands to be copied.
func self() string {
	executable, err := os.Executable()
	switch {
	case err == nil && strings.Contains(executable, "go-build"):
		return "go run ./cmd/mailconfd"
	case strings.ContainsRune(os.Args[0], filepath.Separator):
		return os.Args[0]
	default:
		return "mailconfd"
	}
}

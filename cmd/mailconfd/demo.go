package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"mailconfd/config"
	"mailconfd/internal/lab"
	"mailconfd/internal/server"
	"mailconfd/internal/store"
	"mailconfd/settings"
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
serves what works, lets the doctor look at it, and prints what each mail client
would set up. It stays up until it is interrupted. While it runs it reads lines
from standard input: "break imaps=refused", "mend imaps", "mend all", "help".`,
		Example: `  mailconfd demo
  mailconfd demo --break submission=refused --break imaps=certificate_expired
  mailconfd demo --dir ./demo        # then, elsewhere: . ./demo/demo.env`,
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
			// A terminal that is closed ends the demo too.
			ctx, stop := signal.NotifyContext(c.Context(), syscall.SIGHUP)
			defer stop()
			return errors.Join(show.run(ctx), show.close())
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
	world     world
	news      chan struct{}
	listeners []server.Listener
	dir       string // where ca.pem and demo.env are
	private   string // a temporary directory, removed at the end

	mu     sync.Mutex // what is printed comes from several goroutines
	newest settings.Result
	obeyed int               // how often a service was broken or mended
	opened bool              // the first answer has been told
	late   bool              // it waits no longer for slow services
	told   map[string]string // what each client was last said to set up
	wrong  string            // the faults and warnings that were last told
}

// patience is how long the first answer is held back for services that do not change
// it: all of them are answered within it unless one is broken to be slow.
const patience = settings.FirstAnswer + time.Second

// newShow starts the lab and builds the daemon in it.
func (a *app) newShow(listen, dir string, breaks []string) (s *show, err error) {
	s = &show{app: a, screen: a.screenOf(a.stdout), dir: dir, told: map[string]string{}, news: make(chan struct{}, 1)}
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
		Certificates: []config.Certificate{{CertFile: filepath.Join(s.private, "web.pem"), KeyFile: filepath.Join(s.private, "web.key")}},
	}
	cfg.AdminListen = "127.0.0.1:0"
	cfg.SelfCheck = false // the demo lets the doctor look and tells it
	if s.world, err = s.outside(cfg, 10*time.Second); err != nil {
		return err
	}
	if s.daemon, err = newDaemon(cfg, s.world, &store.Memory{}, s.log); err != nil {
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
	if s.private != "" {
		all = append(all, os.RemoveAll(s.private))
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
		s.poke()
	})
	defer impatient.Stop()
	var narrator sync.WaitGroup
	narrator.Go(func() { s.narrate(ctx) })
	err := s.daemon.run(ctx, s.listeners, nil, nil)
	narrator.Wait()
	return err
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
	rest = strings.TrimSpace(rest)
	var err error
	switch {
	case verb == "help":
		s.help()
		return
	case verb == "break":
		_, err = s.breakService(rest)
	case verb == "mend" && rest == "all":
		for _, service := range settings.Candidates(lab.Host) {
			err = errors.Join(err, s.internet.Mend(service))
		}
	case verb == "mend":
		var service settings.Service
		if service, err = lab.ParseService(rest); err == nil {
			err = s.internet.Mend(service)
		}
	default:
		err = fmt.Errorf("%q: want break SERVICE=FAULT, mend SERVICE, mend all or help", words)
	}
	if err != nil {
		fmt.Fprintln(s.stderr, "mailconfd: "+err.Error())
		return
	}
	s.obeyed++
	fmt.Fprintf(s, "%s %s: done; if clients are told something else then, it follows within seconds\n", verb, rest)
}

// help lists what can be typed.
func (s *show) help() {
	services := map[settings.Security][]string{}
	for _, service := range settings.Candidates(lab.Host) {
		name := string(service.Scheme)
		if !service.OnDefaultPort() {
			name += fmt.Sprintf(":%d", service.Port)
		}
		services[service.Security()] = append(services[service.Security()], name)
	}
	s.heading("break SERVICE=FAULT, mend SERVICE, mend all")
	for _, security := range []settings.Security{settings.STARTTLS, settings.ImplicitTLS} {
		s.paragraph(2, "", "For "+strings.Join(services[security], ", ")+" FAULT is one of")
		for _, fault := range lab.Faults(security) {
			s.paragraph(34, "    "+fault.String(), fault.Does())
		}
	}
}

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailconfd/doctor"
	"mailconfd/internal/lab"
	"mailconfd/internal/server"
	"mailconfd/settings"
	"mailconfd/srvrecords"
)

// changed takes in what is published now; narrate tells it.
func (s *show) changed(_ settings.Provider, r settings.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest = r
	s.poke()
}

// poke wakes narrate up.
func (s *show) poke() {
	select {
	case s.news <- struct{}{}:
	default: // it has not begun with the last news yet
	}
}

// narrate tells what is new until ctx ends. It asks as clients do, so that it must not
// hold up whoever publishes.
func (s *show) narrate(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.news:
		}
		s.mu.Lock()
		r, late := s.newest, s.late
		s.mu.Unlock()
		if set, ready := s.publishRecords(r, late); ready {
			s.tell(ctx, r, set)
		}
	}
}

// publishRecords puts the records of the answer into the lab's DNS. It is not ready for
// telling while something is still being probed.
func (s *show) publishRecords(r settings.Result, late bool) (set srvrecords.Set, ready bool) {
	if r.Verified.Provider().Name == "" || slices.ContainsFunc(settings.Roles(), r.Verified.Undecided) {
		return set, false
	}
	set, err := srvrecords.Compile(r, lab.Domain, srvrecords.Options{TTL: demoInterval})
	if err != nil {
		s.log.Error("no records", "error", err)
		return set, false
	}
	s.internet.SetRecords(set.RRs())
	slow := slices.ContainsFunc(r.Withheld, func(w settings.Withheld) bool { return w.Why == settings.WhyNotProbed })
	return set, !slow || late
}

// tell lets the doctor look, and prints what is new. A look in the middle of which a
// service was broken or mended is not told: it saw connections being cut.
func (s *show) tell(ctx context.Context, r settings.Result, set srvrecords.Set) {
	s.mu.Lock()
	obeyed := s.obeyed
	s.mu.Unlock()
	report, err := s.examine(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return
	case s.obeyed != obeyed:
		s.poke()
		return
	case err != nil:
		s.log.Error("doctor cannot look", "error", err)
		return
	}
	var changed []doctor.ClientReport
	for _, c := range report.Clients {
		if words := string(c.Verdict) + setup(c); words != s.told[c.Client] {
			s.told[c.Client] = words
			changed = append(changed, c)
		}
	}
	// What is wrong can change while all clients end as before.
	wrong := ""
	for _, f := range report.Findings {
		if f.Weight != doctor.Note {
			wrong += string(f.Kind) + f.Detail + "\n"
		}
	}
	news := len(changed) > 0 || wrong != s.wrong
	s.wrong = wrong
	switch {
	case !s.opened:
		s.opened = true
		s.opening(r, set, report)
	case news:
		s.change(report, changed)
	}
}

// change tells what has changed since it was last told.
func (s *show) change(report doctor.Report, changed []doctor.ClientReport) {
	s.heading(time.Now().Format(time.TimeOnly) + "  changed")
	s.diagnosis(report)
	if len(changed) > 0 {
		s.heading("These clients would now set up")
		s.setups(changed, false)
	}
}

// diagnosis tells the doctor's verdict, and what to mend.
func (s *show) diagnosis(report doctor.Report) {
	p := reportPrinter{screen: s.screen, Report: report}
	p.verdict()
	p.findings(doctor.Fault, doctor.Warning)
}

// examine asks for the demo's user as every client would, over the lab's network.
func (s *show) examine(ctx context.Context) (doctor.Report, error) {
	d, err := doctor.New(doctor.Options{World: s.world, Proxied: s.world.proxied})
	if err != nil {
		return doctor.Report{}, err
	}
	a, err := settings.ParseAddress(demoAddress)
	if err != nil {
		return doctor.Report{}, err
	}
	report := d.Examine(ctx, a)
	return report, cannotLook(report)
}

// opening tells the first answer, and what to try.
func (s *show) opening(r settings.Result, set srvrecords.Set, report doctor.Report) {
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
	s.heading("What mailconfd doctor says")
	s.diagnosis(report)
	s.heading("What mail clients set up")
	s.setups(report.Clients, false)
	s.invitation()
}

// invitation prints commands to try. They are printed whole, to be copied.
func (s *show) invitation() {
	open := "http://" + s.listeners[0].Addr().String()
	proxy := strings.Replace(s.internet.ProxyURL(), "socks5:", "socks5h:", 1)
	autoconfigPath := "/mail/config-v1.1.xml?emailaddress=" + demoAddress
	s.heading("Try, in another terminal")
	fmt.Fprintf(s, "  curl '%s%s'\n", open, autoconfigPath)
	fmt.Fprintf(s, "  curl --proxy %s --cacert %s 'https://autoconfig.%s%s'\n", proxy, plain(s.caFile()), lab.Domain, autoconfigPath)
	fmt.Fprintf(s, "  . %s     # unset MAILCONFD_CA_FILE MAILCONFD_RESOLVER MAILCONFD_VIA takes it back\n", plain(filepath.Join(s.dir, "demo.env")))
	fmt.Fprintf(s, "  %s doctor %s --explain\n", self(), demoAddress)
	fmt.Fprintf(s, "  %s probe %s\n", self(), lab.Host)
	fmt.Fprintf(s, "  %s records %s --mail-host %s\n", self(), lab.Domain, lab.Host)
	for _, l := range s.listeners {
		if l.Door == server.Admin {
			fmt.Fprintf(s, "  curl http://%s/metrics\n", l.Addr())
		}
	}
	s.heading("Or type here")
	fmt.Fprintln(s, "  break submission=refused      # and see the answer become 2525")
	fmt.Fprintln(s, "  mend submission               # help lists every fault")
	fmt.Fprintf(s, "\nCtrl-C ends it.\n")
}

// plain returns a path as a shell takes it, quoted only where it has to be.
func plain(path string) string {
	if strings.ContainsAny(path, " '\"$`\\\t\n&;()<>|*?[]#~") {
		return shellQuote(path)
	}
	return path
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

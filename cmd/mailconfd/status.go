package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"mailconfd/internal/overview"
	"mailconfd/internal/server"
	"mailconfd/settings"
)

func (a *app) status() *cobra.Command {
	var admin, as string
	c := &cobra.Command{
		Use:   "status",
		Short: "say what a running daemon knows",
		Long: `status asks the admin listener of a running mailconfd what is published for each
provider and on what ground, what is withheld and why, and what to mend. The
worst come first. The page in a browser says the same, with timelines and
dialogues.

Exit code 1: something fails, is published in grace, is withheld though it is
there, or the first probes are not over. Warnings alone: 0. Exit code 2: the
daemon cannot be reached.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := format(as, "table", "json"); err != nil {
				return err
			}
			if admin == "" {
				cfg, err := a.load(c, "")
				if err != nil {
					return err
				}
				if admin, err = adminURL(cfg.AdminListen); err != nil {
					return err
				}
			}
			report, body, err := server.Ask(c.Context(), admin)
			if err != nil {
				return fmt.Errorf("status: %w", err)
			}
			if as == "json" {
				_, err = a.stdout.Write(body)
			} else {
				a.screenOf(a.stdout).status(report, admin)
			}
			if err == nil && (report.Level == overview.Fault || report.Level == overview.Waiting || report.Levels[overview.Waiting] > 0) {
				err = errFaults
			}
			return err
		},
	}
	c.Flags().StringVar(&as, "format", "table", "`FORMAT` of the result: table or json")
	c.Flags().StringVar(&admin, "admin", "", "`URL` of the admin listener (default: from admin_listen)")
	configKeys(c, "admin-listen")
	return c
}

// adminURL returns where the admin listener of an address is found from here.
func adminURL(listen string) (string, error) {
	if listen == "" {
		return "", errors.New("status: there is no admin_listen in the configuration; give --admin URL")
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("status: admin_listen %q: %w", listen, err)
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		host = "127.0.0.1"
		if ip.Is6() {
			host = "::1"
		}
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

// status prints a report.
func (s screen) status(r overview.Report, admin string) {
	s.paragraph(2, "", fmt.Sprintf("mailconfd %s at %s, seen from %q at %s", r.Version, admin, r.Vantage, r.At.Format("2006-01-02 15:04:05 UTC")))
	s.paragraph(2, s.level(r.Level, r.Level.Mark()), r.Verdict())
	for _, text := range []string{r.State.Error, r.History} {
		if text != "" {
			s.paragraph(2, s.level(overview.Fault, overview.Fault.Mark()), "state: "+text)
		}
	}
	for _, p := range r.Providers {
		s.provider(r, p)
	}
	s.zones(r)
	if r.Pages > 1 {
		total := 0
		for _, n := range r.Levels {
			total += n
		}
		s.paragraph(0, "", fmt.Sprintf("\nThe first %d of %d providers; the page and /api/v1/services have the others.", len(r.Providers), total))
	}
}

// level paints words in the colour of a level.
func (s screen) level(l overview.Level, words string) string {
	switch l {
	case overview.Well:
		return s.paint(text.FgGreen, words)
	case overview.Warning:
		return s.paint(text.FgYellow, words)
	case overview.Fault:
		return s.paint(text.FgRed, words)
	default:
		return words
	}
}

// provider prints what is known of one provider.
func (s screen) provider(r overview.Report, p overview.Provider) {
	domains := "no domain"
	if p.Domains.Count > 0 {
		domains = overview.Count(p.Domains.Count, "domain", "domains") + ": " + strings.Join(p.Domains.First, ", ")
	}
	if p.Domains.Count > len(p.Domains.First) {
		domains += ", …"
	}
	fmt.Fprintln(s)
	s.paragraph(2, s.level(p.Level, p.Level.Mark()), s.paint(text.Bold, p.Provider)+" ("+domains+")")
	fmt.Fprintln(s)
	var hosts []string
	for _, service := range p.Services {
		if !slices.Contains(hosts, service.Service.Host) {
			hosts = append(hosts, service.Service.Host)
		}
	}
	for _, host := range hosts {
		s.services(r, p, host)
	}
	s.troubles(p)
}

// zones prints how it went with the zones that are kept in step.
func (s screen) zones(r overview.Report) {
	if r.Zones == nil {
		return
	}
	fmt.Fprintln(s)
	s.paragraph(2, s.level(r.Zones.Level, r.Zones.Level.Mark()), s.paint(text.Bold, "DNS")+" ("+overview.Count(r.Zones.Count, "zone", "zones")+" published by dynamic updates)")
	ago := func(words string, at *time.Time) string {
		if at == nil {
			return ""
		}
		return ", " + words + " " + overview.Span(r.At.Sub(*at)) + " ago"
	}
	for _, z := range r.Zones.First {
		words := z.Zone + " at " + z.Server + ": " + z.Stands() + ago("looked at", z.Looked) + ago("changed", z.Changed) + ago("failed", z.Failed)
		if z.Failing {
			words += ": " + z.Failure
		}
		s.paragraph(4, "  "+s.level(z.Level, z.Level.Mark()), words)
		for _, remark := range z.Remarks {
			s.paragraph(6, "", remark)
		}
	}
	if left := r.Zones.Count - len(r.Zones.First); left > 0 {
		s.paragraph(4, "", fmt.Sprintf("and %d more", left))
	}
}

// services prints a line for each service of a host. A narrow screen has no column for
// certificates, which --format json has.
func (s screen) services(r overview.Report, p overview.Provider, host string) {
	t := table.NewWriter()
	t.SetStyle(table.StyleDefault)
	t.Style().Options = table.Options{SeparateHeader: s.terminal}
	t.Style().Box.PaddingLeft, t.Style().Box.PaddingRight = "", "  "
	t.Style().Format.Header = text.FormatUpper
	fmt.Fprintln(s, "  "+host)
	header := table.Row{"service", "port", "stands", "for", "certificate until"}
	columns := len(header)
	if s.width < 80 {
		columns--
	}
	t.AppendHeader(header[:columns])
	for _, service := range p.Services {
		if service.Service.Host != host {
			continue
		}
		since, until := "", ""
		if service.Since != nil {
			since = overview.Span(r.At.Sub(*service.Since))
		}
		if service.Certificate != nil {
			until = service.Certificate.NotAfter.Format("2006-01-02")
		}
		stands := s.level(service.Level, service.Level.Mark()+" "+service.Stands())
		t.AppendRow(table.Row{service.Service.Scheme, fmt.Sprint(service.Service.Port), stands, since, until}[:columns])
	}
	for line := range strings.SplitSeq(t.Render(), "\n") {
		fmt.Fprintln(s, "  "+strings.TrimRight(line, " "))
	}
}

// troubles prints what to mend: of the provider as a whole, then each kind of failure and
// warning once, with where it was met and what to do about it.
func (s screen) troubles(p overview.Provider) {
	var all []*problem
	meet := func(l overview.Level, kind, meaning, remedy, detail string, service overview.Service) {
		i := slices.IndexFunc(all, func(p *problem) bool { return p.kind == kind })
		if i < 0 {
			i = len(all)
			all = append(all, &problem{mark: s.level(l, l.Mark()), kind: kind, meaning: meaning, remedy: remedy})
		}
		all[i].meet(detail, service.Service)
	}
	for _, service := range p.Services {
		if f := service.Failure; f != nil && service.Level != overview.Absent {
			meet(cmp.Or(service.Level, overview.Fault), string(f.Kind), f.Kind.Text().Meaning, service.Remedy, f.Detail, service)
		}
	}
	for _, service := range p.Services {
		for _, w := range service.Warnings {
			if w.Kind == settings.WarnCertificateExpires {
				continue // it is among the problems, once a certificate
			}
			meet(overview.Warning, string(w.Kind), w.Kind.Text().Meaning, w.Remedy, w.Detail, service)
		}
		if service.Disagree != "" {
			meet(overview.Warning, "vantages disagree", "it works from one place and fails from another", "look for a firewall, split DNS, or a device on the way that strips STARTTLS", service.Disagree, service)
		}
	}
	var drift []overview.Difference
	if p.Drift != nil {
		drift = slices.DeleteFunc(slices.Clone(p.Drift.Findings), func(d overview.Difference) bool { return d.Level() == overview.Well })
	}
	if len(all)+len(p.Problems)+len(drift) > 0 {
		s.heading("To mend")
	}
	for _, of := range p.Problems {
		s.paragraph(4, "  "+s.level(of.Level, of.Level.Mark()), of.Text)
	}
	for _, d := range drift {
		s.paragraph(4, "  "+s.level(d.Level(), d.Level().Mark()), "DNS: "+d.String())
		s.paragraph(6, "", "→ "+d.Remedy)
	}
	s.problems(all)
}

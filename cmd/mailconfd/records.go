package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mailconfd/config"
	"mailconfd/internal/outside"
	"mailconfd/settings"
	"mailconfd/srvrecords"
)

// recordSets is what the command records is asked for.
type recordSets struct {
	app      *app
	view     *view
	timeout  time.Duration
	probeNow bool
	mailHost string
	as       string // the form, or the format of a check

	zone     config.Zone // of the flags
	flags    *pflag.FlagSet
	book     *addressBook
	template bool
	server   string // for nsupdate
	check    bool
}

func (a *app) records() *cobra.Command {
	r := &recordSets{app: a}
	c := &cobra.Command{
		Use:   "records [DOMAIN…]",
		Short: "print the DNS records that the verified services call for, or check those in DNS",
		Long: `records prints the SRV records of RFC 6186 and its successors for each domain, and
those by which clients find the configuration host: as a zone file has them, or in
another form. It says what "mailconfd serve" has seen; where there is nothing fresh,
or with --probe, it looks at the mail servers. What has no record is told on stderr,
with the reason. Without a DOMAIN, all domains that the configuration names are
printed.

With --delegate-to they are aliases of a set that is kept once, at another domain:
for the zones of many customers. With --template, names are relative to the zone.

With --check nothing is printed but what DNS has otherwise: the name servers of the
zone are asked, each at each of its addresses, and the resolver. Exit 1 when
something differs.`,
		Example: `  mailconfd records example.org --mail-host mail.example.org
  mailconfd records customer.example --delegate-to hoster.example --format octodns
  mailconfd records --check`,
		RunE: func(c *cobra.Command, args []string) error { return r.run(c, args) },
	}
	lookOutside(c, &r.timeout)
	configKeys(c, "state")
	f := c.Flags()
	f.BoolVar(&r.probeNow, "probe", false, "look at the mail servers now, whatever a daemon knows")
	f.StringVar(&r.mailHost, "mail-host", "", "`HOST` whose default ports are the services, instead of a configuration")
	f.StringVar(&r.as, "format", "", "`FORMAT` of the records: zone, json (one object a domain), nsupdate, octodns or dnscontrol (default zone); of --check: table or json")
	f.DurationVar(&r.zone.TTL, "ttl", srvrecords.DefaultTTL, "`TIME` that resolvers may keep a record")
	f.StringVar(&r.zone.ConfigHost, "config-host", "", "`HOST` that answers autoconfig and Autodiscover (default: config_host of the zone, or canonical_host)")
	f.BoolVar(&r.zone.Addresses, "addresses", false, "give autoconfig, autodiscover and ua-auto-config the addresses of that host instead of aliases")
	f.BoolVar(&r.zone.Mailconf, "mailconf", false, "add the TXT record mailconf= at the domain itself, which only Himalaya reads")
	f.StringVar(&r.zone.Name, "zone", "", "`ZONE` that the domain is in, where it has none of its own")
	f.StringVar(&r.zone.DelegateTo, "delegate-to", "", "`DOMAIN` at which the set is kept: print aliases of it")
	f.BoolVar(&r.template, "template", false, "print a set for any domain of the provider, with names relative to the zone")
	f.StringVar(&r.server, "server", "", "name server that nsupdate sends to, `IP:PORT`")
	f.BoolVar(&r.check, "check", false, "say what DNS has otherwise, instead of printing")
	r.flags = f
	return c
}

func (r *recordSets) run(c *cobra.Command, args []string) error {
	if err := r.checkFlags(c, args); err != nil {
		return err
	}
	var err error
	if r.view, err = r.app.view(c, r.timeout, r.probeNow, r.mailHost, args...); err != nil {
		return err
	}
	r.book = newAddressBook(r.view.world)
	if r.template {
		return r.printTemplate(c.Context(), args)
	}
	domains, err := r.domains(args)
	if err != nil {
		return err
	}
	if r.check {
		return r.checkAll(c.Context(), domains)
	}
	for i, domain := range domains {
		set, _, err := r.set(c.Context(), domain)
		if err != nil {
			return err
		}
		r.app.printSet(set, r, len(domains) > 1, i > 0)
	}
	return nil
}

// checkFlags refuses flags that do not go together.
func (r *recordSets) checkFlags(c *cobra.Command, args []string) error {
	forms, standard := []string{"zone", "json", "nsupdate", "octodns", "dnscontrol"}, "zone"
	if r.check {
		forms, standard = []string{"table", "json"}, "table"
	}
	if r.as == "" {
		r.as = standard
	}
	if err := format(r.as, forms...); err != nil {
		return err
	}
	if r.zone.TTL < time.Second {
		return fmt.Errorf("--ttl %s: want whole seconds, such as 1h or 300s", r.zone.TTL)
	}
	if r.zone.DelegateTo != "" {
		to, err := settings.ParseDomain(r.zone.DelegateTo)
		if err != nil {
			return fmt.Errorf("--delegate-to: %w", err)
		}
		r.zone.DelegateTo = to
	}
	if r.server != "" {
		server, err := outside.ParseServer(r.server)
		if err != nil {
			return fmt.Errorf("--server %q: want the IP address of a name server, such as 192.0.2.53 or 192.0.2.53:5353", r.server)
		}
		r.server = server
	}
	switch {
	case r.template && (r.check || r.zone.Name != ""):
		return errors.New("--template is for no domain in particular: it does not go with --check or --zone")
	case r.template && len(args) > 1:
		return errors.New("--template: one set serves all domains of a provider: give one DOMAIN of it, or none where there is one provider")
	case r.server != "" && r.as != "nsupdate":
		return errors.New("--server is for --format nsupdate")
	}
	return nil
}

// domains returns the domains in canonical form: those given, or those configured.
func (r *recordSets) domains(args []string) ([]string, error) {
	names := args
	if len(names) == 0 {
		for d := range r.view.cfg.Domains() {
			if d.Name != "" {
				names = append(names, d.Name)
			}
		}
	}
	if len(names) == 0 {
		return nil, errors.New("no domain: give one, such as example.org; wildcards and MX rules name none")
	}
	if r.as == "octodns" && len(names) > 1 {
		return nil, errors.New("--format octodns: give one DOMAIN, since octoDNS has a file for each zone; or --template for a file that all can share")
	}
	domains := make([]string, len(names))
	for i, name := range names {
		domain, err := settings.ParseDomain(name)
		if err != nil {
			return nil, err
		}
		domains[i] = domain
	}
	return domains, nil
}

// set makes the records of a domain, and says how they are made.
func (r *recordSets) set(ctx context.Context, domain string) (srvrecords.Set, srvrecords.Options, error) {
	p, err := r.view.provider(ctx, domain)
	if err != nil {
		return srvrecords.Set{}, srvrecords.Options{}, err
	}
	return r.setOf(ctx, p, domain)
}

// setOf makes the records as publish does: as the configuration says of the zone that the
// domain is in, and before that the flags.
func (r *recordSets) setOf(ctx context.Context, p settings.Provider, domain string) (srvrecords.Set, srvrecords.Options, error) {
	z, _ := r.view.cfg.ZoneOf(domain)
	for flag, take := range map[string]func(){
		"ttl":         func() { z.TTL = r.zone.TTL },
		"config-host": func() { z.ConfigHost = r.zone.ConfigHost },
		"addresses":   func() { z.Addresses = r.zone.Addresses },
		"mailconf":    func() { z.Mailconf = r.zone.Mailconf },
		"zone":        func() { z.Name = r.zone.Name },
		"delegate-to": func() { z.DelegateTo = r.zone.DelegateTo },
	} {
		if r.flags.Changed(flag) {
			take()
		}
	}
	sets, err := setsOf(ctx, z, r.view.cfg.CanonicalHost, r.book)
	if err != nil {
		return srvrecords.Set{}, sets.options, err
	}
	set, err := sets.of(p, domain, func() (settings.Result, error) { return r.view.result(ctx, p) })
	return set, sets.options, err
}

// printTemplate prints the set for all domains of a provider.
func (r *recordSets) printTemplate(ctx context.Context, args []string) error {
	var p settings.Provider
	switch {
	case len(args) == 1:
		domain, err := settings.ParseDomain(args[0])
		if err != nil {
			return err
		}
		if p, err = r.view.provider(ctx, domain); err != nil {
			return err
		}
	case len(r.view.cfg.Providers) == 1:
		p = r.view.cfg.Providers[0]
	default:
		return errors.New("--template: give one DOMAIN, so that its provider is known")
	}
	set, _, err := r.setOf(ctx, p, srvrecords.Template)
	if err != nil {
		return err
	}
	r.app.printSet(set, r, false, false)
	return nil
}

// printSet prints the records of one domain, and on stderr what has none; a terminal
// shows that in the comments already.
func (a *app) printSet(set srvrecords.Set, r *recordSets, several, further bool) {
	if r.as == "json" || !a.screenOf(a.stdout).terminal {
		of := ""
		if several {
			of = set.Domain + ": "
		}
		for _, w := range set.Withheld {
			fmt.Fprintln(a.stderr, "withheld: "+of+w.String())
		}
	}
	var text []byte
	switch r.as {
	case "json":
		text, further = set.JSON(), false
	case "nsupdate":
		text, further = set.NSUpdate(r.server), false // an empty line would send
	case "octodns":
		text = set.OctoDNS()
	case "dnscontrol":
		text = set.DNSControl()
	default:
		text = set.Zone()
	}
	if further {
		text = slices.Concat([]byte("\n"), text)
	}
	_, _ = a.stdout.Write(text) // what cannot be written is remembered by output
}

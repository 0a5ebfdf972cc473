package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

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

	options    srvrecords.Options
	addresses  bool   // of the configuration host, in place of aliases
	delegateTo string // the domain at which one set is kept for all
	template   bool
	server     string // for nsupdate
	check      bool
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
	f.DurationVar(&r.options.TTL, "ttl", srvrecords.DefaultTTL, "`TIME` that resolvers may keep a record")
	f.StringVar(&r.options.ConfigHost, "config-host", "", "`HOST` that answers autoconfig and Autodiscover (default: canonical_host of the configuration)")
	f.BoolVar(&r.addresses, "addresses", false, "give autoconfig, autodiscover and ua-auto-config the addresses of that host instead of aliases")
	f.BoolVar(&r.options.Mailconf, "mailconf", false, "add the TXT record mailconf= at the domain itself, which only Himalaya reads")
	f.StringVar(&r.options.Zone, "zone", "", "`ZONE` that the domain is in, where it has none of its own")
	f.StringVar(&r.delegateTo, "delegate-to", "", "`DOMAIN` at which the set is kept: print aliases of it")
	f.BoolVar(&r.template, "template", false, "print a set for any domain of the provider, with names relative to the zone")
	f.StringVar(&r.server, "server", "", "name server that nsupdate sends to, `IP:PORT`")
	f.BoolVar(&r.check, "check", false, "say what DNS has otherwise, instead of printing")
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
	if r.options.ConfigHost == "" {
		r.options.ConfigHost = r.view.cfg.CanonicalHost
	}
	if r.addresses {
		if err := r.lookUpConfigHost(c.Context()); err != nil {
			return err
		}
	}
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
		set, err := r.set(c.Context(), domain)
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
	if c.Flags().Changed("ttl") && r.options.TTL < time.Second {
		return fmt.Errorf("--ttl %s: want whole seconds, such as 1h or 300s", r.options.TTL)
	}
	if r.server != "" {
		server, err := outside.ParseServer(r.server)
		if err != nil {
			return fmt.Errorf("--server %q: want the IP address of a name server, such as 192.0.2.53 or 192.0.2.53:5353", r.server)
		}
		r.server = server
	}
	switch {
	case r.template && (r.check || r.options.Zone != ""):
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

// lookUpConfigHost finds the addresses for host names that are no aliases.
func (r *recordSets) lookUpConfigHost(ctx context.Context) error {
	host := r.options.ConfigHost
	if host == "" {
		return errors.New("--addresses: of which host? Give --config-host, or set canonical_host")
	}
	ips, fromFile, err := r.view.world.resolver.Addresses(ctx, host)
	switch {
	case err != nil:
		return fmt.Errorf("--addresses: %w", err)
	case len(ips) == 0:
		return fmt.Errorf("--addresses: %s has no address", host)
	case fromFile:
		return fmt.Errorf("--addresses: DNS has no address of %s, only /etc/hosts has", host)
	}
	r.options.ConfigAddresses = ips
	return nil
}

// set makes the records of a domain. One that is delegated needs no probe.
func (r *recordSets) set(ctx context.Context, domain string) (srvrecords.Set, error) {
	p, err := r.view.provider(ctx, domain)
	if err != nil {
		return srvrecords.Set{}, err
	}
	return r.setOf(ctx, p, domain)
}

func (r *recordSets) setOf(ctx context.Context, p settings.Provider, domain string) (srvrecords.Set, error) {
	if r.delegateTo != "" {
		to, err := settings.ParseDomain(r.delegateTo)
		if err != nil {
			return srvrecords.Set{}, fmt.Errorf("--delegate-to: %w", err)
		}
		if to != domain {
			return srvrecords.Delegate(p, domain, to, r.options)
		}
	}
	result, err := r.view.result(ctx, p)
	if err != nil {
		return srvrecords.Set{}, err
	}
	return srvrecords.Compile(result, domain, r.options)
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
	set, err := r.setOf(ctx, p, srvrecords.Template)
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

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/spf13/cobra"

	"mailconfd/config"
	"mailconfd/internal/publish"
	"mailconfd/settings"
	"mailconfd/srvrecords"
)

// publication is what the commands publish and unpublish are asked for.
type publication struct {
	app      *app
	view     *view // of publish
	cfg      config.Config
	timeout  time.Duration
	probeNow bool
	mailHost string

	configHost           string
	zone                 config.Zone // of the flags; used when a server is given
	dryRun, adopt, empty bool
	takeBack             bool
	refusal              error // why a --dry-run of the zone at hand would not be carried out
}

func (a *app) publish() *cobra.Command {
	p := &publication{app: a}
	c := &cobra.Command{
		Use:   "publish [DOMAIN…]",
		Short: "bring DNS zones to the records that the verified services call for",
		Long: `publish brings the zones of the domains to the records that "records" prints, by
dynamic updates (RFC 2136) over TCP, signed with TSIG. It changes only what it
wrote itself, which markers in the zone tell; what somebody else has written is
reported and left alone. Without a DOMAIN, all domains are published that the
configuration lists by name.

The zones, their servers and keys are in the configuration, under publish; or give
--server, and --tsig-name and --tsig-secret-file where the server wants a key.

Exit 1: records of others are in the way, or with --dry-run, there is something to do.`,
		Example: `  mailconfd publish --dry-run
  mailconfd publish example.org --mail-host mail.example.org --server 192.0.2.53:53 \
    --tsig-name mailconfd --tsig-secret-file /etc/mailconfd/tsig`,
		RunE: func(c *cobra.Command, args []string) (err error) {
			if p.view, err = a.view(c, p.timeout, p.probeNow, p.mailHost, args...); err != nil {
				return err
			}
			p.cfg = p.view.cfg
			return p.run(c, args)
		},
	}
	lookOutside(c, &p.timeout)
	configKeys(c, "state")
	p.flags(c)
	f := c.Flags()
	f.BoolVar(&p.probeNow, "probe", false, "look at the mail servers now, whatever a daemon knows")
	f.StringVar(&p.mailHost, "mail-host", "", "`HOST` whose default ports are the services, instead of a configuration")
	f.StringVar(&p.configHost, "config-host", "", "`HOST` that answers autoconfig and Autodiscover (default: config_host of the zone, or canonical_host)")
	f.StringVar(&p.zone.DelegateTo, "delegate-to", "", "with --server: `DOMAIN` at which the set is kept; the others get aliases of it")
	f.BoolVar(&p.zone.Addresses, "addresses", false, "with --server: give autoconfig, autodiscover and ua-auto-config the addresses of the configuration host instead of aliases")
	f.BoolVar(&p.zone.Mailconf, "mailconf", false, "with --server: add the TXT record mailconf= at the domain itself, which only Himalaya reads")
	f.DurationVar(&p.zone.TTL, "ttl", srvrecords.DefaultTTL, "with --server: `TIME` that resolvers may keep a record")
	f.BoolVar(&p.adopt, "adopt", false, "take over what others have written in the place of our records")
	f.BoolVar(&p.empty, "allow-empty", false, "let a domain lose its last record for retrieval, or for submission")
	return c
}

func (a *app) unpublish() *cobra.Command {
	p := &publication{app: a, takeBack: true}
	c := &cobra.Command{
		Use:   "unpublish [DOMAIN…]",
		Short: "take back from DNS zones what publish wrote, and nothing else",
		Long: `unpublish takes away the records that "publish" or "serve" wrote into the zones of
the configuration, or into that of --server, and their markers: of the domains, or
without a DOMAIN, of all. What somebody has edited since is left, and reported.

Exit 1: records that somebody has edited are left, or with --dry-run, there is
something to do.`,
		Example: `  mailconfd unpublish --dry-run
  mailconfd unpublish example.org`,
		RunE: func(c *cobra.Command, args []string) (err error) {
			if p.cfg, err = a.load(c, ""); err != nil {
				return err
			}
			return p.run(c, args)
		},
	}
	p.flags(c)
	return c
}

// flags adds what both commands have.
func (p *publication) flags(c *cobra.Command) {
	f := c.Flags()
	f.BoolVar(&p.dryRun, "dry-run", false, "print what there is to do, and change nothing")
	f.StringVar(&p.zone.Server, "server", "", "`HOST:PORT` of the zone's primary, instead of the configuration's")
	f.StringVar(&p.zone.Name, "zone", "", "with --server: the `ZONE` (default: the one that the server has the domain in)")
	f.StringVar(&p.zone.TSIGName, "tsig-name", "", "with --server: `NAME` of the key that signs updates")
	f.StringVar(&p.zone.TSIGAlgorithm, "tsig-algorithm", publish.HMACSHA256, "with --server: `ALGORITHM` of the key, hmac-sha256 or hmac-sha512")
	f.StringVar(&p.zone.TSIGSecretFile, "tsig-secret-file", "", "with --server: `FILE` with the key's secret in base64")
}

// zoneWork is a zone and what to do there.
type zoneWork struct {
	config.Zone
	domains []string // the ones that it is about
	whole   bool     // instead: about all that we wrote there
}

func (p *publication) run(c *cobra.Command, args []string) error {
	if err := p.checkFlags(c); err != nil {
		return err
	}
	targets, err := p.targets(c.Context(), args)
	if err != nil {
		return err
	}
	var all []error
	left := false
	for i, t := range targets {
		if i > 0 {
			fmt.Fprintln(p.app.stdout)
		}
		something, err := p.do(c.Context(), t)
		left = left || something
		if err != nil {
			all = append(all, err)
		}
		if c.Context().Err() != nil {
			return c.Context().Err()
		}
	}
	switch {
	case len(all) > 0:
		return errors.Join(all...)
	case left:
		return errFaults
	}
	return nil
}

func (p *publication) checkFlags(c *cobra.Command) error {
	if p.zone.Server == "" {
		for _, name := range []string{"zone", "ttl", "delegate-to", "addresses", "mailconf", "tsig-name", "tsig-algorithm", "tsig-secret-file"} {
			if c.Flags().Changed(name) {
				return fmt.Errorf("--%s goes with --server; without it, the zones of the configuration are used", name)
			}
		}
		return nil
	}
	if p.zone.DelegateTo != "" {
		to, err := settings.ParseDomain(p.zone.DelegateTo)
		if err != nil {
			return fmt.Errorf("--delegate-to: %w", err)
		}
		p.zone.DelegateTo = to
	}
	if (p.zone.TSIGName == "") != (p.zone.TSIGSecretFile == "") {
		return errors.New("--tsig-name and --tsig-secret-file go together")
	}
	return nil
}

// targets returns the zones that hold the domains, or all domains.
func (p *publication) targets(ctx context.Context, args []string) ([]zoneWork, error) {
	domains, err := p.domains(args)
	if err != nil {
		return nil, err
	}
	found := map[string]*zoneWork{}
	for _, domain := range domains {
		z, err := p.zoneOf(ctx, domain)
		switch {
		case err != nil && (len(args) > 0 || p.zone.Server != ""):
			return nil, err
		case err != nil:
			fmt.Fprintln(p.app.stderr, "not published: "+err.Error())
			continue
		}
		if p.configHost != "" {
			z.ConfigHost = p.configHost
		}
		if found[z.Name] == nil {
			found[z.Name] = &zoneWork{Zone: z}
		}
		found[z.Name].domains = append(found[z.Name].domains, domain)
	}
	if len(args) == 0 {
		zones := p.cfg.Publish
		if p.zone.Server != "" {
			zones = nil
		}
		if p.zone.Name != "" {
			zones = []config.Zone{p.zone}
		}
		for _, z := range zones {
			if found[z.Name] == nil {
				found[z.Name] = &zoneWork{Zone: z}
			}
			found[z.Name].whole = p.takeBack
		}
	}
	if len(found) == 0 {
		return nil, errors.New("no zone: list them under publish in the configuration, or give --server HOST:PORT of the primary and a DOMAIN")
	}
	var all []zoneWork
	for _, name := range slices.Sorted(maps.Keys(found)) {
		all = append(all, *found[name])
	}
	return all, nil
}

// domains returns the domains in canonical form: those given, or those configured.
func (p *publication) domains(args []string) ([]string, error) {
	if len(args) == 0 && p.takeBack {
		return nil, nil
	}
	var listed, domains []string
	for d := range p.cfg.Domains() {
		if d.Name != "" {
			listed = append(listed, d.Name)
		}
	}
	if len(args) == 0 {
		return listed, nil
	}
	for _, name := range args {
		domain, err := settings.ParseDomain(name)
		if err != nil {
			return nil, err
		}
		if !p.takeBack && p.zone.Server == "" && !slices.Contains(listed, domain) {
			return nil, fmt.Errorf("%s is not listed by name under domains: list it, so that its records are kept up to date, or give --server to publish it once", domain)
		}
		domains = append(domains, domain)
	}
	return domains, nil
}

// zoneOf returns the zone that holds a domain.
func (p *publication) zoneOf(ctx context.Context, domain string) (config.Zone, error) {
	if p.zone.Server == "" {
		z, found := p.cfg.ZoneOf(domain)
		if !found {
			return z, fmt.Errorf("%s: no zone under publish in the configuration holds it; add one, or give --server", domain)
		}
		return z, nil
	}
	z := p.zone
	if z.Name != "" {
		name, err := settings.ParseDomain(z.Name)
		z.Name = name
		return z, err
	}
	key, err := p.app.key(z)
	if err != nil {
		return z, err
	}
	z.Name, err = publish.FindZone(ctx, z.Server, key, domain)
	return z, err
}

// key reads the key of a zone; nil where it has none.
func (a *app) key(z config.Zone) (*publish.Key, error) {
	if z.TSIGName == "" {
		return nil, nil
	}
	key, warning, err := publish.ReadKey(z.TSIGName, z.TSIGAlgorithm, z.TSIGSecretFile)
	if warning != "" {
		a.log.Warn("DNS key: " + warning)
	}
	return key, err
}

// do brings one zone to its records, or prints what that would take. left tells that there is something
// to do yet, for us or for a person.
func (p *publication) do(ctx context.Context, t zoneWork) (left bool, err error) {
	key, err := p.app.key(t.Zone)
	if err != nil {
		return false, err
	}
	zone := publish.Zone{Name: t.Name, Server: t.Server, Key: key}
	job, err := p.job(ctx, t)
	if err != nil {
		return false, err
	}
	act := zone.Publish
	if p.dryRun {
		act = zone.Compare
	}
	plan, err := act(ctx, job)
	if err == nil && p.refusal != nil { // show all that --allow-empty would do
		job.KeepLast = false
		plan, err = act(ctx, job)
	}
	if err != nil && plan.Empty() {
		return false, err
	}
	p.print(t, plan, err == nil)
	return p.dryRun && !plan.Empty() || len(plan.Conflicts()) > 0, err
}

func (p *publication) job(ctx context.Context, t zoneWork) (publish.Job, error) {
	job := publish.Job{Wanted: publish.Fixed(nil), KeepLast: !p.empty && !p.takeBack}
	p.refusal = nil
	if !t.whole {
		job.Scope = func(owner string) bool { return slices.Contains(t.domains, publish.DomainOf(owner)) }
	}
	if p.takeBack {
		job.Mode = publish.TakeBack
		return job, nil
	}
	if p.adopt {
		job.Mode = publish.Adopt
	}
	sets, err := setsOf(ctx, t.Zone, p.cfg.CanonicalHost, newAddressBook(p.view.world))
	if err != nil {
		return job, err
	}
	var wanted publish.Records
	for _, domain := range t.domains {
		provider, err := p.view.provider(ctx, domain)
		if err != nil {
			return job, err
		}
		set, err := sets.of(provider, domain, func() (settings.Result, error) { return p.view.result(ctx, provider) })
		if err != nil {
			return job, err
		}
		for _, w := range set.Withheld {
			fmt.Fprintln(p.app.stderr, "withheld: "+domain+": "+w.String())
		}
		wanted = append(wanted, set.RRs()...)
	}
	job.Wanted = func(ours publish.Records) (publish.Records, error) {
		last := publish.Last(ours, wanted)
		if len(last) == 0 || p.empty {
			return wanted, nil
		}
		p.refusal = p.bereft(t, last)
		if p.dryRun {
			return wanted, nil
		}
		return nil, p.refusal
	}
	return job, nil
}

// bereft is why the last records of a use are not taken away.
func (p *publication) bereft(t zoneWork, last publish.Records) error {
	var owners []string
	for _, rr := range last {
		owners = append(owners, strings.TrimSuffix(rr.Header().Name, "."))
	}
	return fmt.Errorf("zone %s: a domain would have no record for retrieval or for submission any more, since nothing of it was seen to work just now: %s; "+
		"\"mailconfd probe\" says why; --allow-empty takes them away all the same", t.Name, strings.Join(slices.Compact(owners), ", "))
}

// print says what was done, or what there is to do; whole tells that nothing failed.
func (p *publication) print(t zoneWork, plan publish.Plan, whole bool) {
	s := p.app.screenOf(p.app.stdout)
	fmt.Fprintln(s, s.paint(text.Bold, "zone "+t.Name+" at "+t.Server))
	colours := map[byte]text.Color{'+': text.FgGreen, '-': text.FgRed, '!': text.FgYellow, '=': text.FgCyan}
	for _, line := range plan.Lines() {
		fmt.Fprintln(s, s.paint(colours[line[0]], line))
	}
	if slices.ContainsFunc(plan.Conflicts(), publish.Foreign.Adoptable) && !p.takeBack {
		fmt.Fprintln(s, "what is marked ! was left alone; --adopt takes it over")
	}
	for _, h := range plan.Held {
		fmt.Fprintf(s, "%s stays, since its domain would have no other for the same use; --allow-empty takes it away\n", h)
	}
	p.printElsewhere(s, plan)
	if p.refusal != nil && p.dryRun {
		fmt.Fprintln(s, "publish will not do this: "+p.refusal.Error())
	}
	words := fmt.Sprintf("%d added, %d taken away, and read back", len(plan.Add), len(plan.Delete))
	switch {
	case p.dryRun:
		words = fmt.Sprintf("%d to add, %d to take away; nothing was changed", len(plan.Add), len(plan.Delete))
	case !whole:
		words = "this was sent before it failed; what has come of it, the next run sees"
	}
	switch changes := len(plan.Add) + len(plan.Delete); {
	case plan.Empty():
		fmt.Fprintf(s, "nothing to do: %d of our records are there\n", len(plan.Keep))
	case changes == 0:
		fmt.Fprintf(s, "no record, only markers at %s: %d come, %d go\n", publish.MarkerName(t.Name), len(plan.Mark), len(plan.Unmark))
	default:
		fmt.Fprintln(s, words)
	}
}

// printElsewhere names domains of which the zone has records of ours, and that the configuration does not
// list any more.
func (p *publication) printElsewhere(s screen, plan publish.Plan) {
	if p.takeBack || p.zone.Server != "" || p.mailHost != "" {
		return
	}
	listed := map[string]bool{}
	for d := range p.cfg.Domains() {
		listed[d.Name] = true
	}
	left := slices.DeleteFunc(slices.Clone(plan.Elsewhere), func(domain string) bool { return listed[domain] })
	if len(left) > 0 {
		fmt.Fprintf(s, "there are records of ours for domains that are not listed: %s; mailconfd unpublish takes them back\n", strings.Join(left, ", "))
	}
}

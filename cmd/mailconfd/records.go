package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mailconfd/settings"
	"mailconfd/srvrecords"
)

func (a *app) records() *cobra.Command {
	var (
		timeout, ttl time.Duration
		mailHost, as string
		probeNow     bool
	)
	c := &cobra.Command{
		Use:   "records [DOMAIN…]",
		Short: "print the DNS records that the verified services call for",
		Long: `records prints the SRV records of RFC 6186 and its successors for each domain, as a
zone file has them: paste them into the zone. It says what "mailconfd serve" has
seen; where there is nothing fresh, or with --probe, it looks at the mail servers.
What has no record is told on stderr, with the reason. Without a DOMAIN, all
domains that the configuration names are printed.`,
		Example: `  mailconfd records example.org --mail-host mail.example.org`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := format(as, "zone", "json"); err != nil {
				return err
			}
			view, err := a.view(c, timeout, probeNow, mailHost, args...)
			if err != nil {
				return err
			}
			domains := args
			if len(domains) == 0 {
				for d := range view.cfg.Domains() {
					if d.Name != "" {
						domains = append(domains, d.Name)
					}
				}
			}
			if len(domains) == 0 {
				return errors.New("no domain: give one, such as example.org; wildcards and MX rules name none")
			}
			if c.Flags().Changed("ttl") && ttl < time.Second {
				return fmt.Errorf("--ttl %s: want whole seconds, such as 1h or 300s", ttl)
			}
			for i, name := range domains {
				domain, err := settings.ParseDomain(name)
				if err != nil {
					return err
				}
				result, err := view.of(c.Context(), domain)
				if err != nil {
					return err
				}
				set, err := srvrecords.Compile(result, domain, srvrecords.Options{ConfigHost: view.cfg.CanonicalHost, TTL: ttl})
				if err != nil {
					return err
				}
				if err := a.printSet(set, as, len(domains) > 1, i > 0); err != nil {
					return err
				}
			}
			return nil
		},
	}
	lookOutside(c, &timeout)
	configKeys(c, "state")
	c.Flags().BoolVar(&probeNow, "probe", false, "look at the mail servers now, whatever a daemon knows")
	c.Flags().StringVar(&mailHost, "mail-host", "", "`HOST` whose default ports are the services, instead of a configuration")
	c.Flags().StringVar(&as, "format", "zone", "`FORMAT` of the records: zone or json (one object a domain)")
	c.Flags().DurationVar(&ttl, "ttl", srvrecords.DefaultTTL, "`TIME` that resolvers may keep a record")
	return c
}

// printSet prints the records of one domain, and on stderr what has none; a terminal
// shows that in the comments of the zone already.
func (a *app) printSet(set srvrecords.Set, as string, several, further bool) error {
	if as != "zone" || !a.screenOf(a.stdout).terminal {
		of := ""
		if several {
			of = set.Domain + ": "
		}
		for _, w := range set.Withheld {
			fmt.Fprintln(a.stderr, "withheld: "+of+w.String())
		}
	}
	if as == "json" {
		e := json.NewEncoder(a.stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		return e.Encode(set)
	}
	if further {
		fmt.Fprintln(a.stdout)
	}
	_, err := a.stdout.Write(set.Zone())
	return err
}

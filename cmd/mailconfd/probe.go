package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailconfd/settings"
)

func (a *app) probe() *cobra.Command {
	var (
		timeout time.Duration
		as      string
		trace   bool
	)
	c := &cobra.Command{
		Use:   "probe [HOST…|SERVICE-URL…]",
		Short: "look at mail servers now, and say what to use and what to mend",
		Long: `probe makes one round of probes. A HOST is tried on the default ports of every
service and on submission port 2525; a SERVICE-URL, such as
submission://smtp.example.org:587, names one service. Without either, the
services of the configuration are probed.

No password is ever sent, and no message. Exit code 1: a named service failed,
or a host has nothing usable for sending (submission) or for reading mail (IMAP
or POP3).`,
		Example: `  mailconfd probe mail.example.org
  mailconfd probe imaps://imap.example.org submission://smtp.example.org:2525
  mailconfd probe --via socks5://127.0.0.1:1080 mail.example.org   # through ssh -D 1080`,
		RunE: func(c *cobra.Command, args []string) error {
			if err := format(as, "table", "json"); err != nil {
				return err
			}
			cfg, err := a.load(c, "")
			if err != nil {
				return err
			}
			world, err := a.outside(cfg, timeout)
			if err != nil {
				return err
			}
			targets, err := targetsOf(args, cfg.Providers)
			if err != nil {
				return err
			}
			seen, err := a.look(c.Context(), world, targets.services())
			if err != nil {
				return err
			}
			report := report{At: time.Now().UTC().Truncate(time.Second), Vantage: cfg.Probe.Vantage, Services: seen}
			if as == "json" {
				err = report.json(a, trace)
			} else {
				report.table(a.screenOf(a.stdout), cfg.Policy, trace)
			}
			return cmp.Or(err, blind(seen), targets.faults(seen))
		},
	}
	lookOutside(c, &timeout)
	c.Flags().StringVar(&as, "format", "table", "`FORMAT` of the result: table or json")
	c.Flags().BoolVar(&trace, "trace", false, "show every dialogue")
	return c
}

// target is something that was asked for: a host with all its candidates, or services
// by name, each of which has to work.
type target struct {
	host     string
	services []settings.Service
}

type targets []target

// targetsOf reads the arguments. Without any, each provider of the configuration is one
// target: not every candidate of its hosts has to work.
func targetsOf(args []string, providers []settings.Provider) (targets, error) {
	var all targets
	for _, arg := range args {
		if strings.Contains(arg, "://") {
			s, err := settings.ParseService(arg)
			if err != nil {
				return nil, err
			}
			all = append(all, target{services: []settings.Service{s}})
			continue
		}
		host, err := settings.ParseHost(arg)
		if err != nil {
			if strings.Contains(arg, ":") {
				return nil, fmt.Errorf("%q: a port needs its service, such as %s", arg, serviceFor(arg))
			}
			return nil, err
		}
		all = append(all, target{host, settings.Candidates(host)})
	}
	if len(args) > 0 {
		return all, nil
	}
	for _, p := range providers {
		all = append(all, target{"provider " + p.Name, p.Candidates()})
	}
	if len(all) == 0 {
		return nil, errors.New("nothing to probe: give a host, such as mail.example.org, or a configuration with --config")
	}
	return all, nil
}

// serviceFor returns what was probably meant by HOST:PORT, or by imaps:HOST.
func serviceFor(arg string) string {
	before, after, _ := strings.Cut(arg, ":")
	if settings.Scheme(before).Role() != "" {
		return before + "://" + strings.TrimLeft(after, "/")
	}
	for _, scheme := range settings.Schemes() {
		if fmt.Sprint(scheme.DefaultPort()) == after {
			return string(scheme) + "://" + arg
		}
	}
	return "submission://" + arg
}

// services returns what is to be probed, each service once.
func (ts targets) services() []settings.Service {
	var all []settings.Service
	for _, t := range ts {
		for _, s := range t.services {
			if !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// faults returns errFaults unless every target has what it needs.
func (ts targets) faults(seen []settings.Observation) error {
	works := map[settings.Service]bool{}
	for _, o := range seen {
		works[o.Service] = o.Verdict().Verified
	}
	for _, t := range ts {
		usable := map[settings.Role]bool{}
		for _, s := range t.services {
			usable[s.Role()] = usable[s.Role()] || works[s]
			if t.host == "" && !works[s] {
				return errFaults
			}
		}
		reads := usable[settings.RoleIMAP] || usable[settings.RolePOP3]
		if t.host != "" && !(usable[settings.RoleSubmission] && reads) {
			return errFaults
		}
	}
	return nil
}

// report is the result of probe; docs/probe.md describes its JSON.
type report struct {
	At       time.Time              `json:"at"`
	Vantage  string                 `json:"vantage"`
	Services []settings.Observation `json:"services"`
}

func (r report) json(a *app, trace bool) error {
	for i, o := range r.Services {
		r.Services[i].At = time.Time{} // the report has one time and one vantage for all
		r.Services[i].Vantage = ""
		if trace {
			continue
		}
		r.Services[i].Addresses = slices.Clone(o.Addresses)
		for j := range o.Addresses {
			r.Services[i].Addresses[j].Transcript = nil
		}
	}
	e := json.NewEncoder(a.stdout)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailconfd/internal/server"
	"mailconfd/settings"
)

func (a *app) render() *cobra.Command {
	var (
		timeout  time.Duration
		mailHost string
		probeNow bool
	)
	var names []string
	for _, f := range server.Formats() {
		names = append(names, string(f))
	}
	c := &cobra.Command{
		Use:   "render FORMAT ADDRESS",
		Short: "print the exact bytes that a client would get",
		Long: `render prints the document that a client would get for the address, or for a domain
alone. It says what "mailconfd serve" has seen; where there is nothing fresh, or with
--probe, it looks at the mail servers. FORMAT is ` + strings.Join(names, " or ") + `.
Exit code 1: the document is not published; the reasons are on stderr.`,
		Example:   `  mailconfd render autoconfig jane@example.org --mail-host mail.example.org`,
		ValidArgs: names,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return errors.New("want FORMAT and ADDRESS, such as: mailconfd render autoconfig jane@example.org")
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			f := server.Format(args[0])
			if !slices.Contains(server.Formats(), f) {
				return fmt.Errorf("format %q: want %s", args[0], strings.Join(names, " or "))
			}
			address, err := addressOrDomain(args[1])
			if err != nil {
				return err
			}
			view, err := a.view(c, timeout, probeNow, mailHost, address.Domain)
			if err != nil {
				return err
			}
			result, err := view.of(c.Context(), address.Domain)
			if err != nil {
				return err
			}
			document, err := server.Compile(result.Verified).Append(nil, f, address)
			if err != nil {
				fmt.Fprintln(a.stderr, err)
				a.sayWithheld(result.Withheld)
				return errFaults
			}
			_, err = a.stdout.Write(document)
			return err
		},
	}
	lookOutside(c, &timeout)
	configKeys(c, "state")
	c.Flags().BoolVar(&probeNow, "probe", false, "look at the mail servers now, whatever a daemon knows")
	c.Flags().StringVar(&mailHost, "mail-host", "", "`HOST` whose default ports are the services, instead of a configuration")
	return c
}

// addressOrDomain reads whom a document is for.
func addressOrDomain(text string) (settings.Address, error) {
	if a, err := settings.ParseAddress(text); err == nil || !errors.Is(err, settings.ErrNoAddress) {
		return a, err
	}
	domain, err := settings.ParseDomain(text)
	if err != nil {
		return settings.Address{}, fmt.Errorf("%q: want an address such as jane@example.org, or a domain", text)
	}
	return settings.Address{Domain: domain}, nil
}

// sayWithheld tells on stderr what is not published, and why.
func (a *app) sayWithheld(all []settings.Withheld) {
	for _, w := range all {
		fmt.Fprintln(a.stderr, "withheld: "+w.String())
	}
}

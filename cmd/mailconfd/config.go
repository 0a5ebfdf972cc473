package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mailconfd/config"
	"mailconfd/internal/server"
)

func (a *app) configuration() *cobra.Command {
	c := &cobra.Command{
		Use:   "config",
		Short: "check a configuration, or print an example or the schema",
		Args:  cobra.NoArgs,
		RunE:  func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(a.configCheck(), a.configPrint("example", "print an example that holds every key, with comments", config.Example),
		a.configPrint("schema", "print the JSON schema of the configuration", config.Schema))
	return c
}

func (a *app) configCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "say everything that is wrong with a configuration, with file and line",
		Long: `check reads the configuration as serve would and prints everything that is wrong
with it. Exit code 1: there are faults; 2: it cannot be read.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			options := a.sources(c)
			if len(args) == 1 {
				options.File = args[0]
			}
			// A file that cannot be read is not a file with faults. To open a pipe would wait.
			if info, err := os.Stat(options.File); options.File != "" && err != nil {
				return err
			} else if options.File != "" && !info.Mode().IsRegular() {
				return fmt.Errorf("%s is no file", options.File)
			}
			cfg, warnings, err := config.Load(options)
			for _, w := range warnings {
				fmt.Fprintln(a.stderr, "warning: "+w.String())
			}
			var faults *config.Error
			if errors.As(err, &faults) {
				fmt.Fprintln(a.stderr, err)
				return errFaults
			}
			if err != nil {
				return err
			}
			if cfg.File == "" {
				return errors.New("there is no configuration file; give one with --config, or write ./mailconfd.yaml (mailconfd config example)")
			}
			if err := a.usable(cfg); err != nil {
				fmt.Fprintln(a.stderr, err)
				return errFaults
			}
			accounts, open, err := probeAccounts(cfg)
			for _, w := range open {
				fmt.Fprintln(a.stderr, "warning: "+w)
			}
			if err != nil {
				fmt.Fprintln(a.stderr, err)
				return errFaults
			}
			domains := 0
			for range cfg.Domains() {
				domains++
			}
			if _, err = fmt.Fprintf(a.stdout, "%s is good: providers %d, domains %d\n", cfg.File, len(cfg.Providers), domains); err != nil || len(accounts) == 0 {
				return err
			}
			_, err = fmt.Fprintf(a.stdout, "probe accounts: %d\n", len(accounts))
			return err
		},
	}
}

// usable tries what else serve needs of a configuration: the files that it names.
func (a *app) usable(cfg config.Config) error {
	_, err := a.outside(cfg, time.Minute)
	if cfg.TLS.Mode == config.TLSFiles {
		_, broken := server.LoadCertificates(a.log, time.Now, keyPairs(cfg)...)
		err = errors.Join(err, broken)
	}
	return errors.Join(err, a.checkKeys(cfg))
}

func (a *app) configPrint(name, short string, text func() []byte) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			_, err := a.stdout.Write(text())
			return err
		},
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mailconfd/config"
)

// app is one run of the program: its surroundings, and the flags that every command has.
type app struct {
	environ        []string
	stdin          io.Reader
	stdout, stderr io.Writer

	configFile, logLevel, logFormat string
	log                             *slog.Logger
}

// errFaults ends a command that ran and found faults; they have been printed.
var errFaults = errors.New("faults were found")

// Exit codes.
const (
	exitWell   = 0 // all is as it should be
	exitFaults = 1 // it ran and found faults
	exitCannot = 2 // it could not run: usage, configuration, I/O
)

// run is the whole program, so that tests can run it too.
func run(ctx context.Context, args, environ []string, stdin io.Reader, stdout, stderr io.Writer) int {
	out := &output{Writer: stdout}
	a := &app{environ: environ, stdin: stdin, stdout: out, stderr: stderr}
	root := a.command()
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if out.err != nil && (err == nil || errors.Is(err, errFaults)) {
		err = out.err
	}
	switch {
	case err == nil:
		return exitWell
	case errors.Is(err, errFaults):
		return exitFaults
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "mailconfd: interrupted")
	default:
		fmt.Fprintln(stderr, "mailconfd: "+err.Error())
	}
	return exitCannot
}

// output is where results go. It keeps the first error of writing, so that a full disk
// is never taken for success.
type output struct {
	io.Writer
	err error
}

// Write is io.Writer's.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.Writer.Write(p)
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("results cannot be written: %w", err)
	}
	return n, err
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "mailconfd",
		Short: "tell mail clients how to set themselves up, from what was seen to work",
		Long: `mailconfd probes a provider's mail servers, publishes only what it saw to work,
answers Thunderbird autoconfig and Outlook Autodiscover, and prints the SRV
records that say the same. "mailconfd demo" shows all of it on this machine,
with no set-up.`,
		Args:                       a.noCommand,
		SilenceErrors:              true,
		SilenceUsage:               true,
		SuggestionsMinimumDistance: 2,
		RunE:                       func(c *cobra.Command, _ []string) error { return c.Help() },
		PersistentPreRunE:          func(*cobra.Command, []string) error { return a.setUpLog() },
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w; %q lists what there is", err, c.CommandPath()+" --help")
	})
	flags := root.PersistentFlags()
	flags.StringVar(&a.configFile, "config", "", "configuration `FILE` (default ./mailconfd.yaml, then /etc/mailconfd/mailconfd.yaml)")
	flags.StringVar(&a.logLevel, "log-level", "info", "`LEVEL` of the log on stderr: debug, info, warn or error")
	flags.StringVar(&a.logFormat, "log-format", "text", "`FORMAT` of the log: text or json")
	root.AddCommand(a.serve(), a.status(), a.probe(), a.render(), a.records(), a.publish(), a.unpublish(), a.doctor(), a.configuration(), a.demo(), a.state(), a.version())
	root.InitDefaultCompletionCmd()
	return root
}

// noCommand refuses a word that is no command, with the nearest that is.
func (a *app) noCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "; did you mean " + strings.Join(near, " or ") + "?"
	}
	return fmt.Errorf("unknown command %q%s; mailconfd --help lists them all", args[0], hint)
}

// setUpLog makes the log of the flags.
func (a *app) setUpLog() error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(a.logLevel)); err != nil {
		return fmt.Errorf("--log-level %q: want debug, info, warn or error", a.logLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch a.logFormat {
	case "text":
		a.log = slog.New(slog.NewTextHandler(a.stderr, options))
	case "json":
		a.log = slog.New(slog.NewJSONHandler(a.stderr, options))
	default:
		return fmt.Errorf("--log-format %q: want text or json", a.logFormat)
	}
	return nil
}

// configKeys adds flags that set configuration keys: they are defined there, and only
// offered here.
func configKeys(c *cobra.Command, flags ...string) {
	for _, key := range config.Keys() {
		for _, name := range flags {
			if key.Flag == name {
				c.Flags().String(name, "", key.Doc)
			}
		}
	}
}

// load reads the configuration, with the flags that were given. Warnings go to the log.
// The domains and the mail host are those of a first try without a file.
func (a *app) load(c *cobra.Command, mailHost string, domains ...string) (config.Config, error) {
	options := a.sources(c)
	options.MailHost, options.Domains = mailHost, domains
	cfg, warnings, err := config.Load(options)
	for _, w := range warnings {
		a.log.Warn("configuration: " + w.String())
	}
	return cfg, err
}

// sources says where the configuration of a command comes from.
func (a *app) sources(c *cobra.Command) config.Options {
	options := config.Options{
		File: a.configFile, Search: config.DefaultFiles(), Environ: a.environ, Flags: map[string]string{},
	}
	known := map[string]bool{}
	for _, key := range config.Keys() {
		known[key.Flag] = true
	}
	c.Flags().Visit(func(f *pflag.Flag) {
		if known[f.Name] {
			options.Flags[f.Name] = f.Value.String()
		}
	})
	return options
}

// format checks a --format against those that a command has.
func format(given string, have ...string) error {
	for _, h := range have {
		if given == h {
			return nil
		}
	}
	return fmt.Errorf("--format %q: want %s", given, strings.Join(have, " or "))
}

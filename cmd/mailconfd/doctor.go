package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mailconfd/doctor"
	"mailconfd/probe"
	"mailconfd/settings"
)

// doctorFlags are what the command line says of an examination.
type doctorFlags struct {
	timeout             time.Duration
	as, ispdb, document string
	clients, only, skip []string
	explain, trace      bool
	atOnce              int
}

func (a *app) doctor() *cobra.Command {
	var f doctorFlags
	c := &cobra.Command{
		Use:   "doctor ADDRESS|DOMAIN|-",
		Short: "say what each mail client would set up for an address, and what to mend",
		Long: `doctor asks from outside exactly what each mail client would ask for the address,
connects to the mail servers that the client would be told, and says what works,
what does not, for whom, and what to change. It works on anybody's domain and
needs no configuration. For a domain alone it asks for ` + sampleLocal + `@DOMAIN.

The address goes to the domain's servers and to the databases that clients ask
for domains they do not know (--ispdb). No password is ever sent, and no message.

With "-" the addresses and domains are read from standard input, one a line, and
each becomes a line of JSON, as soon as it is done.

Exit code 1: there are faults. Warnings and notes alone are no fault. 2: it could
not run, or nothing could be tested from here.`,
		Example: `  mailconfd doctor jane@example.org
  mailconfd doctor example.org --client outlook --explain
  mailconfd render autoconfig example.org --mail-host mail.example.org >new.xml
  mailconfd doctor example.org --offline-document new.xml
  mailconfd doctor - <domains.txt >reports.jsonl`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			examiner, err := a.newExaminer(c, f)
			if err != nil {
				return err
			}
			if args[0] == "-" {
				if c.Flags().Changed("format") && f.as != "json" {
					return errors.New("doctor - writes JSON, a line for each address; leave --format out")
				}
				return examiner.many(c.Context(), a.stdin)
			}
			return examiner.one(c.Context(), args[0])
		},
	}
	lookOutside(c, &f.timeout)
	flags := c.Flags()
	flags.StringVar(&f.as, "format", "table", "`FORMAT` of the result: table or json")
	flags.StringArrayVar(&f.clients, "client", nil, "only this client, with every step that it takes; repeatable: "+strings.Join(doctor.Clients(), ", "))
	flags.StringSliceVar(&f.only, "only", nil, "only these `CLIENTS`, with commas")
	flags.StringSliceVar(&f.skip, "skip", nil, "all but these `CLIENTS`, with commas")
	flags.BoolVar(&f.explain, "explain", false, "say of each finding what it means and where that is written, and show the notes")
	flags.BoolVar(&f.trace, "trace", false, "show every step of each client")
	flags.StringVar(&f.ispdb, "ispdb", "", "base `URL` of the database to ask in place of those that clients ask")
	flags.StringVar(&f.document, "offline-document", "", "judge the autoconfig or Autodiscover document in `FILE` as if the domain served it")
	flags.IntVar(&f.atOnce, "at-once", 4, "`N` addresses at a time, with -")
	return c
}

// doctorGreeting is how long a mail server may take to greet, of which some take a few
// seconds on purpose: somebody is waiting for the report.
const doctorGreeting = 10 * time.Second

// sampleLocal is the local part that a domain alone is examined with.
const sampleLocal = "jane"

// examiner examines addresses as the flags say.
type examiner struct {
	*app
	flags    doctorFlags
	world    world
	document *document // nil: none
}

func (a *app) newExaminer(c *cobra.Command, f doctorFlags) (*examiner, error) {
	if err := format(f.as, "table", "json"); err != nil {
		return nil, err
	}
	if len(f.clients) > 0 {
		if len(f.only)+len(f.skip) > 0 {
			return nil, errors.New("--client stands alone: leave --only and --skip out")
		}
		f.only, f.trace = f.clients, true
	}
	if f.atOnce < 1 || f.atOnce > 100 {
		return nil, fmt.Errorf("--at-once %d: want 1 to 100", f.atOnce)
	}
	if f.ispdb != "" {
		u, err := url.Parse(f.ispdb)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" {
			return nil, fmt.Errorf("--ispdb %q: want a URL such as https://ispdb.example.org/v1.1/", f.ispdb)
		}
		f.ispdb = strings.TrimSuffix(f.ispdb, "/") + "/"
	}
	// Names of clients are checked before anything is asked.
	if _, err := doctor.New(doctor.Options{Only: f.only, Skip: f.skip}); err != nil {
		return nil, err
	}
	x := &examiner{app: a, flags: f}
	var err error
	if f.document != "" {
		if x.document, err = readDocument(f.document); err != nil {
			return nil, err
		}
	}
	cfg, err := a.load(c, "")
	if err != nil {
		return nil, err
	}
	x.world, err = a.outsideWithin(cfg, probe.Timeouts{Dialogue: f.timeout, Greeting: doctorGreeting})
	return x, err
}

// whom reads whom to examine, and what of it a user would type.
func whom(text string) (a settings.Address, typed string, err error) {
	typed = pasted(text)
	a, err = addressOrDomain(typed)
	if err == nil && a.Local == "" {
		a.Local = sampleLocal
	}
	return a, typed, err
}

// pasted returns the address of "Jane <jane@example.org>" and the host of a web address.
func pasted(text string) string {
	text = strings.TrimSpace(text)
	if _, rest, ok := strings.Cut(text, "<"); ok && strings.HasSuffix(rest, ">") {
		return strings.TrimSuffix(rest, ">")
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return text
	case u.Scheme == "mailto":
		return u.Opaque
	case (u.Scheme == "http" || u.Scheme == "https") && u.Host != "":
		return u.Hostname()
	}
	return text
}

// examine examines one address. The error is about us: nothing was learnt.
func (c *examiner) examine(ctx context.Context, a settings.Address, typed string, tell *waiting) (doctor.Report, error) {
	var w doctor.World = toldWorld{c.world, tell}
	if c.document != nil {
		w = offline{w, a.Domain, *c.document}
	}
	d, err := doctor.New(doctor.Options{World: w, Proxied: c.world.proxied, ISPDB: c.flags.ispdb, Only: c.flags.only, Skip: c.flags.skip, Typed: typed})
	if err != nil {
		return doctor.Report{}, err
	}
	report := d.Examine(ctx, a)
	if err := ctx.Err(); err != nil {
		return doctor.Report{}, err
	}
	return report, cannotLook(report)
}

// one examines one address and prints what came out.
func (c *examiner) one(ctx context.Context, text string) error {
	a, typed, err := whom(text)
	if err != nil {
		return err
	}
	tell := c.waiting()
	report, err := c.examine(ctx, a, typed, tell)
	tell.clear()
	if err != nil {
		return err
	}
	if c.flags.as == "json" {
		e := json.NewEncoder(c.stdout)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err = e.Encode(report)
	} else {
		p := reportPrinter{screen: c.screenOf(c.stdout), Report: report, flags: c.flags, madeUp: !strings.Contains(typed, "@")}
		p.print()
	}
	if err != nil {
		return err
	}
	return outcome(report)
}

// errUntested ends an examination in which no client could be followed to its end.
var errUntested = errors.New("nothing that clients would set up could be tested from here; try again, or look from another network with --via")

// outcome returns errFaults where something fails, and errUntested where nothing can be
// said.
func outcome(r doctor.Report) error {
	switch r.Verdict {
	case doctor.Fails:
		return errFaults
	case doctor.Unknown:
		return errUntested
	case doctor.Works, doctor.Warns:
	}
	return nil
}

// writeLine writes one line of JSON.
func writeLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

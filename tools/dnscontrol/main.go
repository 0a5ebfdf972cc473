// Command dnscontrol reads a dnsconfig.js as DNSControl does, by DNSControl's own code,
// and prints what it makes of it as JSON, like its print-ir. The whole of DNSControl
// would bring the libraries of forty DNS providers along.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/StackExchange/dnscontrol/v4/pkg/js"
	"github.com/StackExchange/dnscontrol/v4/pkg/normalize"
	"github.com/StackExchange/dnscontrol/v4/pkg/rtypes"
	_ "github.com/StackExchange/dnscontrol/v4/providers/bind"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return errors.New("usage: dnscontrol DNSCONFIG.JS")
	}
	config, err := js.ExecuteJavaScript(args[0], false, nil)
	if err != nil {
		return err
	}
	if err := rtypes.PostProcess(config.Domains); err != nil {
		return err
	}
	if err := errors.Join(normalize.ValidateAndNormalizeConfig(config)...); err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(config)
}

package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"

	"mailconfd/internal/lab"
)

// writeWebCertificate puts web.pem and web.key into the script's directory: what a
// provider's web server has.
func writeWebCertificate(env *testscript.Env, internet *lab.Internet) error {
	certificate, err := internet.CA().Certificate(demoNames...)
	if err != nil {
		return err
	}
	chain, key, err := encode(certificate)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(env.WorkDir, "web.pem"), chain, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(env.WorkDir, "web.key"), key, 0o600)
}

// mapNames: map NAME:PORT=HOST:PORT ... lets names of the lab lead to listeners.
func mapNames(ts *testscript.TestScript, neg bool, args []string) {
	for _, arg := range args {
		from, to, _ := strings.Cut(arg, "=")
		name, port, _ := strings.Cut(from, ":")
		number, err := strconv.ParseUint(port, 10, 16)
		ts.Check(err)
		ts.Check(internetOf(ts).Map(name, uint16(number), to))
	}
}

// setZone: zone FILE... publishes the records of these zone files in the lab, and no others.
func setZone(ts *testscript.TestScript, neg bool, args []string) {
	var records []dns.RR
	for _, file := range args {
		parser := dns.NewZoneParser(strings.NewReader(ts.ReadFile(file)), ".", "")
		for rr, more := parser.Next(); more; rr, more = parser.Next() {
			records = append(records, rr)
		}
		ts.Check(parser.Err())
	}
	internetOf(ts).SetRecords(records)
}

//go:build real

package real

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestVantages looks from two places at once, one of them behind a device that takes STARTTLS out of what is said. The two
// disagree, which both tell, and the policy decides what clients are told, by both the same.
func TestVantages(t *testing.T) {
	p := startPostgres(t)
	for _, tt := range []struct{ decides, port, security string }{
		{"any", "587", "STARTTLS"},
		{"all", "465", "SSL"}, // the first submission service that needs no STARTTLS
		{"majority", "465", "SSL"},
	} {
		t.Run(tt.decides, func(t *testing.T) {
			n := newTown(t)
			state := p.database(t)
			both := []*replica{
				n.replica(t, plan{name: "outside", number: 0, state: state, vantage: "outside", decides: tt.decides}),
				n.replica(t, plan{name: "behind", number: 1, state: state, vantage: "behind", decides: tt.decides, via: newWire(t, n.Internet, true)}),
			}
			for _, r := range both {
				r.start(t)
			}
			for _, r := range both {
				r.eventually(t, startWithin, "tell of the disagreement", func() error { return disagrees(r) })
			}
			both[0].eventually(t, settleWithin, "tell clients the same", func() error {
				got, err := agreed(both)
				if err == nil {
					err = tellsSubmission(got.body, tt.port, tt.security)
				}
				return err
			})
		})
	}
}

// disagrees returns an error unless the log and the API tell that vantages disagree on submission with STARTTLS.
func disagrees(r *replica) error {
	if !strings.Contains(r.tail(), "vantages disagree") {
		return errors.New("not in the log")
	}
	known, err := r.report()
	if err != nil {
		return err
	}
	for _, p := range known.Providers {
		for _, s := range p.Services {
			if s.Service.String() == "submission://"+mailName+":587" && strings.Contains(s.Disagree, "behind") {
				return nil
			}
		}
	}
	return errors.New("not in the API")
}

// tellsSubmission returns an error unless an autoconfig document names this submission service.
func tellsSubmission(document, port, security string) error {
	all, err := readAutoconfig([]byte(document))
	if err != nil {
		return err
	}
	for _, s := range all {
		if s.Type == "smtp" && s.Port == port && s.Security == security {
			return nil
		}
	}
	return fmt.Errorf("told are %v", all)
}

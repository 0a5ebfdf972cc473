//go:build real

package real

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"testing"
	"time"
)

// predicted is what "mailconfd doctor" says that a client would set up; client is a name that --client takes.
func predicted(t *testing.T, w *world, address, client string) account {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	var stdout, stderr bytes.Buffer
	command := exec.CommandContext(ctx, program(t), "doctor", address, "--format", "json", "--client", client,
		"--ca-file", w.authority.rootFile, "--resolver", w.resolver)
	command.Stdout, command.Stderr = &stdout, &stderr
	// A finding about another matter is exit code 1, and no matter here.
	if err := command.Run(); err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	if command.ProcessState.ExitCode() == 2 {
		t.Fatalf("mailconfd doctor, for %s: %s", client, stderr.Bytes())
	}
	return readPrediction(t, client, stdout.Bytes())
}

// readPrediction takes the client's settings out of a report.
func readPrediction(t *testing.T, client string, document []byte) account {
	t.Helper()
	var report struct {
		Clients []struct {
			Client   string
			Settings []struct {
				Role, Host, Security, Username string
				Port                           uint16
			}
		}
	}
	if err := json.Unmarshal(document, &report); err != nil {
		t.Fatalf("what doctor printed: %v\n%s", err, document)
	}
	if len(report.Clients) != 1 || report.Clients[0].Client != client {
		t.Fatalf("doctor reports on %d clients, want %s alone:\n%s", len(report.Clients), client, document)
	}
	var result account
	incoming, outgoing := "", ""
	for _, s := range report.Clients[0].Settings {
		if s.Role == "submission" {
			result.Outgoing, outgoing = serviceURL("smtp", s.Security, s.Host, fmt.Sprint(s.Port)), s.Username
		} else if result.Incoming == "" { // the first is the client's choice
			result.Incoming, incoming = serviceURL(s.Role, s.Security, s.Host, fmt.Sprint(s.Port)), s.Username
		}
	}
	if result.Outgoing == "" {
		outgoing = incoming
	}
	result.Username = bothNames(incoming, outgoing)
	return result
}

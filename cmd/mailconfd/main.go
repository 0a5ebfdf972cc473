// Command mailconfd is a mail provider's server for account set-up: it probes the
// provider's mail servers, publishes only what it saw to work, answers Thunderbird
// autoconfig and Outlook Autodiscover, and prints the SRV records that say the same.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	os.Exit(run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr))
}

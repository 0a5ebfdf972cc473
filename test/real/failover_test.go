//go:build real

package real

import (
	"context"
	"testing"
	"time"
)

// TestFailover takes Postfix's ports away one by one and gives them back. The published submission service follows,
// and no client is left without an answer at any moment.
func TestFailover(t *testing.T) {
	w := newWorld(t)
	d := serve(t, w)
	waitForSubmission(t, d, "587", "STARTTLS")

	stopAsking := askAllTheTime(t)
	w.postfix.listen(t, submission2525, submissions)
	waitForSubmission(t, d, "2525", "STARTTLS")
	w.postfix.listen(t, submissions)
	waitForSubmission(t, d, "465", "SSL")
	w.postfix.listen(t, submission, submissions)
	waitForSubmission(t, d, "587", "STARTTLS")
	stopAsking()
}

// waitForSubmission waits until both documents name the submission service that they can say. Autodiscover cannot say
// STARTTLS on 2525 (clients take it for implicit TLS or for none), so it names 465 while 587 is down.
func waitForSubmission(t *testing.T, d *daemon, port, security string) {
	t.Helper()
	settles(t, d, autoconfigRequest, readAutoconfig, []setting{
		{"imap", mailName, "993", "SSL", "password-cleartext", "%EMAILADDRESS%"},
		{"pop3", mailName, "995", "SSL", "password-cleartext", "%EMAILADDRESS%"},
		{"smtp", mailName, port, security, "password-cleartext", "%EMAILADDRESS%"},
	})
	smtp := setting{"SMTP", mailName, "465", "on/SSL", "SPA off", "jane@example.test"}
	if port == "587" {
		smtp.Port, smtp.Security = "587", "on/TLS"
	}
	settles(t, d, autodiscoverRequest, readAutodiscover, []setting{
		{"IMAP", mailName, "993", "on/SSL", "SPA off", "jane@example.test"},
		{"POP3", mailName, "995", "on/SSL", "SPA off", "jane@example.test"},
		smtp,
	})
}

// askAllTheTime asks for both documents, about a hundred times a second, until the returned function is called, which
// fails the test when any answer was not 200.
func askAllTheTime(t *testing.T) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	requests := []request{autoconfigRequest, autodiscoverRequest}
	var answered int
	var complaints []error
	done := make(chan struct{})
	go func() {
		defer close(done)
		pace := time.NewTicker(10 * time.Millisecond)
		defer pace.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-pace.C:
			}
			if _, err := fetch(requests[answered%len(requests)]); err != nil {
				complaints = append(complaints, err)
			}
			answered++
		}
	}()
	t.Cleanup(cancel)
	return func() {
		cancel()
		<-done
		t.Logf("%d requests, %d of them not answered with 200", answered, len(complaints))
		if answered == 0 || len(complaints) > 0 {
			t.Errorf("answers while Postfix's ports come and go, the first that are not 200: %v", complaints[:min(3, len(complaints))])
		}
	}
}

package login_test

import (
	"fmt"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"mailconfd/internal/login"
	"mailconfd/settings"
)

// FuzzServer lets a server say anything, all at once, whatever is said to it. A login
// ends, without a panic, and shows nothing of the password; and what is taken for a yes
// has a yes in it.
func FuzzServer(f *testing.F) {
	for _, said := range []string{
		"220 x\r\n250-x\r\n250 AUTH PLAIN\r\n235 ok\r\n221 bye\r\n",
		"220-x\r\n220 x\r\n250 auth=LOGIN\r\n334 \r\n334 \r\n334 \r\n",
		"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] x\r\na1 OK\r\n+ \r\na2 OK in\r\n",
		"* OK x\r\n* CAPABILITY IMAP4rev1\r\na1 OK x\r\n+ \r\n+ \r\na2 NO [ALERT] s3cret\r\n",
		"+OK\r\n+OK\r\nSASL PLAIN\r\n.\r\n+ \r\n+OK\r\n",
		"+OK\r\n-ERR\r\n+OK\r\n-ERR [SYS/TEMP] later\r\n",
		"\"SASL\" \"PLAIN\"\r\nOK\r\nOK\r\n",
		"\"SASL\" {5+}\r\nPLAIN\r\nOK\r\nNO (TRYLATER) {3}\r\nabc\r\n",
	} {
		for scheme := range byte(len(settings.Schemes())) {
			f.Add(scheme, []byte(said))
		}
	}
	f.Fuzz(func(t *testing.T, scheme byte, said []byte) {
		if len(said) > 4<<10 {
			return
		}
		schemes := settings.Schemes()
		s := settings.Service{Scheme: schemes[int(scheme)%len(schemes)], Host: "mail.example.test", Port: 1}
		synctest.Test(t, func(t *testing.T) {
			account, password := secretive(jane(t))
			o := &theatre{t: t, play: func(conn net.Conn) {
				go func() { _, _ = conn.Write(said) }()
				_, _ = io.Copy(io.Discard, conn)
			}}
			start := time.Now()
			l := login.Check(t.Context(), o, s, account, settings.UsernameLocalPart)
			o.servers.Wait()
			if took := time.Since(start); took > 3*time.Minute || o.opened > 2 {
				t.Errorf("it took %s and %d connections", took, o.opened)
			}
			if leak := hidden(fmt.Sprintf("%+v %s", l, say(l)), password); leak != "" {
				t.Errorf("%q is shown: %s", leak, say(l))
			}
			if l.Failure == nil && l.LocalPart != settings.LoginAccepted {
				t.Errorf("no answer and no failure: %+v", l)
			}
		})
	})
}

package srvrecords_test

import (
	"strings"
	"testing"

	"mailconfd/settings"
	"mailconfd/settings/settingstest"
	"mailconfd/srvrecords"
)

// TestLoginsDecideWhatSRVMaySay: users log in with the local part; that the whole address
// logs in too is declared, and shown or disproved by a login.
func TestLoginsDecideWhatSRVMaySay(t *testing.T) {
	t.Parallel()
	const imaps, submission = "imaps://mail.example.org", "submission://mail.example.org"
	for _, tt := range []struct {
		name     string
		declared bool // accepts_address
		address  settings.LoginOutcome
		told     bool   // the SRV record of IMAP
		reason   string // why not
	}{
		{"declared, no login", true, settings.LoginUntried, true, ""},
		{"declared and shown", true, settings.LoginAccepted, true, ""},
		{"declared and disproved", true, settings.LoginRejected, false, "a login has shown that the whole address is rejected there"},
		{"not declared, no login", false, settings.LoginUntried, false, "if the whole address works too, set accepts_address"},
		{"not declared, and shown", false, settings.LoginAccepted, true, ""},
		{"not declared, and disproved", false, settings.LoginRejected, false, "if the whole address works too, set accepts_address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p := settingstest.Provider(imaps, submission)
			p.Username, p.AcceptsAddress = settings.UsernameLocalPart, tt.declared
			histories := map[settings.Service]settings.Views{}
			for _, url := range []string{imaps, submission} {
				histories[settingstest.Service(url)] = settings.Views{seen(url)}
			}
			login := settings.Login{
				Service: settingstest.Service(imaps), Address: tt.address, LocalPart: settings.LoginAccepted,
				At: settingstest.Now, Tried: settingstest.Now,
			}
			result := settings.Verify(p, histories, settingstest.Now, settings.DefaultPolicy(), login)
			set, err := srvrecords.Compile(result, "example.org", srvrecords.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(string(set.Zone()), "_imaps._tcp"); got != tt.told {
				t.Errorf("an SRV record of IMAP: %v, want %v\n%s", got, tt.told, set.Zone())
			}
			if got := strings.Contains(string(set.Zone()), "_submission._tcp"); got != tt.declared {
				t.Errorf("an SRV record of submission, where nobody logged in: %v, want %v", got, tt.declared)
			}
			for _, w := range set.Withheld {
				if strings.HasPrefix(w.Service, "imaps") && (tt.reason == "" || !strings.Contains(w.Reason, tt.reason)) {
					t.Errorf("withheld: %q, want %q", w.Reason, tt.reason)
				}
			}
		})
	}
}

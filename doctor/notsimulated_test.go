package doctor_test

import (
	"testing"

	"mailconfd/doctor"
)

// TestNotSimulated: what nobody can see from outside is unknown, asks nothing, and is
// nobody's fault.
func TestNotSimulated(t *testing.T) {
	t.Parallel()
	for _, client := range []string{"apple-mail", "outlook-new"} {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			r := examine(t, parseWorld(t, ""), "jane@example.test", client).Clients[0]
			if r.Verdict != doctor.Unknown || len(r.Steps) != 0 || len(r.Settings) != 0 {
				t.Errorf("got %+v", r)
			}
			if len(r.Findings) != 1 || r.Findings[0].Kind != doctor.KindUnknown || r.Findings[0].Weight != doctor.Note {
				t.Errorf("got findings %+v, want one note", r.Findings)
			}
		})
	}
}

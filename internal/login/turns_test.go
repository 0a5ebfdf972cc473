package login_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mailconfd/internal/login"
	"mailconfd/settings"
)

// Three replicas, four services and a wrong password cost what they cost one.
func TestReplicasTakeTurns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, h := &login.Memory{}, &house{takes: map[string]string{"": "none"}, slow: time.Second}
		d := declare(t, settings.UsernameAddress, p995, p110, p996, p997)
		for range 3 {
			defer begin(t, h, store, d).stop()
		}
		pass(time.Hour)
		if seen := strings.Join(h.seen(), "; "); h.most > 1 || strings.Contains(seen, "996") || strings.Contains(seen, "997") {
			t.Errorf("%d at once; %s", h.most, seen)
		}
	})
}

// A refusal that is not understood may have counted as a failed login: the account rests.
func TestNoAnswerIsFollowedByRest(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &house{takes: map[string]string{"": "asleep"}}
		defer begin(t, h, &login.Memory{}, declare(t, settings.UsernameAddress, p995, p110, p996, p997)).stop()
		pass(time.Minute)
		if seen := strings.Join(h.seen(), "; "); seen == "" || strings.Contains(seen, ";") {
			t.Errorf("within a minute: %s", seen)
		}
		pass(time.Hour)
		if seen := strings.Join(h.seen(), "; "); !strings.Contains(seen, "997") {
			t.Errorf("within an hour: %s", seen)
		}
	})
}

// A provider that moves house does not send its new password to the old one, although what
// was verified there is all that is known so far.
func TestNewPasswordStaysOutOfTheOldHouse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &house{takes: map[string]string{"": "none"}}
		a := begin(t, h, &login.Memory{}, declare(t, settings.UsernameAddress, p995))
		defer a.stop()
		pass(20 * time.Minute)
		moved := declare(t, settings.UsernameAddress, p998)
		moved.Account = login.NewAccount(address(t, "new@example.org"), "fresh")
		if err := a.Declare(t.Context(), moved); err != nil {
			t.Fatal(err)
		}
		pass(time.Hour)
		if seen := strings.Join(h.seen(), "; "); strings.Contains(seen, "new@") {
			t.Errorf("%s", seen)
		}
	})
}

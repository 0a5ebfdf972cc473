package monitor_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailconfd/internal/monitor"
	"mailconfd/internal/store"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// TestLoginsAreHeeded: what is learnt of logins changes what is published at once, and
// only when somebody says that it is there.
func TestLoginsAreHeeded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var logins []settings.Login
		var said []string
		w := &world{broken: map[string]settings.FailureKind{}, probes: map[string][]time.Time{}}
		m := monitor.New(monitor.Options{
			Prober: w, Store: &store.Memory{},
			Logins: func(provider string) []settings.Login {
				mu.Lock()
				defer mu.Unlock()
				if provider != "main" {
					return nil
				}
				return slices.Clone(logins)
			},
			Changed: func(_ settings.Provider, r settings.Result) {
				mu.Lock()
				defer mu.Unlock()
				var words []string
				for _, p := range r.Verified.Services(settings.RoleSubmission) {
					words = append(words, fmt.Sprint(p.Service.Port))
				}
				for _, x := range r.Withheld {
					words = append(words, "-"+string(x.Why))
				}
				said = append(said, strings.Join(words, " "))
			},
		})
		go m.Run(t.Context(), declared(s587, s465))
		pass(time.Minute)
		mu.Lock()
		said = said[len(said)-1:]
		logins = []settings.Login{{
			Service: settingstest.Service(s587), Address: settings.LoginRejected, LocalPart: settings.LoginAccepted, At: time.Now(), Tried: time.Now(),
		}}
		mu.Unlock()
		m.Reconsider("main")
		m.Reconsider("main")
		m.Reconsider("nobody")
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if diff := cmp.Diff([]string{"587 465", "465 -login"}, said); diff != "" {
			t.Errorf("told (-want +got)\n%s", diff)
		}
	})
}

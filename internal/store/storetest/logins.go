package storetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailconfd/internal/login"
	"mailconfd/settings"
)

// RunLogins tests homes of login.Store that open makes, each empty and with nobody else
// at it.
func RunLogins(t *testing.T, open func(*testing.T) login.Store) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, login.Store){
		"a login is claimed once":              testClaimLogin,
		"claims of a wrong clock do not count": testClaimOfWrongClock,
		"no login is claimed twice at once":    testConcurrentLogins,
		"logins come back as they were saved":  testSaveLogin,
		"generations tell which are new":       testLoginsSince,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

const jane = "jane@example.org"

func claimLogin(t *testing.T, s login.Store, account string, service settings.Service, at, since time.Duration, want bool) {
	t.Helper()
	got, err := s.ClaimLogin(t.Context(), account, service, now.Add(at), now.Add(since))
	if err != nil || got != want {
		t.Errorf("claim %s of %s after %s: %v, %v, want %v", service, account, at, got, err, want)
	}
}

func testClaimLogin(t *testing.T, s login.Store) {
	claimLogin(t, s, jane, imaps, 0, -time.Hour, true)
	claimLogin(t, s, jane, imaps, time.Minute, time.Minute-time.Hour, false)
	claimLogin(t, s, jane, smtp, time.Minute, time.Minute-time.Hour, true)
	claimLogin(t, s, "joe@example.org", imaps, time.Minute, time.Minute-time.Hour, true)
	claimLogin(t, s, jane, imaps, 2*time.Minute, time.Minute, true) // the account changed
	claimLogin(t, s, jane, imaps, 61*time.Minute, time.Minute, false)
	claimLogin(t, s, jane, imaps, 62*time.Minute, 2*time.Minute, true)
}

func testClaimOfWrongClock(t *testing.T, s login.Store) {
	claimLogin(t, s, jane, imaps, 24*time.Hour, 23*time.Hour, true)
	claimLogin(t, s, jane, imaps, 0, -time.Hour, true)
	claimLogin(t, s, jane, imaps, time.Minute, time.Minute-time.Hour, false)
}

func testConcurrentLogins(t *testing.T, s login.Store) {
	var all sync.WaitGroup
	won := make([]bool, 8)
	for i := range won {
		all.Go(func() {
			mine, err := s.ClaimLogin(context.Background(), jane, imaps, now, now.Add(-time.Hour))
			if err != nil {
				t.Error(err)
			}
			won[i] = mine
		})
	}
	all.Wait()
	if n := len(slices.DeleteFunc(won, func(w bool) bool { return !w })); n != 1 {
		t.Errorf("%d of them have claimed it, want one", n)
	}
}

// logins returns what was saved after a generation, by account and service.
func logins(t *testing.T, s login.Store, generation int64) ([]settings.Login, int64) {
	t.Helper()
	all, newest, err := s.LoginsSince(t.Context(), generation)
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(all, func(a, b settings.Login) int {
		return strings.Compare(fmt.Sprint(a.Account, a.Service), fmt.Sprint(b.Account, b.Service))
	})
	return all, newest
}

func saveLogin(t *testing.T, s login.Store, l settings.Login) {
	t.Helper()
	if err := s.SaveLogin(t.Context(), l); err != nil {
		t.Fatal(err)
	}
}

func testSaveLogin(t *testing.T, s login.Store) {
	if all, _ := logins(t, s, 0); len(all) > 0 {
		t.Errorf("an empty store has %v", all)
	}
	full := settings.Login{
		Service: imaps, Account: jane, Address: settings.LoginRejected, LocalPart: settings.LoginAccepted, At: now, Tried: now.Add(time.Hour),
		Failure: &settings.Failure{Kind: settings.FailureLoginRejected, Detail: `the whole address: answered "NO" 'ü' €`},
	}
	bare := settings.Login{Service: smtp, Account: `o'hara "x" 日本@example.org`, Tried: now}
	saveLogin(t, s, full)
	saveLogin(t, s, bare)
	claimLogin(t, s, jane, pop, 0, -time.Hour, true) // a claim alone is no login
	all, _ := logins(t, s, 0)
	if diff := cmp.Diff([]settings.Login{full, bare}, all); diff != "" {
		t.Errorf("saved and read (-want +got)\n%s", diff)
	}
}

func testLoginsSince(t *testing.T, s login.Store) {
	first := settings.Login{Service: imaps, Account: jane, Tried: now}
	saveLogin(t, s, first)
	_, one := logins(t, s, 0)
	if all, same := logins(t, s, one); len(all) > 0 || same != one {
		t.Errorf("nothing was saved, and %v is new", all)
	}
	second := settings.Login{Service: smtp, Account: jane, Tried: now}
	again := settings.Login{Service: imaps, Account: jane, Tried: now.Add(time.Hour)}
	saveLogin(t, s, second)
	saveLogin(t, s, again)
	all, two := logins(t, s, one)
	if diff := cmp.Diff([]settings.Login{again, second}, all); diff != "" || two <= one {
		t.Errorf("new after %d and up to %d (-want +got)\n%s", one, two, diff)
	}
	all, _ = logins(t, s, 0)
	if diff := cmp.Diff([]settings.Login{again, second}, all); diff != "" {
		t.Errorf("all (-want +got)\n%s", diff)
	}
}

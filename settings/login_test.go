package settings_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// logins is what login checks came to, each "MINUTES URL ADDRESS LOCALPART [KIND]", where
// + is accepted, - rejected and ? untried.
type logins []string

func (all logins) read() []settings.Login {
	outcomes := map[string]settings.LoginOutcome{"+": settings.LoginAccepted, "-": settings.LoginRejected, "?": settings.LoginUntried}
	var read []settings.Login
	for _, line := range all {
		var minutes float64
		var url, address, local, kind string
		if n, err := fmt.Sscan(line, &minutes, &url, &address, &local, &kind); n < 4 {
			panic(line + ": " + err.Error())
		}
		l := settings.Login{Service: settingstest.Service(url), Tried: at(minutes), Address: outcomes[address], LocalPart: outcomes[local]}
		if l.Accepted() || l.Rejected() {
			l.At = l.Tried
		}
		if kind != "" {
			l.Failure = &settings.Failure{Kind: settings.FailureKind(kind), Detail: "invented"}
		}
		read = append(read, l)
	}
	return read
}

// form is how a provider's users log in: "address", "localpart", or "localpart only"
// where the whole address is said not to be taken.
func form(p settings.Provider, words string) settings.Provider {
	word, only, _ := strings.Cut(words, " ")
	p.Username, p.AcceptsAddress = settings.Username(word), only == ""
	return p
}

// TestVerifyLogins: s587 and s993 work; what is published of them, and for which the
// whole address may be presumed ("!": it may not).
func TestVerifyLogins(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name     string
		username string
		logins   logins
		want     string
		withheld []string // "PORT KIND", then what the detail says
	}{
		{name: "no login is known", username: "address", want: "587 993"},
		{name: "nor with the local part", username: "localpart", want: "587 993"},
		{name: "nor where the address is not taken", username: "localpart only", want: "587! 993!"},

		{name: "the declared form logs in", username: "address", logins: logins{"1 " + s587 + " + ?", "1 " + s993 + " + ?"}, want: "587 993"},
		{name: "only the other one does", username: "address", logins: logins{"1 " + s587 + " - +", "1 " + s993 + " + ?"}, want: "993", withheld: []string{
			"587 login_rejected username is address, but the whole address is rejected and the local part logs in; " +
				"set username: localpart, in a provider of its own: " + s993 + " takes the whole address",
		}},
		{name: "the reverse", username: "localpart", logins: logins{"1 " + s587 + " + -"}, want: "993", withheld: []string{
			"587 login_rejected username is localpart, but the local part is rejected and the whole address logs in; set username: address",
		}},
		{name: "the reverse, once username is changed", username: "address", logins: logins{"1 " + s587 + " + -"}, want: "587 993"},
		{name: "the declared form was not tried", username: "address", logins: logins{"1 " + s587 + " ? +"}, want: "587 993"},
		{name: "nothing was answered", username: "address", logins: logins{"1 " + s587 + " ? ? timeout"}, want: "587 993"},

		{name: "local part, and the address logs in too", username: "localpart only", logins: logins{"1 " + s587 + " + +"}, want: "587 993!"},
		{name: "local part, and the address is shown not to", username: "localpart", logins: logins{"1 " + s587 + " - +"}, want: "587! 993"},
		{name: "both rejected say nothing of the address", username: "localpart", logins: logins{"1 " + s587 + " - -"}, want: "587 993"},

		{name: "all services reject both: the account is at fault", username: "address", logins: logins{"1 " + s587 + " - - login_rejected", "2 " + s993 + " - - login_rejected"}, want: "587 993"},
		{name: "another takes the password afterwards", username: "address", logins: logins{"1 " + s587 + " - - login_rejected", "2 " + s993 + " + ?"}, want: "993", withheld: []string{
			"587 login_refused every login is refused, while " + s993 + " takes the same password",
		}},
		{name: "it took it before only: the password may have changed", username: "address", logins: logins{"2 " + s587 + " - - login_rejected", "1 " + s993 + " + ?"}, want: "587 993"},
		{name: "one that is not declared proves nothing", username: "address", logins: logins{"1 " + s587 + " - - login_rejected", "2 " + s465 + " + ?"}, want: "587 993"},
		{name: "the server says that it takes no password", username: "address", logins: logins{"1 " + s587 + " - ? login_refused"}, want: "993", withheld: []string{"587 login_refused invented"}},
		{name: "it says so for the form that is not declared", username: "localpart", logins: logins{"1 " + s587 + " - + login_refused"}, want: "587! 993"},
		{name: "the newest login of a service counts", username: "address", logins: logins{"3 " + s587 + " + ?", "1 " + s587 + " - +"}, want: "587 993"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			seen := day{"0 " + s587 + " ok", "0 " + s993 + " ok"}
			p := form(settingstest.Provider(s587, s993), tt.username)
			r := settings.Verify(p, seen.histories(), at(5), settings.DefaultPolicy(), tt.logins.read()...)
			if diff := cmp.Diff(tt.want, sayForms(r.Verified)); diff != "" {
				t.Errorf("published (-want +got)\n%s", diff)
			}
			var withheld []string
			for _, w := range r.Withheld {
				withheld = append(withheld, fmt.Sprintf("%d %s %s", w.Service.Port, w.Failure.Kind, w.Failure.Detail))
				if want := w.Service.String() + ": works, but " + w.Failure.String(); w.Why != settings.WhyLogin || w.String() != want {
					t.Errorf("withheld for %s: %q, want %q", w.Why, w, want)
				}
			}
			if diff := cmp.Diff(tt.withheld, withheld); diff != "" {
				t.Errorf("withheld (-want +got)\n%s", diff)
			}
		})
	}
}

func sayForms(v settings.Verified) string {
	var words []string
	for _, r := range settings.Roles() {
		for _, p := range v.Services(r) {
			mark := "!"
			if p.SaysAddress {
				mark = ""
			}
			words = append(words, fmt.Sprintf("%d%s", p.Service.Port, mark))
		}
	}
	return strings.Join(words, " ")
}

// TestVerifyLoginBesideOtherReasons: a login counts only where a probe lets the service
// through, and never against the operator's own word.
func TestVerifyLoginBesideOtherReasons(t *testing.T) {
	t.Parallel()
	rejected := logins{"1 " + s587 + " - +"}.read()
	trusting := settingstest.Provider(s587, s2525)
	trusting.Trusted = []settings.Trust{{Service: settingstest.Service(s587), Reason: "because"}}
	for _, tt := range []struct {
		name     string
		provider settings.Provider
		day      day
		now      float64
		want     string
		withheld string
	}{
		{"the next of the role is the answer", settingstest.Provider(s587, s2525), day{"0 " + s587 + " ok", "0 " + s2525 + " ok"}, 5, "2525:probed", "587 login login_rejected"},
		{"also while it fails", settingstest.Provider(s587, s2525), day{"0 " + s587 + " ok", "2 " + s587 + " refused", "0 " + s2525 + " ok"}, 5, "2525:probed", "587 login login_rejected"},
		{"down for longer than the grace", settingstest.Provider(s587), day{"0 " + s587 + " ok", "2 " + s587 + " refused"}, 73 * 60, "", "587 grace_over refused"},
		{"never seen to work", settingstest.Provider(s587), day{"0 " + s587 + " refused"}, 5, "", "587 never_seen refused"},
		{"not probed", settingstest.Provider(s587), nil, 5, "", "587 not_probed -"},
		{"trusted", trusting, day{"0 " + s587 + " ok", "0 " + s2525 + " ok"}, 5, "587:trusted 2525:probed", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := settings.Verify(tt.provider, tt.day.histories(), at(tt.now), settings.DefaultPolicy(), rejected...)
			if got := say(r.Verified, settings.RoleSubmission); got != tt.want {
				t.Errorf("published %q, want %q", got, tt.want)
			}
			withheld := ""
			for _, w := range r.Withheld {
				kind := settings.FailureKind("-")
				if w.Failure != nil {
					kind = w.Failure.Kind
				}
				withheld += fmt.Sprintf("%d %s %s", w.Service.Port, w.Why, kind)
			}
			if withheld != tt.withheld {
				t.Errorf("withheld %q, want %q", withheld, tt.withheld)
			}
		})
	}
}

// TestVerifiedEqualSeesForms: a login that changes what SRV may say changes the answer.
func TestVerifiedEqualSeesForms(t *testing.T) {
	t.Parallel()
	seen := day{"0 " + s587 + " ok"}
	verify := func(all logins) settings.Verified {
		p := form(settingstest.Provider(s587), "localpart")
		return settings.Verify(p, seen.histories(), at(5), settings.DefaultPolicy(), all.read()...).Verified
	}
	if verify(nil).Equal(verify(logins{"1 " + s587 + " - +"})) {
		t.Error("equal, although the address logs in with one only")
	}
	if !verify(nil).Equal(verify(logins{"1 " + s587 + " + +"})) {
		t.Error("not equal, although clients are told the same")
	}
}

func TestLoginThen(t *testing.T) {
	t.Parallel()
	known := logins{"1 " + s587 + " - + login_rejected", "2 " + s587 + " ? ? timeout"}.read()
	later := logins{"3 " + s587 + " + ?", "4 " + s587 + " ? ? reset"}.read()
	got := known[0].Then(known[1])
	want := known[0]
	want.Tried = at(2)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("a try without an answer (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(later[0], got.Then(later[0])); diff != "" {
		t.Errorf("a new answer (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(later[1], known[1].Then(later[1])); diff != "" {
		t.Errorf("still no answer (-want +got)\n%s", diff)
	}
	if !known[0].Rejected() || !known[0].Accepted() || known[1].Rejected() || known[1].Accepted() {
		t.Error("what was answered is told wrongly")
	}
	for u, want := range map[settings.Username]settings.LoginOutcome{settings.UsernameAddress: settings.LoginRejected, settings.UsernameLocalPart: settings.LoginAccepted} {
		if got := known[0].Of(u); got != want {
			t.Errorf("Of(%s) = %q", u, got)
		}
	}
}

// randomLogins draws what login checks may have come to.
func (w world) randomLogins(draw func(label string, n int) int) []settings.Login {
	var all []settings.Login
	outcomes := []settings.LoginOutcome{settings.LoginUntried, settings.LoginAccepted, settings.LoginRejected}
	kinds := []settings.FailureKind{"", settings.FailureLoginRejected, settings.FailureLoginRefused, settings.FailureTimeout}
	for _, s := range w.provider.Candidates() {
		if draw("known", 3) == 0 {
			continue
		}
		l := settings.Login{Service: s, Tried: settingstest.Now.Add(time.Duration(draw("tried", 1000)) * time.Minute)}
		l.Address, l.LocalPart = outcomes[draw("address", 3)], outcomes[draw("localpart", 3)]
		if l.Accepted() || l.Rejected() {
			l.At = l.Tried
		}
		if kind := kinds[draw("kind", 4)]; kind != "" {
			l.Failure = &settings.Failure{Kind: kind, Detail: "invented"}
		}
		all = append(all, l)
	}
	return all
}

// lockedOut reads the raw logins by the words of the promise: "withheld where the
// declared form is rejected and the other one logs in, and where every login is refused
// although the password is right".
func (w world) lockedOut(s settings.Service, all []settings.Login) bool {
	at := slices.IndexFunc(all, func(l settings.Login) bool { return l.Service == s })
	if at < 0 {
		return false
	}
	l := all[at]
	declared, other := l.Address, l.LocalPart
	if w.provider.Username == settings.UsernameLocalPart {
		declared, other = other, declared
	}
	if declared != settings.LoginRejected {
		return false
	}
	said := l.Failure != nil && l.Failure.Kind == settings.FailureLoginRefused
	elsewhere := slices.ContainsFunc(all, func(a settings.Login) bool {
		return (a.Address == settings.LoginAccepted || a.LocalPart == settings.LoginAccepted) && a.At.After(l.At)
	})
	return other == settings.LoginAccepted || said || other == settings.LoginRejected && elsewhere
}

package login_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mailconfd/internal/login"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// house is an Opener whose servers take what they are told to take, and which writes down
// who came when.
type house struct {
	mu     sync.Mutex
	takes  map[string]string // by service: the user names and passwords that log in, "" for a server that does not answer
	start  time.Time
	visits []string // "MINUTES PORT USER"
	inside int
	most   int
	slow   time.Duration
	others sync.WaitGroup
}

func (h *house) Open(ctx context.Context, s settings.Service) (net.Conn, string, *settings.Failure) {
	ours, theirs := net.Pipe()
	h.others.Go(func() { h.pop3(theirs, s) })
	context.AfterFunc(ctx, func() { _ = ours.Close() })
	return ours, "", nil
}

// pop3 is a server for every service: the tests declare POP3 only.
func (h *house) pop3(conn net.Conn, s settings.Service) {
	defer conn.Close()
	user, buffer := "", make([]byte, 1000)
	answer := "+OK\r\n"
	for {
		if _, err := conn.Write([]byte(answer)); err != nil {
			return
		}
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		verb, argument, _ := strings.Cut(strings.TrimSpace(string(buffer[:n])), " ")
		answer = "+OK\r\n"
		switch verb {
		case "CAPA":
			answer = "-ERR\r\n"
		case "USER":
			user = argument
		case "PASS":
			h.come(1)
			<-time.After(h.slow)
			h.come(-1)
			taken, awake := h.visit(s, user, argument)
			if !awake {
				return
			}
			if !taken {
				answer = "-ERR [AUTH] no\r\n"
			}
		}
	}
}

func (h *house) come(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.inside += n
	h.most = max(h.most, h.inside)
}

func (h *house) visit(s settings.Service, user, password string) (taken, awake bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.visits = append(h.visits, fmt.Sprintf("%d %d %s", int(time.Since(h.start).Minutes()), s.Port, user))
	takes, known := h.takes[s.String()]
	if !known {
		takes = h.takes[""]
	}
	return slices.Contains(strings.Fields(takes), user+":"+password), takes != "asleep"
}

// set changes what is taken, of one service or ("") of all others.
func (h *house) set(service, takes string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.takes[service] = takes
}

func (h *house) seen() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.visits)
}

// story is a running Checker.
type story struct {
	*login.Checker
	house   *house
	store   login.Store
	mu      sync.Mutex
	reports []login.Report
	stop    func()
}

func begin(t *testing.T, h *house, store login.Store, declared ...login.Declared) *story {
	t.Helper()
	h.start = time.Now()
	if h.takes == nil {
		h.takes = map[string]string{}
	}
	s := &story{house: h, store: store}
	s.Checker = login.NewChecker(login.Options{Opener: h, Store: store, Told: func(r login.Report) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.reports = append(s.reports, r)
	}})
	if err := s.Declare(t.Context(), declared...); err != nil {
		t.Error(err)
	}
	for _, d := range declared {
		s.Verified(d.Provider.Name, d.Provider.Candidates())
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.Run(ctx)
	}()
	s.stop = func() {
		cancel()
		<-done
		h.others.Wait()
	}
	return s
}

func (s *story) last() login.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.reports) == 0 {
		return login.Report{}
	}
	return s.reports[len(s.reports)-1]
}

// pass lets time pass, and everything settle.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func declare(t testing.TB, form settings.Username, urls ...string) login.Declared {
	t.Helper()
	p := settingstest.Provider(urls...)
	p.Username = form
	return login.Declared{Provider: p, Account: login.NewAccount(address(t, "jane@example.org"), "right")}
}

const (
	p995 = "pop3s://a.example.org:995"
	p110 = "pop3s://a.example.org:110"
	p996 = "pop3s://b.example.org:996"
	p997 = "pop3s://c.example.org:997"
	p998 = "pop3s://d.example.org:998"

	whole = "jane@example.org:right"
	local = "jane:right"
)

func TestPace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		takes  map[string]string
		form   settings.Username
		urls   []string
		for_   time.Duration
		want   []string
		logins []string
		halted bool
	}{
		{
			name: "once an hour and service", takes: map[string]string{"": whole}, urls: []string{p995, p110}, for_: 150 * time.Minute,
			want:   []string{"0 110 jane@example.org", "0 995 jane@example.org", "60 110 jane@example.org", "60 995 jane@example.org", "120 110 jane@example.org", "120 995 jane@example.org"},
			logins: []string{"110 + ?", "995 + ?"},
		},
		{
			name: "both forms where users log in with the local part", takes: map[string]string{"": whole + " " + local}, form: settings.UsernameLocalPart, urls: []string{p995}, for_: 70 * time.Minute,
			want:   []string{"0 995 jane", "0 995 jane@example.org", "60 995 jane", "60 995 jane@example.org"},
			logins: []string{"995 + +"},
		},
		{
			name: "never again after a rejection, also of the other form", takes: map[string]string{"": local}, form: settings.UsernameLocalPart, urls: []string{p995}, for_: 24 * time.Hour,
			want:   []string{"0 995 jane", "0 995 jane@example.org"},
			logins: []string{"995 - + login_rejected"},
		},
		{
			name: "a rest after a rejection, at all hosts", takes: map[string]string{"": local}, urls: []string{p995, p110, p996}, for_: 24 * time.Hour,
			want: []string{
				"0 995 jane@example.org", "0 995 jane", "6 110 jane@example.org", "6 110 jane", "12 996 jane@example.org", "12 996 jane",
			},
			logins: []string{"110 - + login_rejected", "995 - + login_rejected", "996 - + login_rejected"},
		},
		{
			name: "a wrong password: two services, and no more", takes: map[string]string{"": "jane:other"}, urls: []string{p995, p996, p997, p998}, for_: 24 * time.Hour,
			want:   []string{"0 995 jane@example.org", "0 995 jane", "6 996 jane@example.org", "6 996 jane"},
			logins: []string{"995 - - login_rejected", "996 - - login_rejected"}, halted: true,
		},
		{
			name: "one service takes no password", takes: map[string]string{p995: "none", "": whole}, urls: []string{p995, p996, p997}, for_: 50 * time.Minute,
			want:   []string{"0 995 jane@example.org", "0 995 jane", "6 996 jane@example.org", "6 997 jane@example.org"},
			logins: []string{"995 - - login_rejected", "996 + ?", "997 + ?"},
		},
		{
			name: "no answer is no rejection", takes: map[string]string{"": "asleep"}, urls: []string{p995}, for_: 130 * time.Minute,
			want:   []string{"0 995 jane@example.org", "60 995 jane@example.org", "120 995 jane@example.org"},
			logins: []string{"995 ? ? reset"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if tt.form == "" {
					tt.form = settings.UsernameAddress
				}
				s := begin(t, &house{takes: tt.takes}, &login.Memory{}, declare(t, tt.form, tt.urls...))
				defer s.stop()
				pass(tt.for_)
				got := s.house.seen()
				if strings.HasPrefix(tt.name, "once") {
					slices.Sort(got) // which of the two comes first does not matter
					slices.Sort(tt.want)
				}
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("logins (-want +got)\n%s", diff)
				}
				var logins []string
				for _, l := range s.Logins("main") {
					text, _, _ := strings.Cut(say(l), ":")
					logins = append(logins, fmt.Sprintf("%d %s", l.Service.Port, text))
				}
				slices.Sort(logins)
				if diff := cmp.Diff(tt.logins, logins); diff != "" {
					t.Errorf("known (-want +got)\n%s", diff)
				}
				if got := s.last().Halted; got != tt.halted {
					t.Errorf("halted %v, want %v", got, tt.halted)
				}
			})
		})
	}
}

// TestOnlyVerifiedServices: what the prober does not let through is left alone, and so is
// a provider that is no longer declared, or never was.
func TestOnlyVerifiedServices(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := declare(t, settings.UsernameAddress, p995, p996)
		s := begin(t, &house{takes: map[string]string{"": whole}}, &login.Memory{}, d)
		defer s.stop()
		s.Verified("main", settingstest.Services("jmap://a.example.org", p996, "caldavs://a.example.org")) // over HTTP nobody logs in
		s.Verified("nobody", settingstest.Services(p997))
		pass(30 * time.Minute)
		before := len(s.house.seen())
		if err := s.Declare(t.Context()); err != nil {
			t.Error(err)
		}
		pass(3 * time.Hour)
		if after := len(s.house.seen()); after != before {
			t.Errorf("%d logins after the account was taken out", after-before)
		}
		if s.Logins("main") != nil || s.Logins("nobody") != nil {
			t.Error("logins are known of providers without an account")
		}
		// What was verified before the account was there counts.
		if err := s.Declare(t.Context(), d); err != nil {
			t.Error(err)
		}
		pass(time.Minute)
		if after := len(s.house.seen()); after != before+1 {
			t.Errorf("%d logins once the account is there again, want 1", after-before)
		}
		for _, v := range s.house.seen() {
			if strings.Contains(v, "997") {
				t.Errorf("%s: nobody declared it", v)
			}
		}
	})
}

// TestManyAccounts: an account is in one place at a time, and not many are at once.
func TestManyAccounts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var all []login.Declared
		for i := range 20 {
			d := declare(t, settings.UsernameAddress, fmt.Sprintf("pop3s://h%d.example.org:995", i), fmt.Sprintf("pop3s://i%d.example.org:995", i))
			d.Provider.Name = fmt.Sprintf("p%d", i)
			d.Account = login.NewAccount(address(t, fmt.Sprintf("jane%d@example.org", i)), "right")
			all = append(all, d)
		}
		h := &house{slow: time.Second, takes: map[string]string{"": "none"}}
		s := begin(t, h, &login.Memory{}, all...)
		defer s.stop()
		pass(5 * time.Minute)
		if h.most != 4 {
			t.Errorf("%d logins at once, want 4", h.most)
		}
		if got := len(h.seen()); got != 40 {
			t.Errorf("%d tries, want two of each account", got)
		}
	})
}

// written is an account whose password is in a file.
func written(t *testing.T, file, password string, at time.Time) login.Account {
	t.Helper()
	if err := os.WriteFile(file, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, at, at); err != nil {
		t.Fatal(err)
	}
	a, warning, err := login.ReadAccount(address(t, "jane@example.org"), file)
	if err != nil || warning != "" {
		t.Fatal(err, warning)
	}
	return a
}

// TestAccountThatChanges: a new password is tried at once, and an old one not any more
// once the file has another.
func TestAccountThatChanges(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "password")
	synctest.Test(t, func(t *testing.T) {
		d := declare(t, settings.UsernameAddress, p995)
		d.Account = written(t, file, "old", time.Now().Add(-time.Hour))
		s := begin(t, &house{takes: map[string]string{"": whole}}, &login.Memory{}, d)
		defer s.stop()
		pass(10 * time.Minute)
		if diff := cmp.Diff([]string{"0 995 jane@example.org", "0 995 jane"}, s.house.seen()); diff != "" {
			t.Fatal(diff)
		}
		// The same file read again changes nothing.
		if err := s.Declare(t.Context(), d); err != nil {
			t.Error(err)
		}
		pass(2 * time.Hour)
		if n := len(s.house.seen()); n != 2 {
			t.Errorf("%d tries after a reload without a change, want 2", n)
		}
		d.Account = written(t, file, "right", time.Now())
		if err := s.Declare(t.Context(), d); err != nil {
			t.Error(err)
		}
		pass(time.Minute)
		if diff := cmp.Diff("130 995 jane@example.org", s.house.seen()[2]); diff != "" {
			t.Error(diff)
		}
		// The file is written anew and not read yet: what was read is not used.
		written(t, file, "newer", time.Now())
		pass(3 * time.Hour)
		if n := len(s.house.seen()); n != 3 {
			t.Errorf("%d tries, want 3: the old password was used", n)
		}
		if err := s.last().Err; err == nil || !strings.Contains(err.Error(), file+" has changed since it was read") {
			t.Errorf("told %v", err)
		}
	})
}

// TestFileFromTheFuture must not make a login due for ever.
func TestFileFromTheFuture(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "password")
	synctest.Test(t, func(t *testing.T) {
		d := declare(t, settings.UsernameAddress, p995)
		d.Account = written(t, file, "wrong", time.Now().Add(24*time.Hour))
		s := begin(t, &house{takes: map[string]string{"": whole}}, &login.Memory{}, d)
		defer s.stop()
		pass(48 * time.Hour)
		if n := len(s.house.seen()); n != 2 {
			t.Errorf("%d tries, want 2", n)
		}
	})
}

// TestReplicasShareThePace: two processes and a restart, on one store.
func TestReplicasShareThePace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, h := &login.Memory{}, &house{takes: map[string]string{"": whole}, slow: time.Second}
		d := declare(t, settings.UsernameAddress, p995)
		first, second := begin(t, h, store, d), begin(t, h, store, d)
		pass(3 * time.Second)
		if len(first.Logins("main")) != 1 || len(second.Logins("main")) != 1 {
			t.Error("two seconds after a login not everybody knows of it")
		}
		pass(150 * time.Minute)
		want := []string{"0 995 jane@example.org", "60 995 jane@example.org", "120 995 jane@example.org"}
		if diff := cmp.Diff(want, h.seen()); diff != "" {
			t.Errorf("logins of two (-want +got)\n%s", diff)
		}
		for i, s := range []*story{first, second} {
			if l := s.Logins("main"); len(l) != 1 || !l[0].Accepted() {
				t.Errorf("process %d knows %v", i, l)
			}
			s.stop()
		}
		h.set("", "none")
		again := begin(t, h, store, d)
		pass(40 * time.Minute)
		again.stop()
		after := begin(t, h, store, d)
		defer after.stop()
		pass(24 * time.Hour)
		// What is rejected stays so across a restart.
		if got := len(h.seen()); got != 5 {
			t.Errorf("%d logins, want two more: %q", got, h.seen())
		}
	})
}

// broken is a store that does not work.
type broken struct {
	login.Memory
	mu               sync.Mutex
	read, claim, put error
}

func (b *broken) LoginsSince(ctx context.Context, generation int64) ([]settings.Login, int64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.read != nil {
		return nil, 0, b.read
	}
	return b.Memory.LoginsSince(ctx, generation)
}

func (b *broken) ClaimLogin(ctx context.Context, account string, s settings.Service, now, since time.Time) (bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.claim != nil {
		return false, b.claim
	}
	return b.Memory.ClaimLogin(ctx, account, s, now, since)
}

func (b *broken) SaveLogin(ctx context.Context, l settings.Login) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.put != nil {
		return b.put
	}
	return b.Memory.SaveLogin(ctx, l)
}

// TestStoreThatFails: without a store nobody logs in, and what could not be kept is not
// forgotten.
func TestStoreThatFails(t *testing.T) {
	t.Parallel()
	down := errors.New("the database is down")
	for name, tt := range map[string]struct {
		store *broken
		tries int
	}{
		"read": {&broken{read: down}, 0}, "claim": {&broken{claim: down}, 0}, "save": {&broken{put: down}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &story{house: &house{takes: map[string]string{"": "none"}, start: time.Now()}}
				s.Checker = login.NewChecker(login.Options{Opener: s.house, Store: tt.store, Told: func(r login.Report) {
					s.mu.Lock()
					defer s.mu.Unlock()
					s.reports = append(s.reports, r)
				}})
				if err := s.Declare(t.Context(), declare(t, settings.UsernameAddress, p995)); (err != nil) != (tt.store.read != nil) {
					t.Error(err)
				}
				s.Verified("main", settingstest.Services(p995))
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					s.Run(ctx)
				}()
				pass(2 * time.Hour)
				if got := len(s.house.seen()); got != tt.tries {
					t.Errorf("%d tries, want %d", got, tt.tries)
				}
				if tt.store.read == nil && !errors.Is(s.last().Err, down) {
					t.Errorf("told %+v", s.last())
				}
				tt.store.mu.Lock()
				tt.store.read, tt.store.claim, tt.store.put = nil, nil, nil
				tt.store.mu.Unlock()
				pass(2 * time.Hour)
				if got := len(s.house.seen()); got != 2 {
					t.Errorf("%d tries once the store works, want 2", got)
				}
				cancel()
				<-done
				s.house.others.Wait()
			})
		})
	}
}

// TestStopInTheMiddle: the end cuts a login short, and says nothing of the service.
func TestStopInTheMiddle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &login.Memory{}
		h := &house{takes: map[string]string{"": whole}, slow: time.Second}
		d := declare(t, settings.UsernameAddress, p995)
		s := begin(t, h, store, d)
		synctest.Wait()
		s.stop()
		if l, _, _ := store.LoginsSince(t.Context(), 0); len(l) > 0 {
			t.Errorf("kept: %v", l)
		}
	})
}

// panicking is an Opener with a mistake, which even shows the password.
type panicking struct{}

func (panicking) Open(context.Context, settings.Service) (net.Conn, string, *settings.Failure) {
	panic("right")
}

func TestPanicIsNoAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var got login.Report
		c := login.NewChecker(login.Options{Opener: panicking{}, Store: &login.Memory{}, Told: func(r login.Report) { got = r }})
		_ = c.Declare(t.Context(), declare(t, settings.UsernameAddress, p995))
		c.Verified("main", settingstest.Services(p995))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.Run(ctx)
		}()
		pass(time.Minute)
		cancel()
		<-done
		if want := "? ? local: the login broke down; please report it"; say(got.Login) != want {
			t.Errorf("got %q, want %q", say(got.Login), want)
		}
	})
}

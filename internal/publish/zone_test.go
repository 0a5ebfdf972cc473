package publish_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"mailconfd/internal/publish"
	"mailconfd/internal/publish/publishtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const zoneText = `
@    300 IN SOA ns hostmaster 1 3600 600 86400 60
@    300 IN NS  ns
@    300 IN MX  10 mail
@    300 IN TXT "v=spf1 -all"
ns   300 IN A   127.0.0.1
mail 300 IN A   192.0.2.10
`

var (
	secret  = base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef"))
	secrets = map[string]string{"mailconfd.": secret}
)

func key(t testing.TB, name, secret string) *publish.Key {
	t.Helper()
	k, err := publish.NewKey(name, publish.HMACSHA256, secret)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func primary(t *testing.T, text string) (*publishtest.Primary, publish.Zone) {
	t.Helper()
	p, err := publishtest.Start(zone, text, secrets)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p, publish.Zone{Name: zone, Server: p.Addr(), Key: key(t, "mailconfd", secret), Timeout: 5 * time.Second}
}

func want(t testing.TB, records ...string) publish.Job {
	return publish.Job{Wanted: publish.Fixed(rrs(t, records...))}
}

func mustPublish(t *testing.T, z publish.Zone, job publish.Job) publish.Plan {
	t.Helper()
	p, err := z.Publish(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// holds compares the records of the zone, markers left out, with those it began with and more.
func holds(t *testing.T, p *publishtest.Primary, before []string, more ...string) {
	t.Helper()
	expected := lines(rrs(t, append(append([]string{}, before...), more...)...))
	var got []string
	for _, line := range p.Records() {
		if !strings.HasPrefix(line, "_mailconfd.") {
			got = append(got, line)
		}
	}
	if diff := cmp.Diff(expected, got); diff != "" {
		t.Errorf("the zone (-want +got):\n%s", diff)
	}
}

func TestPublishAndTakeBack(t *testing.T) {
	t.Parallel()
	p, z := primary(t, zoneText)
	before := p.Records()
	job := want(t, imaps, alias, conf)

	plan, err := z.Compare(t.Context(), job)
	if err != nil || len(plan.Add) != 3 || p.Updates() != 0 {
		t.Fatalf("compare: %d to add, %d updates, error %v", len(plan.Add), p.Updates(), err)
	}
	if done := mustPublish(t, z, job); len(done.Add) != 3 {
		t.Errorf("added %v", done.Add)
	}
	holds(t, p, before, imaps, alias, confTheirs)
	if done := mustPublish(t, z, job); !done.Empty() || len(done.Keep) != 3 || p.Updates() != 1 {
		t.Errorf("a second time: %+v, %d updates", done, p.Updates())
	}
	mustPublish(t, z, want(t, imapsOther, conf))
	holds(t, p, before, imapsOther, confTheirs)

	// A person edits one: it is not ours any more.
	if err := p.Edit("-"+imapsOther, imapsLong); err != nil {
		t.Fatal(err)
	}
	done := mustPublish(t, z, want(t, imaps))
	if c := done.Conflicts(); len(c) != 1 || c[0].Why != publish.WhyEdited {
		t.Errorf("conflicts: %v", c)
	}
	holds(t, p, before, imapsLong)
	job = want(t, imaps)
	job.Mode = publish.Adopt
	mustPublish(t, z, job)
	holds(t, p, before, imaps)
	mustPublish(t, z, publish.Job{Mode: publish.TakeBack})
	if diff := cmp.Diff(before, p.Records()); diff != "" {
		t.Errorf("taken back (-before +after):\n%s", diff)
	}
}

func TestScope(t *testing.T) {
	t.Parallel()
	p, z := primary(t, zoneText)
	before := p.Records()
	sub := strings.ReplaceAll(imaps, "_tcp.", "_tcp.sub.")
	mustPublish(t, z, want(t, imaps, sub))
	job := publish.Job{Scope: func(owner string) bool { return owner == "_imaps._tcp.example.org." }}
	done := mustPublish(t, z, job)
	holds(t, p, before, sub)
	if diff := cmp.Diff([]string{"sub.example.org"}, done.Elsewhere); diff != "" {
		t.Errorf("elsewhere (-want +got):\n%s", diff)
	}
}

// TestWildcards: what a wildcard shows at a name is not there, and so is not in the way;
// what is there is.
func TestWildcards(t *testing.T) {
	t.Parallel()
	for _, wild := range []string{
		"* 300 IN CNAME web.example.org.\n", "* 300 IN A 192.0.2.80\n* 300 IN TXT \"v=spf1 -all\"\n", "*._tcp 300 IN SRV 0 0 0 .\n",
	} {
		p, z := primary(t, zoneText+wild)
		before := p.Records()
		done := mustPublish(t, z, want(t, imaps, alias))
		if len(done.Conflicts()) > 0 {
			t.Errorf("%s: %v", wild, done.Conflicts())
		}
		holds(t, p, before, imaps, alias)
	}
	p, z := primary(t, zoneText+"* 300 IN CNAME web.example.org.\nautoconfig 300 IN A 192.0.2.80\n_tcp 60 IN A 192.0.2.1\n_imaps._tcp 60 IN CNAME _imaps._tcp.hoster.example.\n")
	before := p.Records()
	done := mustPublish(t, z, want(t, imaps, alias))
	if len(done.Conflicts()) != 2 || !done.Empty() {
		t.Errorf("conflicts %v", done.Conflicts())
	}
	holds(t, p, before)
}

// TestEditBetween: an edit between reading and writing leads to another attempt, and is
// never overwritten.
func TestEditBetween(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]string{
		"the same set": imapsOther, "an alias": "_imaps._tcp.example.org. 60 IN CNAME x.example.org.", "an address where an alias goes": address,
		"a rare type where an alias goes": `autoconfig.example.org. 60 IN SSHFP 1 1 123456789abcdef67890123456789abcdef67890`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, z := primary(t, zoneText)
			var once sync.Once
			p.Before(func(*dns.Msg) { once.Do(func() { _ = p.Edit(edit) }) })
			before := p.Records()
			done, err := z.Publish(t.Context(), want(t, imaps, alias))
			if err != nil || len(done.Conflicts()) != 1 || len(done.Add) != 1 {
				t.Fatalf("%+v, %v", done, err)
			}
			holds(t, p, before, edit, done.Add[0].String())
		})
	}
}

func errorOf(t *testing.T, err error) *publish.Error {
	t.Helper()
	e, ok := errors.AsType[*publish.Error](err)
	if !ok {
		t.Fatalf("got error %v, want a *publish.Error", err)
	}
	return e
}

// TestFaults: what goes wrong with a server becomes one of the kinds, and says what to do.
func TestFaults(t *testing.T) {
	t.Parallel()
	code := func(rcode int) func(query, answer *dns.Msg, w dns.ResponseWriter) bool {
		return func(query, answer *dns.Msg, _ dns.ResponseWriter) bool {
			if query.Opcode == dns.OpcodeUpdate {
				answer.Rcode = rcode
			}
			return false
		}
	}
	tests := map[string]struct {
		zone  func(*publish.Zone)
		fault func(query, answer *dns.Msg, w dns.ResponseWriter) bool
		kind  publish.Kind
		says  string
	}{
		"wrong secret":   {zone: func(z *publish.Zone) { z.Key = key(t, "mailconfd", "AAAA") }, kind: publish.KindSignature, says: "BADSIG"},
		"unknown key":    {zone: func(z *publish.Zone) { z.Key = key(t, "stranger", secret) }, kind: publish.KindKey, says: "stranger."},
		"no key":         {zone: func(z *publish.Zone) { z.Key = nil }, kind: publish.KindRefused, says: "tsig_name"},
		"another zone":   {zone: func(z *publish.Zone) { z.Name = "example.net" }, kind: publish.KindRefused},
		"part of a zone": {zone: func(z *publish.Zone) { z.Name = "sub.example.org" }, kind: publish.KindZone, says: "a part of example.org"},
		"NOTAUTH":        {fault: code(dns.RcodeNotAuth), kind: publish.KindZone, says: "primary"},
		"NOTZONE":        {fault: code(dns.RcodeNotZone), kind: publish.KindZone, says: "NOTZONE"},
		"REFUSED":        {fault: code(dns.RcodeRefused), kind: publish.KindRefused, says: "update-policy"},
		"NOTIMP":         {fault: code(dns.RcodeNotImplemented), kind: publish.KindUnsupported, says: "NOTIMP"},
		"FORMERR":        {fault: code(dns.RcodeFormatError), kind: publish.KindAnswer},
		"SERVFAIL":       {fault: code(dns.RcodeServerFailure), kind: publish.KindServer, says: "journal"},
		"a strange code": {fault: code(13), kind: publish.KindAnswer, says: "code 13"},
		"not authoritative": {
			fault: func(_, answer *dns.Msg, _ dns.ResponseWriter) bool { answer.Authoritative = false; return false },
			kind:  publish.KindZone, says: "not that of a resolver",
		},
		"cut": {
			fault: func(_, answer *dns.Msg, _ dns.ResponseWriter) bool { answer.Truncated = true; return false },
			kind:  publish.KindAnswer, says: "cut",
		},
		"unsigned": {
			fault: func(query, answer *dns.Msg, w dns.ResponseWriter) bool {
				answer.Extra = nil
				wire, _ := answer.Pack()
				_, _ = w.Write(wire)
				return true
			},
			kind: publish.KindSignature, says: "not signed",
		},
		"another's signature": {
			fault: func(query, answer *dns.Msg, w dns.ResponseWriter) bool {
				wire, _, _ := dns.TsigGenerate(answer, "AAAA", query.IsTsig().MAC, false)
				_, _ = w.Write(wire)
				return true
			},
			kind: publish.KindSignature, says: "signature of the answer",
		},
		"rubbish": {
			fault: func(_, _ *dns.Msg, w dns.ResponseWriter) bool {
				_, _ = w.Write([]byte("HTTP/1.1 400 Bad Request"))
				return true
			},
			kind: publish.KindAnswer,
		},
		"half an answer": {
			fault: func(_, answer *dns.Msg, w dns.ResponseWriter) bool {
				wire, _ := answer.Pack()
				_, _ = w.Write(wire[:len(wire)/2])
				_ = w.Close()
				return true
			},
			kind: publish.KindAnswer,
		},
		"another question": {
			fault: func(_, answer *dns.Msg, _ dns.ResponseWriter) bool { answer.Question[0].Name = "x."; return false },
			kind:  publish.KindAnswer, says: "not to what we sent",
		},
		"hangs up": {
			fault: func(_, _ *dns.Msg, w dns.ResponseWriter) bool { _ = w.Close(); return true },
			kind:  publish.KindUnreachable,
		},
		"silent": {
			zone:  func(z *publish.Zone) { z.Timeout = 50 * time.Millisecond },
			fault: func(_, _ *dns.Msg, _ dns.ResponseWriter) bool { return true },
			kind:  publish.KindUnreachable, says: "no answer in time",
		},
		"nobody there": {zone: func(z *publish.Zone) { z.Server = "127.0.0.1:1" }, kind: publish.KindUnreachable, says: "connection refused"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, z := primary(t, zoneText)
			before := p.Records()
			if test.zone != nil {
				test.zone(&z)
			}
			p.Fail(test.fault)
			_, err := z.Publish(t.Context(), want(t, imaps))
			e := errorOf(t, err)
			if e.Kind != test.kind || !strings.Contains(err.Error(), test.says) || !strings.Contains(err.Error(), z.Server) {
				t.Errorf("got %s: %v, want %s and %q", e.Kind, err, test.kind, test.says)
			}
			if p.Updates() == 0 {
				holds(t, p, before)
			}
		})
	}
}

// TestDiesInTheMiddle: the connection breaks while an update is under way, before or
// after it was carried out. Either way the zone ends right, or whole and told.
func TestDiesInTheMiddle(t *testing.T) {
	t.Parallel()
	p, z := primary(t, zoneText)
	before := p.Records()
	var times atomic.Int32
	p.Fail(func(query, _ *dns.Msg, w dns.ResponseWriter) bool {
		if query.Opcode == dns.OpcodeUpdate && times.Add(1) == 1 {
			_ = w.Close()
			return true
		}
		return false
	})
	done := mustPublish(t, z, want(t, imaps))
	holds(t, p, before, imaps)
	if len(done.Keep) != 1 || p.Updates() != 1 {
		t.Errorf("%+v, %d updates", done, p.Updates())
	}
	p.Fail(func(query, _ *dns.Msg, w dns.ResponseWriter) bool { // for good
		if query.Opcode == dns.OpcodeUpdate {
			go func() { _ = p.Close() }()
			_ = w.Close()
			return true
		}
		return false
	})
	_, err := z.Publish(t.Context(), want(t, imapsOther))
	if e := errorOf(t, err); e.Kind != publish.KindUnreachable || !strings.Contains(err.Error(), "running it again is safe") {
		t.Errorf("got %v", err)
	}
	holds(t, p, before, imapsOther)
}

// TestLag: a server that passes updates on shows the old zone for a while, or for good.
func TestLag(t *testing.T) {
	t.Parallel()
	p, z := primary(t, zoneText)
	p.Lag(true)
	var asked atomic.Int32
	p.Fail(func(query, _ *dns.Msg, _ dns.ResponseWriter) bool {
		if p.Updates() > 0 && asked.Add(1) == 10 {
			p.Lag(false)
		}
		return false
	})
	mustPublish(t, z, want(t, imaps))
	p.Fail(nil)
	p.Lag(true)
	_, err := z.Publish(t.Context(), want(t, imapsOther))
	if e := errorOf(t, err); e.Kind != publish.KindLagging {
		t.Errorf("got %v", err)
	}
}

// TestLeftOut: the server says yes and leaves a record out, or gives it another TTL. It is
// told, and what there is of it is ours: it goes when it is not wanted.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	for says, change := range map[string]func(m *dns.Msg){
		"60 IN SRV 0 1 993": func(m *dns.Msg) {
			for _, rr := range m.Ns {
				if rr.Header().Rrtype == dns.TypeSRV {
					rr.Header().Ttl = 60
				}
			}
		},
		"left it out": func(m *dns.Msg) {
			m.Ns = slices.DeleteFunc(m.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSRV })
		},
	} {
		p, z := primary(t, zoneText)
		mustPublish(t, z, want(t, address))
		before := p.Records()
		p.Before(change)
		_, err := z.Publish(t.Context(), want(t, address, imaps))
		if e := errorOf(t, err); e.Kind != publish.KindNotApplied || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v", err)
		}
		p.Before(nil)
		mustPublish(t, z, want(t, address))
		if diff := cmp.Diff(before, p.Records()); diff != "" {
			t.Errorf("%s: what was left (-before +after):\n%s", says, diff)
		}
	}
}

// TestManyDomains: what one message cannot say is said in parts, each domain as a whole; and
// there is an end to what the markers of a zone can say.
func TestManyDomains(t *testing.T) {
	t.Parallel()
	p, z := primary(t, zoneText)
	before := p.Records()
	var records []string
	for i := range 500 {
		records = append(records,
			fmt.Sprintf("_imaps._tcp.a-customer-%d.example.org. 3600 IN SRV 0 1 993 mail.example.org.", i),
			fmt.Sprintf("autoconfig.a-customer-%d.example.org. 3600 IN CNAME config.example.org.", i))
	}
	p.Before(func(m *dns.Msg) {
		n := map[string]int{}
		for _, rr := range m.Ns {
			n[publish.DomainOf(rr.Header().Name)]++
		}
		delete(n, zone) // the markers
		for domain, changes := range n {
			if changes != 2 {
				t.Errorf("%s is changed in parts", domain)
			}
		}
	})
	done := mustPublish(t, z, want(t, records[:500]...))
	if len(done.Add) != 500 || p.Updates() < 2 {
		t.Errorf("%d records added in %d updates", len(done.Add), p.Updates())
	}
	holds(t, p, before, records[:500]...)
	mustPublish(t, z, publish.Job{Mode: publish.TakeBack})
	holds(t, p, before)
	_, err := z.Publish(t.Context(), want(t, records...))
	if e := errorOf(t, err); e.Kind != publish.KindTooLarge {
		t.Errorf("got %v", err)
	}
	mustPublish(t, z, publish.Job{Mode: publish.TakeBack})
	holds(t, p, before)
}

func TestNewerMarkersAreNotTouched(t *testing.T) {
	t.Parallel()
	p, z := primary(t, zoneText+`_mailconfd 60 IN TXT "mailconfd=2 something"`+"\n")
	_, err := z.Publish(t.Context(), want(t, imaps))
	if e := errorOf(t, err); e.Kind != publish.KindMarkers || p.Updates() > 0 {
		t.Errorf("got %v", err)
	}
}

// TestTwoAtOnce: many publishers that want different things, and a person who edits.
func TestTwoAtOnce(t *testing.T) {
	t.Parallel()
	p, z := primary(t, zoneText)
	before := p.Records()
	var group sync.WaitGroup
	for i := range 4 {
		group.Go(func() {
			for range 10 {
				if _, err := z.Publish(context.Background(), want(t, []string{imaps, imapsOther}[i%2], alias)); err != nil {
					t.Error(err)
				}
				if err := p.Edit(fmt.Sprintf("x%d.example.org. 60 IN A 192.0.2.1", i), fmt.Sprintf("-x%d.example.org. 60 IN A 192.0.2.1", i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	mustPublish(t, z, want(t, imaps, alias))
	holds(t, p, before, imaps, alias)
	mustPublish(t, z, publish.Job{Mode: publish.TakeBack})
	if diff := cmp.Diff(before, p.Records()); diff != "" {
		t.Errorf("taken back (-before +after):\n%s", diff)
	}
}

func TestInterrupted(t *testing.T) {
	t.Parallel()
	p, z := primary(t, zoneText)
	ctx, cancel := context.WithCancel(t.Context())
	p.Fail(func(_, _ *dns.Msg, _ dns.ResponseWriter) bool { cancel(); return true })
	if _, err := z.Publish(ctx, want(t, imaps)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestFindZone(t *testing.T) {
	t.Parallel()
	_, z := primary(t, zoneText)
	for _, domain := range []string{"example.org", "a.b.example.org"} {
		if got, err := publish.FindZone(t.Context(), z.Server, z.Key, domain); got != zone || err != nil {
			t.Errorf("%s: %q, %v", domain, got, err)
		}
	}
	if _, err := publish.FindZone(t.Context(), z.Server, z.Key, "example.net"); err == nil {
		t.Error("a zone that is not there is found")
	}
}

func TestReadKey(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return name
	}
	if k, warning, err := publish.ReadKey("Mailconfd", publish.HMACSHA512, file("good", secret+"\n", 0o600)); err != nil || warning != "" || k.Name != "mailconfd." {
		t.Errorf("%+v %q %v", k, warning, err)
	}
	if _, warning, err := publish.ReadKey("k", publish.HMACSHA256, file("open", secret, 0o644)); err != nil || !strings.Contains(warning, "0644") {
		t.Errorf("%q %v", warning, err)
	}
	for name, test := range map[string]struct{ key, algorithm, file, says string }{
		"missing":   {"k", publish.HMACSHA256, filepath.Join(dir, "none"), "no such file"},
		"directory": {"k", publish.HMACSHA256, dir, "is no file"},
		"empty":     {"k", publish.HMACSHA256, file("empty", "", 0o600), "not base64"},
		"text":      {"k", publish.HMACSHA256, file("text", "pass word", 0o600), "not base64"},
		"statement": {"k", publish.HMACSHA256, file("statement", `key "k" { algorithm hmac-sha256; secret "AAAA"; };`, 0o600), "whole key statement"},
		"large":     {"k", publish.HMACSHA256, file("large", strings.Repeat("A", 5000), 0o600), "too large"},
		"md5":       {"k", "hmac-md5", file("md5", secret, 0o600), "want hmac-sha256"},
		"name":      {"", publish.HMACSHA256, file("name", secret, 0o600), "name of a key"},
	} {
		if _, _, err := publish.ReadKey(test.key, test.algorithm, test.file); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: got %v, want %q", name, err, test.says)
		}
	}
}

// TestDocs holds docs/publish.md to the kinds of error.
func TestDocs(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/publish.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range publish.Kinds() {
		if !strings.Contains(string(page), "`"+string(kind)+"`") {
			t.Errorf("docs/publish.md does not have %s", kind)
		}
	}
}

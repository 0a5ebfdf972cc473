package publish_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"mailconfd/internal/publish"
)

// TestBreaksBeforeTheAliasStands: the records that an alias replaces are gone, and the server has left the alias
// out, when something breaks. The next run goes on by itself, to the alias or back to the records.
func TestBreaksBeforeTheAliasStands(t *testing.T) {
	t.Parallel()
	for moment, breaks := range map[string]func(updated bool, q *dns.Msg) bool{
		"the answer to the update": func(updated bool, _ *dns.Msg) bool { return updated },
		"what is read back":        func(updated bool, q *dns.Msg) bool { return updated && q.Opcode == dns.OpcodeQuery },
		"the second update": func(updated bool, q *dns.Msg) bool {
			return updated && q.Opcode == dns.OpcodeUpdate && len(q.Ns) == 2 // both aliases by themselves
		},
	} {
		for next, wanted := range map[string][]string{"goes on": {imapsAlias, alias}, "goes back": {imaps, address}} {
			t.Run(moment+", and the next run "+next, func(t *testing.T) {
				t.Parallel()
				p, z := primary(t, zoneText)
				p.Sign(true)
				before := p.Records()
				mustPublish(t, z, want(t, imaps, address))
				var mu sync.Mutex
				updated := false
				p.Fail(func(q, _ *dns.Msg, w dns.ResponseWriter) bool {
					mu.Lock()
					defer mu.Unlock()
					updated = updated || q.Opcode == dns.OpcodeUpdate && len(q.Ns) > 0
					if breaks(updated, q) {
						_ = w.Close()
						return true
					}
					return false
				})
				if _, err := z.Publish(t.Context(), want(t, imapsAlias, alias)); err == nil {
					t.Error("a broken connection is no error")
				}
				p.Fail(nil)
				if plan := mustPublish(t, z, want(t, wanted...)); len(plan.Conflicts()) > 0 {
					t.Errorf("conflicts: %v", plan.Conflicts())
				}
				holds(t, p, before, wanted...)
			})
		}
	}
}

// TestEndsBeforeTheAliasStands: the job is to end when the update has been carried out. What somebody else wrote and was
// adopted gets its alias all the same.
func TestEndsBeforeTheAliasStands(t *testing.T) {
	t.Parallel()
	p, z := primary(t, zoneText)
	p.Sign(true)
	before := p.Records()
	if err := p.Edit("autoconfig.example.org. 300 IN A 192.0.2.80"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	p.Before(func(*dns.Msg) { stop() })
	job := want(t, alias)
	job.Mode = publish.Adopt
	_, _ = z.Publish(ctx, job) // it may end with an error or not
	p.Before(nil)
	mustPublish(t, z, want(t, alias))
	holds(t, p, before, alias)
}

// TestManyReplaced: the markers of what goes and of what comes are together more than one answer can hold, by themselves not.
func TestManyReplaced(t *testing.T) {
	t.Parallel()
	p, z := primary(t, zoneText)
	before := p.Records()
	var sets, aliases []string
	long := strings.Repeat("a", 60) + "." + strings.Repeat("b", 60) + "." + strings.Repeat("c", 60)
	for i := range 90 {
		for _, label := range []string{"_imaps", "_submission"} {
			owner := fmt.Sprintf("%s._tcp.%s.customer-%d.example.org. 3600 IN ", label, long, i)
			sets, aliases = append(sets, owner+"SRV 0 1 993 mail.example.org."), append(aliases, owner+"CNAME "+label+"._tcp.hoster.example.")
		}
	}
	for _, set := range [][]string{sets, append(aliases[:50:50], sets[50:]...)} {
		mustPublish(t, z, want(t, set...))
		holds(t, p, before, set...)
	}
}

// TestUndoMeetsAnother: while it puts back what went for an alias, another run writes the marker of another domain.
func TestUndoMeetsAnother(t *testing.T) {
	t.Parallel()
	p, z := primary(t, zoneText)
	mustPublish(t, z, want(t, address))
	before := p.Records()
	const unknown = `autoconfig.example.org. 300 IN TYPE65280 \# 1 00`
	const theirs = `_mailconfd.example.org. 3600 IN TXT "mailconfd=1 owner=_imaps._tcp.other type=SRV digest=0123456789abcdef"`
	if err := p.Edit(unknown); err != nil {
		t.Fatal(err)
	}
	p.Fail(func(query, answer *dns.Msg, _ dns.ResponseWriter) bool {
		answer.Answer = slices.DeleteFunc(answer.Answer, func(rr dns.RR) bool {
			return query.Opcode == dns.OpcodeQuery && rr.Header().Rrtype == 65280
		})
		return false
	})
	var once sync.Once
	p.Before(func(m *dns.Msg) {
		if slices.ContainsFunc(m.Ns, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeA && rr.Header().Class == dns.ClassINET }) {
			once.Do(func() { _ = p.Edit(theirs) })
		}
	})
	job := want(t, alias)
	job.Scope = func(owner string) bool { return !strings.Contains(owner, "other") }
	updates := p.Updates()
	done, err := z.Publish(t.Context(), job)
	if e := errorOf(t, err); e.Kind != publish.KindNotApplied || len(done.Add)+len(done.Delete)+len(done.Mark)+len(done.Unmark) > 0 {
		t.Errorf("%v, done %v, markers %v and %v", err, done.Lines(), done.Mark, done.Unmark)
	}
	if n := p.Updates() - updates; n != 2 {
		t.Errorf("%d updates, want one and what takes it back", n)
	}
	after := append(before, unknown, theirs)
	slices.Sort(after)
	if diff := cmp.Diff(lines(rrs(t, after...)), lines(rrs(t, p.Records()...))); diff != "" {
		t.Errorf("what is left (-want +got):\n%s", diff)
	}
}

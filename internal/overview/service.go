package overview

import (
	"slices"
	"strings"
	"time"

	"mailconfd/settings"
)

// common says what is told of a service whether it is published or not.
func (k Known) common(s settings.Service, f *settings.Failure, seen, now time.Time) Service {
	out := Service{
		Service: s, Role: s.Role(), Failure: f, Seen: moment(seen),
		Newest: []settings.Observation{}, Changes: []settings.Observation{},
	}
	if f != nil {
		out.Remedy = f.Kind.Text().Remedy
	}
	for _, h := range k.Views[s] {
		v := h.Newest.Verdict()
		out.Certificate = out.Certificate.sooner(v.TLS, now)
		for _, w := range v.Warnings {
			flaw := Flaw{w.Kind, w.Detail, w.Kind.Text().Remedy}
			if !slices.Contains(out.Warnings, flaw) {
				out.Warnings = append(out.Warnings, flaw)
			}
		}
	}
	for _, d := range k.Result.Disagree {
		if d.Service == s {
			out.Disagree = d.String()
		}
	}
	return out
}

// published says what is known of a service that clients may be told.
func (k Known) published(p settings.Published, answer bool, now time.Time) Service {
	s := k.common(p.Service, p.Failure, p.Seen, now)
	s.Published, s.Answer, s.Basis, s.Reason = true, answer, p.Basis, p.Reason
	s.Warnings = slices.DeleteFunc(s.Warnings, func(f Flaw) bool {
		return f.Kind == settings.WarnLocalAddress && p.Basis == settings.BasisProbed // another vantage confirms it
	})
	s.Level, s.Text = judge(p)
	if len(s.Warnings) > 0 || s.Disagree != "" || s.Certificate != nil && s.Certificate.Stage > 0 {
		s.Level = worse(s.Level, Warning)
	}
	return s
}

// judge says how a published service does.
func judge(p settings.Published) (Level, string) {
	switch {
	case p.Basis == settings.BasisTrusted:
		return Well, "published unseen, on the operator's word: " + p.Reason
	case p.Failure == nil && p.Basis == settings.BasisGrace:
		return Fault, "published in grace: it has not been seen to work for too long"
	case p.Failure == nil && p.Basis == settings.BasisLocal:
		return Well, "works, seen from behind the firewall only"
	case p.Failure == nil:
		return Well, "works"
	case p.Basis == settings.BasisGrace:
		return Fault, "published in grace, and fails: " + p.Failure.String()
	case p.Failure.Kind.Weight() == settings.Local:
		return Warning, "works as far as is known; the newest probe told nothing: " + p.Failure.String()
	default:
		return Warning, "published; the newest probe failed: " + p.Failure.String()
	}
}

// withheld says what is known of a service that clients are not told.
func (k Known) withheld(w settings.Withheld, now time.Time) Service {
	s := k.common(w.Service, w.Failure, w.Seen, now)
	s.Withheld, s.Level = w.Why, Fault
	s.Text = strings.TrimPrefix(w.String(), w.Service.String()+": ")
	switch w.Why {
	case settings.WhyNotProbed, settings.WhyUndecided:
		s.Level = Waiting
	case settings.WhyNeverSeen:
		s.Level = neverSeen(w.Failure)
		if slices.Contains(k.Provider.NotOffered, w.Service.Role()) {
			s.Level, s.Text = Absent, "not offered, as is declared; "+s.Text
		}
	case settings.WhyGraceOver, settings.WhyLogin:
	}
	return s
}

// neverSeen says how bad it is that a service never worked. A port on which nothing
// answers is not there, and that may be as it should be: hosts are tried on every default
// port. What answers and cannot be used should be mended.
func neverSeen(f *settings.Failure) Level {
	switch {
	case f == nil, f.Kind.Weight() == settings.Local, f.Kind.Weight() == settings.Temporary:
		return Warning
	case f.Kind.Connecting():
		return Absent
	default:
		return Fault
	}
}

// since returns since when a service works or fails as it does now: since the first of the
// failures in a row, or since the last change, as seen from the vantage that decided, which
// is the one with this success.
func since(views settings.Views, changes []settings.Observation, seen *time.Time) *time.Time {
	for _, h := range views {
		success := moment(h.Success.At)
		if h.Newest.At.IsZero() || (success == nil) != (seen == nil) || seen != nil && !success.Equal(*seen) {
			continue
		}
		if h.Failed.Count > 0 {
			return moment(h.Failed.First)
		}
		for _, c := range changes {
			if c.Vantage == h.Newest.Vantage {
				return moment(c.At)
			}
		}
	}
	return nil
}

// moment is a time as JSON has it; nil for none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Second)
	return &t
}

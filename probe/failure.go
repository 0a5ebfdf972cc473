package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"

	"mailconfd/settings"
)

// failed is a failure on its way out of a dialogue.
type failed settings.Failure

// Error says it as settings.Failure does.
func (f *failed) Error() string { return settings.Failure(*f).String() }

// fail makes a failure. Texts of a server in its detail are shown safely.
func fail(kind settings.FailureKind, format string, args ...any) error {
	return &failed{kind, printable(fmt.Sprintf(format, args...), maxDetail)}
}

// failureOf returns the failure that an error holds. Every other error is one of ours,
// and there should be none.
func failureOf(err error) *settings.Failure {
	var f *failed
	if !errors.As(err, &f) {
		return &settings.Failure{Kind: settings.FailureLocal, Detail: printable(err.Error(), maxDetail)}
	}
	failure := settings.Failure(*f)
	return &failure
}

// kindOf returns the kind of failure that an error holds, or "".
func kindOf(err error) settings.FailureKind {
	var f *failed
	if errors.As(err, &f) {
		return f.Kind
	}
	return ""
}

// stopped returns the failure of a probe that was ended from outside, or nil. A deadline
// of the caller's is a time-out like our own.
func stopped(ctx context.Context, doing string) error {
	switch ctx.Err() {
	case nil:
		return nil
	case context.DeadlineExceeded:
		return fail(settings.FailureTimeout, "%s: the time given for the probe is over", doing)
	}
	return fail(settings.FailureLocal, "%s: the probe was stopped", doing)
}

// errNoRoute marks a connection for which this machine may have no route at all.
var errNoRoute = errors.New("no route")

// connectFailure says what a failed connection means. The system's and a SOCKS5 proxy's
// reasons look alike here.
func connectFailure(ctx context.Context, address string, patience time.Duration, err error) error {
	doing := "connect " + address
	if err := stopped(ctx, doing); err != nil {
		return err
	}
	reason := doingAndReason(doing, err)
	switch kind := networkKind(err); {
	case isNoRoute(err):
		return errors.Join(fail(kind, "%s", reason), errNoRoute)
	case kind == settings.FailureTimeout:
		return fail(kind, "%s: no answer within %s", doing, inWords(patience))
	default:
		return fail(kind, "%s", reason)
	}
}

// NetworkFailure says in the words of a probe what an error of a connection means.
func NetworkFailure(doing string, err error) settings.Failure {
	kind := networkKind(err)
	if kind == settings.FailureTimeout {
		return *failureOf(fail(kind, "%s: no answer in time", doing))
	}
	return *failureOf(fail(kind, "%s", doingAndReason(doing, err)))
}

// networkKind says what an error of a connection means. The default is that it is ours:
// a local firewall (EPERM), no more file descriptors, a proxy that does not work.
func networkKind(err error) settings.FailureKind {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return settings.FailureRefused
	case errors.Is(err, syscall.EHOSTUNREACH), isNoRoute(err):
		return settings.FailureUnreachable
	case isTimeout(err):
		return settings.FailureTimeout
	case isCut(err), isEnd(err):
		return settings.FailureReset
	case isAlert(err):
		return settings.FailureTLS
	}
	return settings.FailureLocal
}

func isNoRoute(err error) bool {
	return errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

// doingAndReason returns what was done and why it failed; some reasons begin with that.
func doingAndReason(doing string, err error) string {
	if reason := reasonOf(err); !strings.HasPrefix(reason, doing) {
		return doing + ": " + reason
	}
	return reasonOf(err)
}

// reasonOf returns the bare reason of an error of package net.
func reasonOf(err error) string {
	var errno syscall.Errno
	var op *net.OpError
	if errors.As(err, &op) {
		err = op.Err
		if errors.As(err, &errno) {
			err = errno
		}
	}
	return err.Error()
}

func isTimeout(err error) bool {
	var e net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &e) && e.Timeout()
}

// isEnd tells that the other side has ended the connection in an orderly way, or in the
// middle of something.
func isEnd(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.ErrClosedPipe)
}

// isCut tells that the other side has cut the connection.
func isCut(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNABORTED)
}

// isAlert tells that the server has sent a TLS alert.
func isAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// judgeRoutes decides what "network unreachable" means: where no address of a family can
// be connected to at all, this machine has no route for the family, and nothing was
// learnt about the service.
func judgeRoutes(visits []*visit) {
	routed := func(four bool) bool {
		for _, v := range visits {
			if v.result.IP.Is4() == four && !v.noRoute {
				return true
			}
		}
		return false
	}
	for _, v := range visits {
		if v.noRoute && !routed(v.result.IP.Is4()) {
			v.result.Failure.Kind = settings.FailureLocal
		}
	}
}

// inWords rounds a wait as a person would: nobody set 2.999 s.
func inWords(d time.Duration) time.Duration {
	if d < time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(100 * time.Millisecond)
}

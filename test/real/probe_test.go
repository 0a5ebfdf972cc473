//go:build real

package real

import (
	"crypto/sha256"
	"encoding/hex"
	"sort"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestProbe looks at the healthy host: all eight services work, and everything about them is right.
func TestProbe(t *testing.T) {
	w := newWorld(t)
	services := probe(t, w, 0, mailName)
	var got []string
	for _, s := range services {
		got = append(got, s.Service)
		t.Run(s.Service, func(t *testing.T) { isHealthy(t, w, s) })
	}
	sort.Strings(got)
	want := []string{
		"imap://mail.example.test:143",
		"imaps://mail.example.test:993",
		"pop3://mail.example.test:110",
		"pop3s://mail.example.test:995",
		"sieve://mail.example.test:4190",
		"submission://mail.example.test:2525",
		"submission://mail.example.test:587",
		"submissions://mail.example.test:465",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("services (-want +got):\n%s", diff)
	}
}

func isHealthy(t *testing.T, w *world, got service) {
	leaf := w.certificate.leaf
	spki := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	want := service{
		Service:  got.Service,
		Verified: true,
		Basis:    "probed", // the mail host is another machine, at public addresses
		TLS: &facts{
			Version:      "TLS 1.3",
			SubjectNames: []string{mailName},
			NotAfter:     leaf.NotAfter,
			SPKISHA256:   hex.EncodeToString(spki[:]),
		},
		Auth:      []string{"PLAIN", "LOGIN"},
		Warnings:  []remark{{Kind: "private_root"}},
		Addresses: []sighting{{IP: mailIPv4, Verified: true}, {IP: mailIPv6, Verified: true}},
	}
	if strings.HasPrefix(got.Service, "pop3") {
		want.Auth = append(want.Auth, "USER")
	}
	anyOrder := cmp.Options{
		cmpopts.SortSlices(func(a, b string) bool { return a < b }),
		cmpopts.SortSlices(func(a, b sighting) bool { return a.IP < b.IP }),
	}
	if diff := cmp.Diff(want, got, anyOrder, cmpopts.IgnoreFields(remark{}, "Detail")); diff != "" {
		t.Errorf("service (-want +got):\n%s", diff)
	}
}

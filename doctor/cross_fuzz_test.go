package doctor

import (
	"strings"
	"testing"
	"unicode"
)

// FuzzEvidence reads a document as the cross-examination does: it never panics, and
// what it quotes is fit to print.
func FuzzEvidence(f *testing.F) {
	for _, seed := range []string{
		fuzzAutoconfig, fuzzAutodiscover, "\ufeff" + fuzzAutoconfig, "", "<", "<clientConfig/>", "<Autodiscover/>",
		`{"protocols":{"imap":{"host":"mail.example.test"},"submit":{"host":"mail.example.test"}}}`, `{"protocols":{"imap":7}}`,
		`<?xml version="1.0" encoding="iso-8859-1"?><clientConfig><emailProvider><incomingServer type="imap"><hostname>` + "\xfc" + `</hostname></incomingServer></emailProvider></clientConfig>`,
		`<!DOCTYPE x [<!ENTITY a "aaaa">]><clientConfig>&a;</clientConfig>`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, kind := range []format{formatAutoconfig, formatAutodiscover, formatPACC} {
			read := readFile(kind, "https://example.test/", page{Hop: Hop{Status: 200, Body: body}, taken: true})
			if len(read.offers) > maxOffers {
				t.Errorf("%d offers", len(read.offers))
			}
			for _, o := range read.offers {
				if s := o.String(); strings.ContainsFunc(s, unicode.IsControl) || len(s) > 2000 {
					t.Errorf("not fit to print: %q", s)
				}
				if s, ok := o.service(); ok && (s.Host == "" || s.Port == 0) {
					t.Errorf("%s would be tried", s)
				}
			}
		}
	})
}

// FuzzXML checks the parser's own limits.
func FuzzXML(f *testing.F) {
	for _, seed := range []string{
		fuzzAutoconfig, "", "<a/><b/>", "<a></b>", " <?xml version='1.0'?><a/>", "<a><![CDATA[x]]><!-- y --></a>",
		strings.Repeat("<a>", 60), strings.Repeat("<a/>", 3), "<a>&b;</a>", `<?xml version="1.0" encoding="utf-16"?><a/>`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		root, err := parseXML(body)
		if (root == nil) != (err != nil) {
			t.Fatalf("root %v and error %v", root, err)
		}
		if nodes, depth := measure(root); nodes > maxNodes || depth > maxDepth {
			t.Errorf("%d nodes, %d deep", nodes, depth)
		}
	})
}

func measure(n *node) (nodes, depth int) {
	if n == nil {
		return 0, 0
	}
	for _, c := range n.children {
		more, below := measure(c)
		nodes, depth = nodes+more, max(depth, below)
	}
	return nodes + 1, depth + 1
}

// FuzzPACCDigest reads TXT records.
func FuzzPACCDigest(f *testing.F) {
	for _, seed := range []string{"v=UAAC1; a=sha256; d=MOA19C2fw1LnfpriQEArPk+FRkxoE7UVaunADBmu7G8=", "v=UAAC1;a=sha256;d=", "v=spf1 -all", ";;;", "d=="} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if digest, ok := paccDigest(text); !ok && digest != [len(digest)]byte{} {
			t.Error("a digest from a record that has none")
		}
	})
}

// TestPACCDigest has the grammar of draft-ietf-mailmaint-pacc-03 section 5.2.2.2.
func TestPACCDigest(t *testing.T) {
	t.Parallel()
	const d = "MOA19C2fw1LnfpriQEArPk+FRkxoE7UVaunADBmu7G8="
	for text, want := range map[string]bool{
		"v=UAAC1; a=sha256; d=" + d:                true,
		"d=" + d + ";a=sha256;v=UAAC1;":            true,
		"v = UAAC1 ; a\t=sha256; n=later; d=" + d:  true,
		"v=UAAC1; a=SHA256; d=" + d:                true, // one client compares so
		" v=UAAC1; a=sha256; d=" + d:               false,
		"v=UAAC1; a=sha256; d=" + d + "; d=" + d:   false,
		"v=uaac1; a=sha256; d=" + d:                false,
		"v=UAAC1; a=sha1; d=" + d:                  false,
		"v=UAAC1; a=sha256; d=" + d[:43]:           false,
		"v=UAAC1; a=sha256; d=c2hvcnQ=":            false,
		"v=UAAC1; a=sha256":                        false,
		"v=UAAC1; a=sha256; d=-_-_" + d[4:]:        false,
		"":                                         false,
		"v=spf1 include:_spf.example.test -all":    false,
		"v=UAAC1; v=UAAC1; a=sha256; d=" + d:       false,
		"v=UAAC1; a=sha256; d=" + d + "; n=1; n=1": true,
	} {
		if _, ok := paccDigest(text); ok != want {
			t.Errorf("%q: %t, want %t", text, ok, want)
		}
	}
}

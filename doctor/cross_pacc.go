package doctor

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
)

// pacc checks the digest of a PACC document, where there is one
// (draft-ietf-mailmaint-pacc).
func (c *comparison) pacc() {
	for _, f := range c.files {
		if f.format != formatPACC || len(f.offers) == 0 {
			continue
		}
		sum := sha256.Sum256(f.page.Body)
		owner := "_ua-auto-config." + c.address.Domain
		for _, r := range c.lookUp(owner, TypeTXT).Records {
			if digest, ok := paccDigest(r.Text); ok && digest == sum {
				return
			}
		}
		found := finding(KindPACC, bare(f.url)+" has a digest that no TXT record at "+owner+" has",
			owner+`. TXT "v=UAAC1; a=sha256; d=`+base64.StdEncoding.EncodeToString(sum[:])+`"`)
		found.explains = []string{bare(f.url)}
		c.add(found, c.askers(f.url)...)
	}
}

// paccDigest returns the digest of a TXT record "v=UAAC1; a=sha256; d=…"
// (draft-ietf-mailmaint-pacc-03 section 5.2.2.2). The record may not begin with white
// space, each of these tags stands once, and unknown tags count for nothing.
func paccDigest(text string) (digest [sha256.Size]byte, ok bool) {
	if text != strings.TrimLeft(text, " \t") {
		return digest, false
	}
	tags := map[string]string{}
	for part := range strings.SplitSeq(text, ";") {
		name, value, _ := strings.Cut(part, "=")
		name = strings.TrimSpace(name)
		if _, again := tags[name]; again && (name == "v" || name == "a" || name == "d") {
			return digest, false
		}
		tags[name] = strings.TrimSpace(value)
	}
	sum, err := base64.StdEncoding.Strict().DecodeString(tags["d"])
	if err != nil || len(sum) != len(digest) || tags["v"] != "UAAC1" || !strings.EqualFold(tags["a"], "sha256") {
		return digest, false
	}
	return [sha256.Size]byte(sum), true
}

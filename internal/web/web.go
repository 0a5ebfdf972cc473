// Package web makes the page that the operator looks at: what is published, what is
// withheld and why, how it went lately, and the dialogue of each probe.
//
// It is one HTML document that needs no script and loads nothing else: its style is in
// it, and ContentSecurityPolicy allows that style alone. Everything in it that a server
// said is escaped, by html/template. It shows no address of a user.
package web

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"io"
	"net/url"
	"strconv"
	"time"

	"mailconfd/internal/overview"
)

// Page is what the page shows.
type Page struct {
	Report overview.Report
	Days   int // how far back the timelines go: one of Spans
	// Asked is the domain that was looked up, as it was typed; Domain is what clients are
	// told for it, or Problem says why that is not known.
	Asked   string
	Domain  *overview.Domain
	Problem string
}

// Spans returns how many days a timeline can show.
func Spans() []int { return []int{1, 7, 90} }

// DefaultSpan is how many days it shows where nobody says.
const DefaultSpan = 7

// ContentSecurityPolicy returns the header that belongs to the page: nothing but its own
// style is allowed, and its form leads to where it came from.
func ContentSecurityPolicy() string {
	sum := sha256.Sum256([]byte(style))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}

// Write writes the page.
func (p Page) Write(w io.Writer) error { return page.Execute(w, p) }

var (
	//go:embed page.html
	pageText string
	//go:embed page.css
	style string
	page  = template.Must(template.New("page").Funcs(template.FuncMap{
		"style":    func() template.CSS { return template.CSS(style) },
		"spans":    Spans,
		"moment":   moment,
		"ago":      ago,
		"until":    until,
		"lasting":  lasting,
		"pages":    pages,
		"plural":   overview.Count,
		"outcome":  outcome,
		"timeline": timelines,
		"changes":  changes,
		"flaws":    flaws,
		"levels": func() []overview.Level {
			return []overview.Level{overview.Fault, overview.Warning, overview.Waiting, overview.Well}
		},
	}).Parse(pageText))
)

// Link returns the address of the page with something changed: "page", "days" or
// "provider".
func (p Page) Link(key string, value any) string {
	q := url.Values{}
	if p.Days != DefaultSpan {
		q.Set("days", strconv.Itoa(p.Days))
	}
	if p.Report.Page > 1 {
		q.Set("page", strconv.Itoa(p.Report.Page))
	}
	if p.Asked != "" {
		q.Set("domain", p.Asked)
	}
	switch v := value.(type) {
	case int:
		q.Set(key, strconv.Itoa(v))
	case string:
		q = url.Values{key: {v}}
	}
	return "?" + q.Encode()
}

// At returns when the report was made.
func (p Page) At() time.Time { return p.Report.At }

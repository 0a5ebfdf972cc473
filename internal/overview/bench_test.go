package overview_test

import (
	"strconv"
	"testing"

	"mailconfd/internal/overview"
	"mailconfd/internal/overview/overviewtest"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

// BenchmarkReport makes the first page of ten thousand providers with eight services each.
func BenchmarkReport(b *testing.B) {
	var source overviewtest.Source
	for i := range 10_000 {
		p := settingstest.Provider()
		p.Name = "p" + strconv.Itoa(i)
		p.Services = settings.Candidates("mail" + strconv.Itoa(i) + ".example.org")
		var seen []settings.Observation
		for _, s := range p.Services {
			seen = append(seen, settingstest.Seen(s, overviewtest.Now))
		}
		source.Add(p, nil, seen...)
	}
	maker := overviewtest.Maker(source)
	b.ReportAllocs()
	for b.Loop() {
		if r := maker.Report(b.Context(), overview.Query{}); len(r.Providers) != overview.DefaultLimit {
			b.Fatal(len(r.Providers))
		}
	}
}

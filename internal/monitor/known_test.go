package monitor_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"mailconfd/internal/monitor"
	"mailconfd/internal/store"
	"mailconfd/settings"
	"mailconfd/settings/settingstest"
)

func TestKnown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := declared(s587, s993)
		second := settingstest.Provider(s465)
		second.Name = "another"
		d.Providers = append(d.Providers, second)
		w := &world{broken: map[string]settings.FailureKind{s587: settings.FailureRefused}}
		b := start(w, &store.Memory{}, d)
		defer b.stop()
		pass(time.Second)
		all := slices.Collect(b.Known())
		if len(all) != 2 || all[0].Provider.Name != "another" || all[1].Provider.Name != "main" {
			t.Fatalf("%d, want another and main", len(all))
		}
		k := all[1]
		views := k.Views[settingstest.Service(s587)]
		if len(k.Views) != 2 || len(views) != 1 || views[0].Newest.Verdict().Failure.Kind != settings.FailureRefused {
			t.Errorf("views: %+v", k.Views)
		}
		if k.Result.Verified.Empty() || len(k.Result.Withheld) != 1 {
			t.Errorf("result: %+v", k.Result)
		}
		if _, known := b.Provider("nobody"); known {
			t.Error("knows a provider that nobody has declared")
		}
		if b.Generation() == 0 {
			t.Error("the generation is 0 after three probes")
		}
		for range b.Known() {
			break // it can be left
		}
		if err := b.Declare(t.Context(), monitor.Declared{Providers: d.Providers[:1], Policy: d.Policy, Interval: d.Interval}); err != nil {
			t.Fatal(err)
		}
		if all := slices.Collect(b.Known()); len(all) != 1 {
			t.Errorf("%d after one was retired", len(all))
		}
	})
}

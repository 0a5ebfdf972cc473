//go:build real

package real

import ("testing";"os";"time")

func TestHold(t *testing.T) {
	w := newWorld(t)
	deploy(t, w, clientLayouts())
	ip(t, "route", "add", "default", "via", mailIPv4)
	b,_ := os.ReadFile("/proc/self/status")
	os.WriteFile("/tmp/hold.info", []byte(w.dir+"\n"+string(b)), 0o644)
	<-time.After(2*time.Hour)
}

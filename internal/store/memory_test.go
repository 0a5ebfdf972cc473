package store_test

import (
	"testing"

	"mailconfd/internal/monitor"
	"mailconfd/internal/store"
	"mailconfd/internal/store/storetest"
)

func TestMemory(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(*testing.T) monitor.Store { return &store.Memory{} })
}

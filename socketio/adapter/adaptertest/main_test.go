package adaptertest

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/perch-go/perch/socketio/adapter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// S-40 … S-46, S-71, S-73 within one process.
func TestMemory(t *testing.T) {
	t.Parallel()
	Run(t, Subject{Nodes: 1, Start: func(*testing.T) (adapter.Factory, func(adapter.Adapter)) {
		return func(h adapter.Host) adapter.Adapter { return adapter.NewMemory(h) }, nil
	}})
}

// S-76 … S-78 in addition to these.
func TestRecovering(t *testing.T) {
	t.Parallel()
	Run(t, Subject{Nodes: 1, Start: func(*testing.T) (adapter.Factory, func(adapter.Adapter)) {
		return func(h adapter.Host) adapter.Adapter {
			o, _ := h.Recovery()
			return adapter.NewRecovering(h, o)
		}, nil
	}})
}

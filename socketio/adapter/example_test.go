package adapter_test

import (
	"log/slog"

	"github.com/perch-go/perch/socketio/adapter"
)

// audited is an adapter that logs who is disconnected. It embeds the one that does the work.
type audited struct{ *adapter.Memory }

func (a audited) DisconnectAll(sel adapter.Selection, closeConn bool) error {
	slog.Info("disconnecting", "rooms", sel.Rooms, "except", sel.Except)
	return a.Memory.DisconnectAll(sel, closeConn)
}

// A factory is given to socketio.Options and makes the adapter of each namespace.
func ExampleFactory() {
	var factory adapter.Factory = func(h adapter.Host) adapter.Adapter {
		a := audited{adapter.NewMemory(h)}
		a.Observe(adapter.RoomEvents{
			Create: func(room string) { slog.Debug("room", "namespace", h.Name(), "room", room) },
		})
		return a
	}
	_ = factory
}

package unit

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"

	"github.com/perch-go/perch/socketio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Outside of tests there is nothing, and everything says so.
func TestNothing(t *testing.T) {
	t.Parallel()
	s := SocketFrom(context.Background())
	if s != nil || s.ID() != "" || s.Namespace() != "" || s.PathValue("id") != "" || s.Handshake() != nil || s.Transport() != "" || s.Connected() ||
		s.Recovered() || s.Rooms() != nil || s.Context() != context.Background() {
		t.Error("there is something")
	}
	s.Store("key", 1)
	s.Leave("a")
	s.Disconnect(true)
	if _, ok := s.Load("key"); ok {
		t.Error("stored")
	}
	_, ackErr := s.EmitWithAck(t.Context(), "a")
	_, everyoneErr := s.Broadcast()
	for _, err := range []error{s.Emit("a"), s.EmitVolatile("a"), s.Join("a"), ackErr, everyoneErr} {
		if !errors.Is(err, ErrNoSocket) {
			t.Error(err)
		}
	}
	var e *Event
	if e.Name() != "" || e.NumArgs() != 0 || e.Raw(0) != nil || e.WantsAck() || !errors.Is(e.Decode(0, nil), socketio.ErrNoArgument) {
		t.Error("there is an event")
	}
}

package stream

import "testing"

// A connection that goes on talking is one whose reads tell what is left; one that has only said hello is not asked.
func TestReadsTellWhatIsLeft(t *testing.T) {
	t.Parallel()
	server, client := tcpPair(t)
	c := New(server, nil).(*parkable)
	t.Cleanup(func() { c.Close(); client.Close() })
	lockstep(t, pair{c, client}, 1)
	if c.pending != pendingUnasked {
		t.Errorf("after one message: %d", c.pending)
	}
	lockstep(t, pair{c, client}, 1)
	if c.pending != pendingAsked {
		t.Errorf("after two messages: %d", c.pending)
	}
}

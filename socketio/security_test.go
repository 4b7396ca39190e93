package socketio

import (
	"context"
	"testing"
	"testing/cryptotest"
)

// What docs/security.md says of this package, where no other test shows it. The tests are named after its rows.

// Ids of sockets, and those by which they are recovered, cannot be guessed. It is not parallel: the source of randomness is
// everybody's.
func TestCVE_2017_16031(t *testing.T) {
	ids := map[string]bool{}
	var seen [20]map[byte]bool
	for range 2000 {
		id := newID()
		if !validPID(id) || ids[id] {
			t.Fatalf("id %q", id)
		}
		ids[id] = true
		for i := range seen {
			if seen[i] == nil {
				seen[i] = map[byte]bool{}
			}
			seen[i][id[i]] = true
		}
	}
	for i, chars := range seen { // 2,000 of 64: that one is missing somewhere has a probability of 10⁻¹⁰
		if len(chars) != 64 {
			t.Errorf("character %d takes %d values: less than 6 bits", i, len(chars))
		}
	}
	cryptotest.SetGlobalRandom(t, 1)
	first := newID()
	cryptotest.SetGlobalRandom(t, 1)
	if second := newID(); first != second {
		t.Errorf("%s and %s: they are not made of what crypto/rand gives", first, second)
	}
	h := serve(t, Options{Recovery: &Recovery{}})
	h.Of("/")
	c := h.dial(t)
	if sid, pid := c.enter(""); sid == pid || sid == c.sid || pid == c.sid {
		t.Errorf("session %s, socket %s, recovered by %s", c.sid, sid, pid)
	}
}

// An event called error is one like all others: without a handler nothing happens, and what its handler does wrong ends neither
// the connection nor the process.
func TestCVE_2024_38355(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	n := h.Of("/")
	n.Handle("echo", echo)
	c := h.dial(t)
	c.connect("/", "")
	c.send(`2["error"]`, `21["error",{"message":"x"}]`, `2["uncaughtException"]`, `22["echo",2]`)
	c.expect("32[2]")
	n.Handle("error", func(context.Context, *Event) { panic("oops") })
	c.send(`23["error"]`, `24["echo",4]`)
	c.expect("34[4]")
}

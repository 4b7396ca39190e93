package cluster

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
)

// recoveringHost is a namespace whose members can be recovered.
type recoveringHost struct {
	host
	evict func(pid string, done func(bool))
}

func (h *recoveringHost) Recovery() (adapter.RecoveryOptions, bool) {
	return adapter.RecoveryOptions{
		MaxDisconnection: time.Minute, MaxPackets: 100, MaxBytes: 1 << 20,
		Prepare: func(*adapter.Packet) (int, error) { return 0, nil },
		Evict:   h.evict,
	}, true
}

// newRecoveringNode joins a node with members of those names.
func newRecoveringNode(t *testing.T, open OpenBus, members ...*member) *Recovering {
	t.Helper()
	r := New(open, quiet)(new(recoveringHost)).(*Recovering)
	for _, m := range members {
		r.Add(m)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		r.tracking.Ordered(func() {
			if len(r.records)+len(r.flight) != 0 {
				t.Errorf("left behind: %d records, %d broadcasts", len(r.records), len(r.flight))
			}
		})
	})
	synctest.Wait()
	return r
}

func say(t *testing.T, r *Recovering, rooms ...string) (offset string) {
	t.Helper()
	p := &adapter.Packet{Namespace: "/", Event: "x"}
	if err := r.Broadcast(p, adapter.Selection{Rooms: rooms}); err != nil {
		t.Error(err)
	}
	synctest.Wait()
	return p.Offset
}

// restore returns how many packets were missed.
func restore(t *testing.T, r *Recovering, id, offset string) (int, error) {
	t.Helper()
	missed, ok, err := r.Restore(t.Context(), "pid-"+id, offset, func(s adapter.Session) adapter.Member { return &member{id: s.ID} })
	if ok != (err == nil) {
		t.Errorf("%v, %v", ok, err)
	}
	return len(missed), err
}

// S-6: bounded memory. What the log does not keep any more cannot be missed, and who has missed nothing does not need it.
func TestRecoverTrimmed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := NewMemory(nil)
		broker.MaxEntries = 10
		a := newRecoveringNode(t, broker.Open, &member{id: "idle"}, &member{id: "busy"}, &member{id: "new"})
		b := newRecoveringNode(t, broker.Open)
		a.Join("busy", "r")
		a.Join("idle", "s")
		first := say(t, a, "s", "r")
		for range 20 {
			say(t, b, "r")
		}
		for _, id := range []string{"idle", "busy", "new"} {
			a.Save(adapter.Session{PID: "pid-" + id, ID: id})
		}
		say(t, b, "s")
		if n, err := restore(t, b, "idle", first); n != 1 || err != nil {
			t.Errorf("idle missed %d, %v", n, err)
		}
		if n, err := restore(t, b, "new", ""); n != 0 || err != nil {
			t.Errorf("new missed %d, %v", n, err)
		}
		if _, err := restore(t, b, "busy", first); !errors.Is(err, adapter.ErrMissed) {
			t.Errorf("busy: %v", err)
		}
	})
}

// More than a member may miss is not collected.
func TestRecoverTooMuch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := NewMemory(nil)
		a := newRecoveringNode(t, broker.Open, &member{id: "m"})
		offset := say(t, a)
		a.Save(adapter.Session{PID: "pid-m", ID: "m"})
		for range 101 {
			say(t, a)
		}
		if _, err := restore(t, a, "m", offset); !errors.Is(err, adapter.ErrMissed) {
			t.Errorf("%v", err)
		}
	})
}

// A node that has died is waited for as long as requests may take; one of Node's is not waited for.
func TestRecoverWithoutAnswer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var g grave
		broker := NewMemory(func(from, to string, _ *Message) Fault { return Fault{Lost: g.has(from, to)} })
		a := newRecoveringNode(t, broker.Open)
		s := newStranger(t, broker.Open, strangerUID)
		s.says(t, nil, `{"uid":"`+strangerUID+`","nsp":"/","type":2}`)
		start := time.Now()
		if _, err := restore(t, a, "nobody", ""); !errors.Is(err, adapter.ErrNoSession) || time.Since(start) != 0 {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		b := newRecoveringNode(t, broker.Open)
		pass(time.Second)
		g.bury(b)
		start = time.Now()
		if _, err := restore(t, a, "nobody", ""); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// brokenLog fails to keep.
type brokenLog struct {
	Log
	err error
}

func (l brokenLog) SaveSession(context.Context, string, []byte, time.Duration) error { return l.err }
func (l brokenLog) TakeSession(context.Context, string) ([]byte, error)              { return nil, l.err }

func (l brokenLog) Publish(m *Message) error {
	if m.Type == Broadcast {
		return l.err
	}
	return l.Log.Publish(m)
}

func (l brokenLog) Entries(context.Context, Offset, Offset) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) { yield(nil, l.err) }
}

// Without its broker a node goes on by itself; its members get everything, in order, and recover nothing.
func TestRecoverUnreached(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		m := &member{id: "m"}
		a := newRecoveringNode(t, func(namespace, uid string) Bus {
			return brokenLog{NewMemory(nil).Open(namespace, uid).(Log), broken}
		}, m)
		p := &adapter.Packet{Namespace: "/", Event: "x"}
		q := &adapter.Packet{Namespace: "/", Event: "y"}
		if err := a.Broadcast(p, adapter.Selection{}); !errors.Is(err, broken) {
			t.Errorf("Broadcast: %v", err)
		}
		if err := a.Deliver(q, "m", func(m adapter.Member) { m.Append(q) }); err != nil {
			t.Errorf("Deliver: %v", err)
		}
		if !slices.Equal(m.events(), []string{"x", "y"}) || p.Offset == q.Offset || strings.Trim(p.Offset, "-") == "" {
			t.Errorf("got %q, at %s and %s", m.events(), p.Offset, q.Offset)
		}
		a.Save(adapter.Session{PID: "pid-m", ID: "m"})
		if _, err := restore(t, a, "m", ""); !errors.Is(err, broken) {
			t.Errorf("Restore: %v", err)
		}
	})
}

// While the broker takes nothing, what a node says reaches its members and cannot be recovered: who has missed it is told so, by a
// fresh connection, and who has got it comes back.
func TestRecoverBehindAHole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := NewMemory(nil)
		var down atomic.Bool
		down.Store(true)
		a := newRecoveringNode(t, func(namespace, uid string) Bus {
			return refusing{broker.Open(namespace, uid).(Log), &down}
		}, &member{id: "m"}, &member{id: "n"}, &member{id: "o"})
		b := newRecoveringNode(t, broker.Open)
		down.Store(false)
		before := say(t, a)
		down.Store(true)
		p := &adapter.Packet{Namespace: "/", Event: "unreached"}
		_ = a.Broadcast(p, adapter.Selection{})
		down.Store(false)
		after := say(t, a)
		for _, id := range []string{"m", "n", "o"} {
			a.Save(adapter.Session{PID: "pid-" + id, ID: id})
		}
		say(t, a)
		if _, err := restore(t, b, "m", before); !errors.Is(err, adapter.ErrMissed) {
			t.Errorf("before: %v", err)
		}
		if n, err := restore(t, b, "n", p.Offset); n != 2 || err != nil {
			t.Errorf("missed %d, %v", n, err)
		}
		if n, err := restore(t, b, "o", after); n != 1 || err != nil {
			t.Errorf("missed %d, %v", n, err)
		}
	})
}

// refusing takes no broadcasts while it is down.
type refusing struct {
	Log
	down *atomic.Bool
}

func (l refusing) Publish(m *Message) error {
	if m.Type == Broadcast && l.down.Load() {
		return errors.New("down")
	}
	return l.Log.Publish(m)
}

// A place survives its text, and says what is before it.
func TestPlace(t *testing.T) {
	t.Parallel()
	uid := "00f1e2d3c4b5a697"
	p := place{memoryOffset(7), nameOf(uid), 1<<48 - 1}
	if got, ok := parsePlace(p.String()); !ok || got != p || len(p.String()) != offsetSize {
		t.Errorf("%s: %+v, %v", p, got, ok)
	}
	for _, text := range []string{"x", strings.Repeat("!", offsetSize), strings.Repeat("A", offsetSize-1), strings.Repeat("A", offsetSize+4)} {
		if _, ok := parsePlace(text); ok {
			t.Errorf("%q is a place", text)
		}
	}
	p.seq = 5
	for _, tt := range []struct {
		uid    string
		seq, n uint64
		want   bool
	}{
		{uid, 5, 0, true}, {uid, 6, 0, false}, {uid, 5, 9, true}, {uid, 6, 7, true}, {uid, 6, 8, false},
		{"10f1e2d3c4b5a697", 5, 0, false}, {"10f1e2d3c4b5a697", 5, 8, false}, {emitter, 0, 7, true}, {emitter, 0, 8, false},
	} {
		m := &Message{UID: tt.uid, Seq: tt.seq}
		if tt.n > 0 {
			m.Offset = memoryOffset(tt.n)
		}
		if got := p.covers(m); got != tt.want {
			t.Errorf("%+v: %v", tt, got)
		}
	}
}

// A session survives its encoding, attachments included; what is none is an error.
func TestSession(t *testing.T) {
	t.Parallel()
	at := place{memoryOffset(3), nameOf(strangerUID), 4}
	for _, data := range []map[string]any{nil, {"n": 1}, {"b": []byte{1, 2}, "f": func() {}}} {
		h := history{Seen: place{offset: memoryOffset(1)}, Lost: at, Last: &at, Stays: []stay{{Room: "r", From: at}, {Room: "s", To: &at}}}
		text, err := encodeSession(adapter.Session{ID: "m", PID: "pid", Data: data, Replayed: true, Expires: time.UnixMilli(5)}, h)
		if err != nil {
			t.Fatal(err)
		}
		s, got, err := decodeSession(text)
		if err != nil || !reflect.DeepEqual(got, h) || s.ID != "m" || s.PID != "pid" || !s.Replayed || s.Expires.UnixMilli() != 5 || !slices.Equal(s.Rooms, []string{"r"}) {
			t.Errorf("%+v, %+v, %v", s, got, err)
		}
		if want, ok := data["b"]; ok {
			var b []byte
			if _, err := (&adapter.Info{Data: s.Data}).Decode("b", &b); err != nil || !reflect.DeepEqual(b, want) || len(s.Data) != 1 {
				t.Errorf("%v, %v", s.Data, err)
			}
		}
	}
	for _, text := range []string{"", "{", "\x81", `{"sid":1}`, `{"sid":"a","history":{"seen":"x"}}`, "[]"} {
		if _, _, err := decodeSession([]byte(text)); err == nil {
			t.Errorf("%q is a session", text)
		}
	}
}

// A wall clock that was set meanwhile, or another node's that is wrong, neither ends a session nor keeps it for longer than any.
func TestExpiryByWrongClocks(t *testing.T) {
	t.Parallel()
	r := &Recovering{recovery: adapter.RecoveryOptions{MaxDisconnection: 2 * time.Minute}}
	for told, want := range map[time.Duration]time.Duration{
		30 * time.Second: 30 * time.Second, -time.Hour: 2 * time.Minute, time.Hour: 2 * time.Minute,
	} {
		now := time.Now()
		got := r.expiry(time.UnixMilli(now.Add(told).UnixMilli()))
		if d := got.Sub(now) - want; d < -time.Second || d > time.Second {
			t.Errorf("%v from now: %v", told, got.Sub(now))
		}
		if !strings.Contains(got.String(), "m=") {
			t.Errorf("%v is a wall clock's", got)
		}
	}
}

// What is remembered of a member that is lost again and again without having got anything is bounded: a stay that goes on is
// one, and of those that have ended the oldest are forgotten.
func TestHistory(t *testing.T) {
	t.Parallel()
	at := func(n uint64) place { return place{offset: memoryOffset(n)} }
	to := func(n uint64) *place { p := at(n); return &p }
	h := history{Seen: at(1), Last: to(3), Stays: []stay{{Room: "left", From: at(1), To: to(2)}, {Room: "r", From: at(1)}, {Room: "gone", From: at(2)}}}
	h = h.then(at(10), history{Seen: at(10), Lost: at(20), Stays: []stay{{Room: "s", From: at(11)}, {Room: "r", From: at(9), To: to(12)}, {Room: "r", From: at(13)}}})
	want := history{Seen: at(1), Last: to(3), Lost: at(20), Stays: []stay{
		{Room: "left", From: at(1), To: to(2)}, {Room: "r", From: at(1), To: to(12)}, {Room: "gone", From: at(2), To: to(10)},
		{Room: "s", From: at(11)}, {Room: "r", From: at(13)},
	}}
	if !reflect.DeepEqual(h, want) {
		t.Errorf("got  %+v\nwant %+v", h, want)
	}
	for n := uint64(20); n < 220; n += 2 {
		h = h.then(at(n), history{Seen: at(n), Lost: at(n + 1), Stays: []stay{{Room: "r", From: at(n)}, {Room: fmt.Sprint(n), From: at(n)}}})
	}
	// "s" has ended, "r" has not, and of the others all but the last have: 4 and 99.
	if len(h.Stays) != keepStays+2 || h.Floor != at(20+2*(99+4-keepStays-4)) || h.Seen != at(1) {
		t.Errorf("%d stays, floor %v, seen %v", len(h.Stays), h.Floor, h.Seen)
	}
}

// What clients send as their offset is from outside.
func TestForgedOffsets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broker := NewMemory(nil)
		a := newRecoveringNode(t, broker.Open)
		malformed := []string{"x", strings.Repeat("!", offsetSize)}
		for i, offset := range append(malformed,
			strings.Repeat("_", offsetSize),
			place{a.offset, a.node, 1 << 40}.String(), place{a.offset, nameOf(strangerUID), 1}.String(),
			place{offset: memoryOffset(1 << 40)}.String(),
		) {
			m := &member{id: fmt.Sprint("m", i)}
			a.Add(m)
			a.Save(adapter.Session{PID: "pid-" + m.id, ID: m.id})
			n, err := restore(t, a, m.id, offset)
			if err == nil && n > 0 {
				t.Errorf("%s: missed %d", offset, n)
			}
			if i < len(malformed) && !errors.Is(err, adapter.ErrOffset) {
				t.Errorf("%s: %v, want %v", offset, err, adapter.ErrOffset)
			}
		}
		// A number that its node has not reached is no offset of its.
		ahead := &member{id: "ahead", silent: true}
		a.Add(ahead)
		before := a.offset
		say(t, a)
		say(t, a)
		a.Save(adapter.Session{PID: "pid-ahead", ID: "ahead"})
		if n, err := restore(t, a, "ahead", place{before, a.node, 1 << 40}.String()); !errors.Is(err, adapter.ErrOffset) {
			t.Errorf("ahead of its node: %d, %v, want %v", n, err, adapter.ErrOffset)
		}
		// Before the session began nothing is missed, whatever the client says.
		say(t, a)
		m := &member{id: "m"}
		a.Add(m)
		a.Save(adapter.Session{PID: "pid-m", ID: "m"})
		if n, err := restore(t, a, "m", place{}.String()); n != 0 || err != nil {
			t.Errorf("missed %d, %v", n, err)
		}
	})
}

// listening calls on when it is prepared for an event x, as a listener for outgoing events is.
type listening struct {
	member
	on func()
}

func (l *listening) Prepare(p *adapter.Packet) error {
	if p.Event == "x" {
		l.on()
	}
	return nil
}

// TestEmitWhilePreparing: a listener may broadcast. No lock of the adapter's is held when it is called.
func TestEmitWhilePreparing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := newRecoveringNode(t, NewMemory(nil).Open)
		l := &listening{member: member{id: "m", silent: true}}
		l.on = func() { _ = r.Broadcast(&adapter.Packet{Namespace: "/", Event: "y"}, adapter.Selection{}) }
		r.Add(l)
		done := make(chan error, 1)
		go func() { done <- r.Broadcast(&adapter.Packet{Namespace: "/", Event: "x"}, adapter.Selection{}) }()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("the broadcast of a listener waits for the one it listens to")
		}
		synctest.Wait()
	})
}

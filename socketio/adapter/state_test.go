package adapter

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/socketio/parser"
)

// stateful has packets carried over as text and offset.
func stateful(o *RecoveryOptions) {
	o.AppendPacket = func(b []byte, p *Packet) ([]byte, error) {
		v, err := p.Encoding("test", encodeStamped)
		if err != nil {
			return b, err
		}
		text, err := json.Marshal([]string{v.(*stampedText).text, p.Offset})
		return append(b, text...), err
	}
	o.LoadPacket = func(b []byte) (*Packet, int, error) {
		var v [2]string
		if err := json.Unmarshal(b, &v); err != nil {
			return nil, 0, err
		}
		p := &Packet{Offset: v[1]}
		_, err := p.Encoding("test", func(*Packet) (any, error) { return &stampedText{v[0], v[1]}, nil })
		return p, len(v[0]), err
	}
}

// restart hands over to another process.
func restart(t *testing.T, r *Recovering) *Recovering {
	t.Helper()
	state, err := r.AppendState(nil)
	if err != nil {
		t.Fatal(err)
	}
	next, _ := newRecovering(t, stateful)
	if err := next.LoadState(state); err != nil {
		t.Fatal(err)
	}
	return next
}

// Whoever was lost before the process ended comes back to the next one, or to one after that, and has missed what was meant for it
// and nothing else. Offsets go on, and none means two things.
func TestStateIsHandedOver(t *testing.T) {
	t.Parallel()
	r, _ := newRecovering(t, stateful)
	a, idle := &guest{member: member{id: "a"}}, &guest{member: member{id: "idle"}}
	r.Add(a)
	r.Add(idle)
	r.Join("a", "in", "left")
	say(t, r, 0)
	say(t, r, 1, "in")
	r.Leave("a", "left")
	say(t, r, 2, "left")
	seen := map[string]bool{a.offset: true, idle.offset: true}
	came, heard := a.offset, idle.offset
	r.Save(Session{PID: "pid a", ID: "a", Data: map[string]any{"name": "Ann", "bytes": []byte("\x00\xff"), "not": func() {}}})
	r.Save(Session{PID: "pid idle", ID: "idle", Offset: "o", Replayed: true})
	say(t, r, 3, "in")
	say(t, r, 4, "left")
	say(t, r, 5, "a")

	r = restart(t, r)
	say(t, r, 6, "in")
	missed, g, err := restore(t, r, "pid a", came)
	if err != nil || !slices.Equal(missed, []string{"3", "5", "6"}) {
		t.Fatalf("missed %q, %v", missed, err)
	}
	if rooms := r.Rooms("a"); !slices.Equal(rooms, []string{"a", "in"}) {
		t.Errorf("rooms %q", rooms)
	}
	say(t, r, 7, "in")
	if seen[g.offset] {
		t.Errorf("offset %s is drawn again", g.offset)
	}
	r.Save(Session{PID: "pid a", ID: "a"})
	say(t, r, 8, "in")

	// The other one is away still. Nothing was sent to it but number 0, in the process before the last one.
	r = restart(t, restart(t, r))
	if missed, _, err := restore(t, r, "pid idle", heard); err != nil || len(missed) > 0 {
		t.Errorf("missed %q, %v", missed, err)
	}
	if missed, _, err := restore(t, r, "pid a", g.offset); err != nil || !slices.Equal(missed, []string{"8"}) {
		t.Errorf("missed %q, %v", missed, err)
	}
}

// What sessions hold comes over: the data that can be written, and where it stood.
func TestStateOfSessions(t *testing.T) {
	t.Parallel()
	r, _ := newRecovering(t, stateful)
	r.Add(&guest{member: member{id: "a"}})
	r.Save(Session{PID: "pid", ID: "a", Offset: "o", Replayed: true, Data: map[string]any{
		"name": "Ann", "bytes": []byte("\x00\xff"), "not": func() {},
	}})
	r = restart(t, r)
	_, _, err := r.Restore(t.Context(), "pid", "", func(s Session) Member {
		var name string
		var raw []byte
		if err := errors.Join(s.Data["name"].(parser.Raw).Decode(&name), s.Data["bytes"].(parser.Raw).Decode(&raw)); err != nil {
			t.Error(err)
		}
		if name != "Ann" || string(raw) != "\x00\xff" || len(s.Data) != 2 || s.Offset != "o" || !s.Replayed {
			t.Errorf("got %q, %q, %+v", name, raw, s)
		}
		return &guest{member: member{id: s.ID}}
	})
	if err != nil {
		t.Error(err)
	}
}

// An offset of a process that went on after it had handed over, or of another one with the same state, is none of ours.
func TestOffsetThatWasNotHandedOver(t *testing.T) {
	t.Parallel()
	r, _ := newRecovering(t, stateful)
	r.Add(&guest{member: member{id: "a"}})
	say(t, r, 0)
	r.Save(Session{PID: "pid", ID: "a"})
	beyond := r.offset(r.backlog.drawn + 1)
	r = restart(t, r)
	for i := range 5 {
		say(t, r, i)
	}
	if missed, _, err := restore(t, r, "pid", beyond); !errors.Is(err, ErrOffset) {
		t.Errorf("missed %q, %v", missed, err)
	}
}

// Nothing is promised that would not be kept: neither after it was handed over, nor twice.
func TestStateIsHandedOverOnce(t *testing.T) {
	t.Parallel()
	r, _ := newRecovering(t, stateful)
	r.Add(&guest{member: member{id: "a"}})
	r.Add(&guest{member: member{id: "b"}})
	r.Save(Session{PID: "pid", ID: "a"})
	say(t, r, 0, "a")
	next := restart(t, r)
	if err := r.Broadcast(&Packet{Event: "x"}, Selection{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Broadcast: %v", err)
	}
	if err := r.Deliver(&Packet{Event: "x"}, "b", func(Member) {}); !errors.Is(err, ErrClosed) {
		t.Errorf("Deliver: %v", err)
	}
	if err := r.Broadcast(&Packet{Event: "x", Volatile: true}, Selection{}); err != nil {
		t.Errorf("volatile: %v", err)
	}
	if _, _, err := restore(t, r, "pid", ""); !errors.Is(err, ErrNoSession) {
		t.Errorf("restored where it was: %v", err)
	}
	r.Save(Session{PID: "pid b", ID: "b"})
	if state, err := r.AppendState([]byte("before")); err != nil || string(state) != "before" {
		t.Errorf("handed over again: %q, %v", state, err)
	}
	state, err := next.AppendState(nil)
	if err != nil {
		t.Fatal(err)
	}
	used, _ := newRecovering(t, stateful)
	say(t, used, 0)
	if err := used.LoadState(state); !errors.Is(err, ErrState) {
		t.Errorf("loaded behind a packet: %v", err)
	}
}

// The bounds and the age of what is kept hold for what is loaded.
func TestStateIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _ := newRecovering(t, stateful)
		for i := range 10 {
			id := fmt.Sprint(i)
			r.Add(&guest{member: member{id: id}})
			r.Save(Session{PID: "pid " + id, ID: id})
			say(t, r, i)
			<-time.After(10 * time.Second)
			synctest.Wait()
		}
		state, err := r.AppendState(nil)
		if err != nil {
			t.Fatal(err)
		}
		few, h := newRecovering(t, func(o *RecoveryOptions) {
			stateful(o)
			o.MaxPackets, o.MaxSessions = 4, 3
		})
		if err := few.LoadState(state); err != nil {
			t.Fatal(err)
		}
		if packets, _ := few.Backlog(); packets > 4 || few.Sessions() != 3 || h.scheduled.Load() != 1 {
			t.Errorf("%d packets, %d sessions, %d timers", packets, few.Sessions(), h.scheduled.Load())
		}
		if missed, _, err := restore(t, few, "pid 9", ""); err != nil || !slices.Equal(missed, []string{"9"}) {
			t.Errorf("missed %q, %v", missed, err)
		}
		<-time.After(30 * time.Second)
		synctest.Wait()
		late, _ := newRecovering(t, stateful)
		if err := late.LoadState(state); err != nil || late.Sessions() != 8 {
			t.Errorf("half a minute later, when two are too late: %d sessions, %v", late.Sessions(), err)
		}
		<-time.After(3 * time.Minute)
		synctest.Wait()
		never, h := newRecovering(t, stateful)
		if packets, _ := never.Backlog(); never.LoadState(state) != nil || packets != 0 || never.Sessions() != 0 || h.scheduled.Load() != 0 {
			t.Errorf("too late: %d packets, %d sessions, %d timers", packets, never.Sessions(), h.scheduled.Load())
		}
	})
}

// A closed adapter, as a dropped namespace has, keeps nothing that nobody would ever let go of.
func TestNothingIsKeptAfterClose(t *testing.T) {
	t.Parallel()
	kept := new(Kept)
	r, _ := newRecovering(t, func(o *RecoveryOptions) { o.Kept = kept })
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	say(t, r, 0)
	if n := kept.packets.Load(); n != 0 {
		t.Errorf("%d packets are kept", n)
	}
}

func exampleState(t testing.TB) []byte {
	r := NewRecovering(new(host), (&recoveringHost{}).options(stateful))
	defer func() { _ = r.Close() }()
	r.Add(&guest{member: member{id: "a"}})
	r.Join("a", "in", "left")
	if err := r.Broadcast(&Packet{Event: "x", Args: []any{1}}, Selection{Rooms: []string{"in"}, Except: []string{"out"}}); err != nil {
		t.Fatal(err)
	}
	r.Leave("a", "left")
	r.Save(Session{PID: "pid", ID: "a", Data: map[string]any{"bytes": []byte("\x00")}})
	state, err := r.AppendState(nil)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// FuzzLoadState: whatever is loaded, it is refused and nothing has changed, or it can be handed over again.
func FuzzLoadState(f *testing.F) {
	state := exampleState(f)
	f.Add(state)
	f.Add([]byte(stateLayout))
	for i := range state {
		f.Add(state[:i])
		f.Add(slices.Concat(state[:i], []byte{state[i] ^ 0xff}, state[i+1:]))
	}
	f.Fuzz(func(t *testing.T, state []byte) {
		r, _ := newRecovering(t, stateful)
		if err := r.LoadState(bytes.Clone(state)); err != nil {
			if packets, _ := r.Backlog(); !errors.Is(err, ErrState) || packets > 0 || r.Sessions() > 0 {
				t.Errorf("%v; %d packets, %d sessions", err, packets, r.Sessions())
			}
			return
		}
		_, _, _ = restore(t, r, "pid", "")
		again, err := r.AppendState(nil)
		if err != nil {
			t.Fatal(err)
		}
		if next, _ := newRecovering(t, stateful); len(again) > 0 && next.LoadState(again) != nil {
			t.Errorf("what was loaded and handed over cannot be loaded")
		}
	})
}

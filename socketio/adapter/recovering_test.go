package adapter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// recoveringHost counts what is scheduled.
type recoveringHost struct {
	host
	scheduled atomic.Int64
}

func (h *recoveringHost) options(change func(*RecoveryOptions)) RecoveryOptions {
	o := RecoveryOptions{
		MaxDisconnection: 2 * time.Minute,
		Notice:           45 * time.Second,
		MaxPackets:       1000,
		MaxBytes:         1 << 20,
		MaxSessions:      100,
		Prepare: func(p *Packet) (int, error) {
			_, err := p.Encoding("test", encodeStamped)
			return len(p.Event), err
		},
		After: func(d time.Duration, fn func()) func() {
			h.scheduled.Add(1)
			t := time.AfterFunc(d, func() {
				h.scheduled.Add(-1)
				fn()
			})
			return func() {
				if t.Stop() {
					h.scheduled.Add(-1)
				}
			}
		},
	}
	if change != nil {
		change(&o)
	}
	return o
}

func newRecovering(t *testing.T, change func(*RecoveryOptions)) (*Recovering, *recoveringHost) {
	h := new(recoveringHost)
	r := NewRecovering(h, h.options(change))
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if packets, bytes := r.Backlog(); packets != 0 || bytes != 0 || r.Sessions() != 0 || h.scheduled.Load() != 0 {
			t.Errorf("after Close: %d packets of %d bytes, %d sessions, %d timers", packets, bytes, r.Sessions(), h.scheduled.Load())
		}
	})
	return r, h
}

type stampedText struct{ text, offset string }

func (s *stampedText) SetOffset(offset string) { s.offset = offset }

func encodeStamped(p *Packet) (any, error) { return &stampedText{fmt.Sprint(p.Event, p.Args), ""}, nil }

// guest is a member that knows where it stands.
type guest struct {
	member
	offset string
}

func (g *guest) Prepare(*Packet) error { return nil }

func (g *guest) Append(p *Packet) {
	v, _ := p.Encoding("test", encodeStamped)
	g.got = append(g.got, v.(*stampedText).text)
	g.offset = v.(*stampedText).offset
}

func say(t *testing.T, r *Recovering, n int, rooms ...string) {
	t.Helper()
	if err := r.Broadcast(&Packet{Event: "x", Args: []any{n}}, Selection{Rooms: rooms}); err != nil {
		t.Fatal(err)
	}
}

func restore(t *testing.T, r *Recovering, pid, offset string) (missed []string, g *guest, err error) {
	t.Helper()
	packets, _, err := r.Restore(t.Context(), pid, offset, func(s Session) Member {
		g = &guest{member: member{id: s.ID}}
		return g
	})
	for _, p := range packets {
		v, _ := p.Encoding("test", encodeStamped)
		missed = append(missed, strings.Trim(v.(*stampedText).text, "x[]"))
		if p.Args != nil {
			t.Error("the arguments are kept")
		}
	}
	return missed, g, err
}

// Recovery buffer (spec 5.2): what is kept is bounded in packets and bytes, the oldest go first, and who needed them cannot be
// restored; everybody else can.
func TestBacklogIsBounded(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*RecoveryOptions){
		"packets":    func(o *RecoveryOptions) { o.MaxPackets = 50 },
		"one packet": func(o *RecoveryOptions) { o.MaxPackets = 1 },
		"bytes":      func(o *RecoveryOptions) { o.MaxBytes = 50 * (recordOverhead + 1) },
		"no room":    func(o *RecoveryOptions) { o.MaxBytes = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := newRecovering(t, change)
			o := r.opts
			r.Add(&guest{member: member{id: "early"}})
			say(t, r, 0)
			r.Save(Session{PID: "p1", ID: "early"})
			for i := range 10_000 {
				say(t, r, i)
				if packets, bytes := r.Backlog(); packets > o.MaxPackets || bytes > o.MaxBytes {
					t.Fatalf("%d packets of %d bytes are kept", packets, bytes)
				}
			}
			if n := len(r.backlog.segments); n > 2*pieces+1 {
				t.Errorf("%d segments", n)
			}
			if missed, _, err := restore(t, r, "p1", ""); !errors.Is(err, ErrMissed) {
				t.Errorf("got %v with %d missed, want ErrMissed", err, len(missed))
			}
			late := &guest{member: member{id: "late"}}
			r.Add(late)
			say(t, r, 1)
			r.Save(Session{PID: "p2", ID: "late"})
			if name != "no room" && name != "one packet" {
				say(t, r, 2)
				if missed, _, err := restore(t, r, "p2", late.offset); err != nil || !slices.Equal(missed, []string{"2"}) {
					t.Errorf("missed %q, %v", missed, err)
				}
			} else if missed, _, err := restore(t, r, "p2", late.offset); err != nil || len(missed) > 0 {
				t.Errorf("missed %q, %v", missed, err)
			}
		})
	}
}

func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	r, _ := newRecovering(t, func(o *RecoveryOptions) { o.MaxSessions = 3 })
	for i := range 10 {
		id := fmt.Sprint(i)
		r.Add(&guest{member: member{id: id}})
		r.Save(Session{PID: "pid " + id, ID: id})
		if n := r.Sessions(); n > 3 {
			t.Fatalf("%d sessions", n)
		}
	}
	for i := range 10 {
		_, _, err := restore(t, r, fmt.Sprint("pid ", i), "")
		if want := i >= 7; (err == nil) != want {
			t.Errorf("session %d: %v", i, err)
		}
	}
}

// peers.md, K: an inverted test of age dropped fresh packets and kept stale ones, and the sweep never stopped.
func TestOldGoesFreshStays(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, h := newRecovering(t, nil)
		r.Add(&guest{member: member{id: "a"}})
		r.Add(&guest{member: member{id: "b"}})
		say(t, r, 1)
		r.Save(Session{PID: "pid a", ID: "a"})
		<-time.After(110 * time.Second)
		say(t, r, 2)
		r.Save(Session{PID: "pid b", ID: "b"})
		if missed, _, err := restore(t, r, "pid a", ""); err != nil || !slices.Equal(missed, []string{"1", "2"}) {
			t.Errorf("after 110 s: missed %q, %v", missed, err)
		}
		<-time.After(100 * time.Second)
		if packets, _ := r.Backlog(); packets != 1 {
			t.Errorf("%d packets are kept after 210 s, want the younger one", packets)
		}
		// Lost just before its client's last sign of life was heard, back just before the end: all is there.
		if missed, _, err := restore(t, r, "pid b", r.offset(1)); err != nil || !slices.Equal(missed, []string{"2"}) {
			t.Errorf("after 100 s: missed %q, %v", missed, err)
		}
		r.Remove("a")
		r.Remove("b")
		<-time.After(5 * time.Minute)
		if packets, bytes := r.Backlog(); packets != 0 || bytes != 0 || h.scheduled.Load() != 0 {
			t.Errorf("in the end: %d packets of %d bytes, %d timers", packets, bytes, h.scheduled.Load())
		}
	})
}

// A session that is waited for in vain ends by itself.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, h := newRecovering(t, nil)
		for _, id := range []string{"a", "b"} {
			r.Add(&guest{member: member{id: id}})
			r.Save(Session{PID: "pid " + id, ID: id})
		}
		<-time.After(2*time.Minute - time.Second)
		if _, _, err := restore(t, r, "pid a", ""); err != nil {
			t.Errorf("in time: %v", err)
		}
		<-time.After(time.Second)
		if _, _, err := restore(t, r, "pid b", ""); !errors.Is(err, ErrNoSession) {
			t.Errorf("too late: %v", err)
		}
		r.Save(Session{PID: "pid a", ID: "a"})
		<-time.After(3 * time.Minute)
		if n := r.Sessions(); n != 0 || h.scheduled.Load() != 0 {
			t.Errorf("%d sessions, %d timers", n, h.scheduled.Load())
		}
	})
}

// Where others are busy and a client hears nothing for an hour, nothing of what it saw last is kept any more; it has missed
// nothing all the same.
func TestQuietMemberRecovers(t *testing.T) {
	t.Parallel()
	r, _ := newRecovering(t, func(o *RecoveryOptions) { o.MaxPackets = 10 })
	g := &guest{member: member{id: "a"}}
	r.Add(g)
	say(t, r, 0, "a")
	for i := range 1000 {
		say(t, r, i, "others")
	}
	r.Save(Session{PID: "pid", ID: "a"})
	say(t, r, 1, "a")
	missed, _, err := restore(t, r, "pid", g.offset)
	if err != nil || !slices.Equal(missed, []string{"1"}) {
		t.Fatalf("missed %q, %v", missed, err)
	}
	// What it was sent now was on its way when it was lost again.
	r.Save(Session{PID: "pid", ID: "a"})
	if missed, _, err = restore(t, r, "pid", g.offset); err != nil || !slices.Equal(missed, []string{"1"}) {
		t.Fatalf("missed %q, %v", missed, err)
	}
}

// A client keeps the offset it had from another process, or from the socket it had before, until it hears something.
func TestOffsetFromBefore(t *testing.T) {
	t.Parallel()
	other, _ := newRecovering(t, nil)
	r, _ := newRecovering(t, nil)
	for i := range 5 {
		say(t, r, i)
		say(t, other, i)
	}
	for _, offset := range []string{other.offset(3), other.offset(300), r.offset(2), r.offset(0)} {
		r.Add(&guest{member: member{id: "a"}})
		r.Save(Session{PID: "pid", ID: "a"})
		say(t, r, 9)
		if missed, _, err := restore(t, r, "pid", offset); err != nil || !slices.Equal(missed, []string{"9"}) {
			t.Errorf("offset %s: missed %q, %v", offset, missed, err)
		}
		r.Remove("a")
	}
	r.Add(&guest{member: member{id: "a"}})
	r.Save(Session{PID: "pid", ID: "a"})
	if _, _, err := restore(t, r, "pid", r.offset(1_000_000)); !errors.Is(err, ErrOffset) {
		t.Errorf("an offset that was never drawn: %v", err)
	}
}

// What is remembered of rooms is bounded: whoever would need more connects afresh.
func TestRoomsLeftAreBounded(t *testing.T) {
	t.Parallel()
	r, _ := newRecovering(t, nil)
	for _, id := range []string{"a", "b"} {
		r.Add(&guest{member: member{id: id}})
	}
	for i := range 3 * keepStays {
		room := fmt.Sprint(i)
		for _, id := range []string{"a", "b"} {
			r.Join(id, room)
		}
		say(t, r, i, room)
		for _, id := range []string{"a", "b"} {
			r.Leave(id, room)
			r.Join(id, "quiet")
			r.Leave(id, "quiet") // nothing was said: nothing to remember
			if n := len(r.entry(id).past.stays); n > keepStays {
				t.Fatalf("%d stays are remembered, want %d", n, keepStays)
			}
		}
	}
	r.Save(Session{PID: "pid a", ID: "a"})
	if missed, _, err := restore(t, r, "pid a", r.offset(3*keepStays-3)); err != nil || len(missed) != 3 {
		t.Errorf("missed %q, %v", missed, err)
	}
	r.Save(Session{PID: "pid b", ID: "b"})
	if _, _, err := restore(t, r, "pid b", r.offset(1)); !errors.Is(err, ErrMissed) {
		t.Errorf("got %v, want ErrMissed", err)
	}
}

// The rooms' observers hear of a member that comes back.
func TestRestoredMemberIsObserved(t *testing.T) {
	t.Parallel()
	r, _ := newRecovering(t, nil)
	var events []string
	r.Observe(RoomEvents{
		Join:  func(room, id string) { events = append(events, "+"+room) },
		Leave: func(room, id string) { events = append(events, "-"+room) },
	})
	r.Add(&guest{member: member{id: "a"}})
	r.Join("a", "r")
	r.Save(Session{PID: "pid", ID: "a"})
	if _, _, err := restore(t, r, "pid", ""); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(events, " "); got != "+a +r -a -r +a +r" {
		t.Errorf("observed %s", got)
	}
}

// A packet that cannot be encoded is stored for nobody.
func TestUnencodableIsNotStored(t *testing.T) {
	t.Parallel()
	r, _ := newRecovering(t, func(o *RecoveryOptions) {
		o.Prepare = func(*Packet) (int, error) { return 0, errUnencodable }
	})
	if err := r.Broadcast(&Packet{Event: "x"}, Selection{}); !errors.Is(err, errUnencodable) {
		t.Errorf("got %v", err)
	}
	r.Add(&guest{member: member{id: "a"}})
	if err := r.Deliver(&Packet{Event: "x"}, "a", func(Member) { t.Error("queued") }); !errors.Is(err, errUnencodable) {
		t.Errorf("got %v", err)
	}
	if packets, _ := r.Backlog(); packets != 0 {
		t.Errorf("%d packets", packets)
	}
}

// Offsets come from clients.
func FuzzOffset(f *testing.F) {
	r := NewRecovering(new(host), RecoveryOptions{})
	for _, s := range []string{"", "x", r.offset(0), r.offset(1<<48 - 1), "AAAAAAAAAAAAAA", "Q85pTyb.1", "\xff\xff"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ours, ok := r.number(s)
		if ours && (!ok || r.offset(n) != s) {
			t.Errorf("%q is number %d, whose offset is %q", s, n, r.offset(n))
		}
	})
}

// Section 5.2, "Recovery buffer": clients may have any number of namespaces made, so their bounds are one.
func TestNamespacesShareTheirBounds(t *testing.T) {
	t.Parallel()
	kept := new(Kept)
	share := func(o *RecoveryOptions) { o.Kept, o.MaxPackets, o.MaxSessions = kept, 50, 5 }
	var all []*Recovering
	for range 20 {
		r, _ := newRecovering(t, share)
		all = append(all, r)
	}
	for i := range 100 {
		for n, r := range all {
			say(t, r, i)
			id := fmt.Sprint("id", i)
			r.Add(&guest{member: member{id: id}})
			r.Save(Session{PID: fmt.Sprint("p", n, i), ID: id})
		}
		packets, sessions := 0, 0
		for _, r := range all {
			p, _ := r.Backlog()
			packets += p
			sessions += r.Sessions()
		}
		if packets > 50 || sessions > 5 || kept.packets.Load() != int64(packets) || kept.sessions.Load() != int64(sessions) {
			t.Fatalf("%d packets and %d sessions are kept, counted as %d and %d", packets, sessions, kept.packets.Load(), kept.sessions.Load())
		}
	}
	for _, r := range all {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if p, b, s := kept.packets.Load(), kept.bytes.Load(), kept.sessions.Load(); p != 0 || b != 0 || s != 0 {
		t.Errorf("left: %d packets, %d bytes, %d sessions", p, b, s)
	}
}

package socketio

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/parser/msgpack"
)

// What cannot be a limit is an error that names it; the zero value is the defaults; Strict sets what is not set.
func TestLimits(t *testing.T) {
	t.Parallel()
	for want, l := range map[string]Limits{
		"MaxDepth is -1":           {MaxDepth: -1},
		"MaxDepth is 1025":         {MaxDepth: 1025},
		"MaxAttachmentBytes is -1": {MaxAttachmentBytes: -1},
		"AttachmentTimeout is -1":  {AttachmentTimeout: -1},
		"MaxRefusals is -1":        {MaxRefusals: -1},
		"MaxRefusals is 65536":     {MaxRefusals: 1 << 16},
		"MaxSockets is -1":         {MaxSockets: -1},
		"MaxPendingAcks is -1":     {MaxPendingAcks: -1},
		"AckTimeout is -1":         {AckTimeout: -1},
		"MaxRooms is -1":           {MaxRooms: -1},
		"MaxExcesses is -1":        {MaxExcesses: -1},
		"EventRate":                {EventRate: Rate{PerSecond: -1}},
		"set PerSecond":            {EventRate: Rate{Burst: 1}},
	} {
		if _, err := New(Options{Limits: l}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	l, err := Limits{}.withDefaults()
	if want := (Limits{
		MaxDepth: 64, MaxAttachmentBytes: math.MaxInt, AttachmentTimeout: time.Minute,
		MaxRefusals: 100, MaxSockets: 256, MaxPendingAcks: 10_000,
	}); err != nil || l != want {
		t.Errorf("%v: %+v", err, l)
	}
	strict := Options{Limits: Limits{MaxRooms: 7}}.Strict().Limits
	if want := (Limits{AckTimeout: time.Minute, MaxRooms: 7, EventRate: Rate{50, 200}, MaxExcesses: 500}); strict != want {
		t.Errorf("strict: %+v", strict)
	}
}

// What a connection costs that is idle does not grow with what it may not do.
func TestSizes(t *testing.T) {
	t.Parallel()
	for typ, most := range map[reflect.Type]uintptr{reflect.TypeFor[conn](): 96, reflect.TypeFor[Socket](): 192} {
		if got := typ.Size(); got > most {
			t.Errorf("a %v has %d bytes, more than its size class of %d", typ, got, most)
		}
	}
}

// Security 5.2, "Unknown-namespace spam": whoever refuses, a client that does not stop asking is not answered for ever.
func TestMaxRefusals(t *testing.T) {
	t.Parallel()
	for _, most := range []int{0, 3} {
		h := serve(t, Options{Limits: Limits{MaxRefusals: most}})
		h.Of("/no").Use(func(context.Context, *Socket) error { return &ConnectError{Message: "no"} })
		left := leavings(h.Of("/"))
		c, other := h.dial(t), h.dial(t)
		c.connect("/", "")
		other.connect("/", "")
		if most == 0 {
			most = 100
		}
		for i := range most {
			if i%3 == 0 {
				c.send("0/no,")
				c.expect(`4/no,{"message":"no"}`)
				continue
			}
			c.send("0/nowhere,")
			c.expect(`4/nowhere,{"message":"Invalid namespace"}`)
		}
		c.send("0/nowhere,", "0/nowhere,")
		c.expectEnd()
		if r := within(t, left); r != ReasonTooManyRefusals {
			t.Errorf("left because of %q", r)
		}
		if s := h.Stats(); s.Refused != uint64(most+1) || s.RefusalsExceeded != 1 || s.InvalidPackets != 0 {
			t.Errorf("%+v", s)
		}
		if n := h.Engine().Stats().Closed[engineio.Reason(ReasonTooManyRefusals)]; n != 1 {
			t.Errorf("%d sessions were closed because of it", n)
		}
		other.send("0/nowhere,") // each connection by itself
		other.expect(`4/nowhere,{"message":"Invalid namespace"}`)
	}
}

// A client that says nothing, or only what is refused, is counted when it is ended.
func TestConnectTimeoutIsCounted(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{ConnectTimeout: 50 * time.Millisecond})
	silent, wrong := h.dial(t), h.dial(t)
	wrong.send("0/nowhere,")
	silent.expectEnd()
	wrong.expectEnd(`4/nowhere,{"message":"Invalid namespace"}`)
	if s := h.Stats(); s.ConnectTimeouts != 2 || s.Refused != 1 {
		t.Errorf("%+v", s)
	}
}

// CVE-2026-33151: attachments that are announced have to come in time. Those of one packet do not count for the next.
func TestAttachmentTimeout(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Limits: Limits{AttachmentTimeout: 100 * time.Millisecond}})
	n := h.Of("/")
	n.Handle("x", echo)
	left := leavings(n)
	c, stays := h.dial(t), h.dial(t)
	c.connect("/", "")
	stays.connect("/", "")
	stays.send(`51-["x",{"_placeholder":true,"num":0}]`, []byte("in time"))
	c.send(`52-["x",{"_placeholder":true,"num":0}]`, []byte("one of two"))
	c.expectEnd()
	if r := within(t, left); r != ReasonForcedClose {
		t.Errorf("left because of %q", r)
	}
	if s := h.Stats(); s.AttachmentTimeouts != 1 {
		t.Errorf("%+v", s)
	}
	stays.send(`51-7["x",{"_placeholder":true,"num":0}]`, []byte("again"))
	stays.expect(`61-7[{"_placeholder":true,"num":0}]`, []byte("again"))
}

// CVE-2026-33151: and they may be so long together, whether they follow the packet or come with it.
func TestMaxAttachmentBytes(t *testing.T) {
	t.Parallel()
	limits := Limits{MaxAttachmentBytes: 1000}
	t.Run("text", func(t *testing.T) {
		t.Parallel()
		h := serve(t, Options{Limits: limits})
		h.Of("/").Handle("x", echo)
		left := leavings(h.Of("/"))
		c := h.dial(t)
		c.connect("/", "")
		for range 3 {
			c.send(`52-1["x",{"_placeholder":true,"num":0}]`, make([]byte, 400), make([]byte, 600))
			c.expect(`61-1[{"_placeholder":true,"num":0}]`, make([]byte, 400))
		}
		c.send(`53-1["x",{"_placeholder":true,"num":0}]`, make([]byte, 400), make([]byte, 601), make([]byte, 1))
		c.expectEnd()
		if r := within(t, left); r != ReasonForcedClose {
			t.Errorf("left because of %q", r)
		}
		if s := h.Stats(); s.AttachmentsTooLong != 1 || s.InvalidPackets != 0 {
			t.Errorf("%+v", s)
		}
	})
	t.Run("MessagePack", func(t *testing.T) {
		t.Parallel()
		h := serve(t, Options{Limits: limits, Parser: msgpack.Parser{}})
		got := make(chan int, 1)
		h.Of("/").Handle("x", func(_ context.Context, e *Event) { got <- len(e.attachments[0]) })
		c := h.dial(t)
		c.sendPacked("\x82\xa4type\x00\xa3nsp\xa1/")
		c.next() // its answer
		event := func(n int) string {
			return "\x83\xa4type\x02\xa3nsp\xa1/\xa4data\x92\xa1x" + fmt.Sprintf("\xc5%c%c", n>>8, n&255) + strings.Repeat("a", n)
		}
		c.sendPacked(event(0x37f))
		if n := within(t, got); n != 0x37f {
			t.Errorf("%d bytes came", n)
		}
		c.sendPacked(event(0x47f))
		c.expectEnd()
		if s := h.Stats(); s.AttachmentsTooLong != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// sendPacked writes a packet of MessagePack.
func (c *client) sendPacked(packet string) {
	c.t.Helper()
	c.send([]byte(packet))
}

// Security 5.2, "JSON depth, duplicate keys, giant numbers, ack ids": what a packet may say, and what becomes of the rest.
func TestHostileJSON(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Limits: Limits{MaxDepth: 5}})
	h.Of("/").Handle("any", echo)
	h.Of("/").Handle("int", func(_ context.Context, e *Event) {
		var n int
		_ = e.Ack(e.Decode(0, &n) != nil)
	})
	left := leavings(h.Of("/"))
	digits := strings.Repeat("9", 900_000)
	for packet, want := range map[string]string{
		`21["any",[[[[]]]]]`:                   `31[[[[[]]]]]`,
		`22["any",[[[[[]]]]]]`:                 "",
		`0/x,{"a":{"a":{"a":{"a":{"a":{}}}}}}`: "", // whatever it is in
		`23["any",{"a":1,"a":2}]`:              `33[{"a":2}]`,
		`24["any",` + digits + `]`:             `34["`, // beyond what a float64 can be
		`25["int",` + digits + `]`:             `35[true]`,
		`26["any",0.` + digits + `]`:           `36[1]`,
		`29007199254740992["any"]`:             `39007199254740992[]`,
		`29007199254740993["any"]`:             "",
		`2` + digits + `["any"]`:               "",
		`3` + digits + `[]`:                    "",
	} {
		c := h.dial(t)
		c.connect("/", "")
		begun := time.Now()
		c.send(packet)
		got, _ := c.next().(string)
		if !strings.HasPrefix(got, want) || (got == "") != (want == "") {
			t.Errorf("%.40s: answered with %.60q", packet, got)
		}
		if took := time.Since(begun); took > patience/2 {
			t.Errorf("%.40s: took %v", packet, took)
		}
		if want == "" {
			if r := within(t, left); r != ReasonForcedClose {
				t.Errorf("%.40s: left because of %q", packet, r)
			}
		}
	}
	if s := h.Stats(); s.InvalidPackets != 5 {
		t.Errorf("%+v", s)
	}
}

// Security 5.2, "Ack maps": what is awaited of a client that does not answer is bounded.
func TestMaxPendingAcks(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Limits: Limits{MaxPendingAcks: 2}})
	sockets := arrivals(h.Of("/"))
	c, other := h.dial(t), h.dial(t)
	c.connect("/", "")
	s := within(t, sockets)
	first := request(t.Context(), s, "a")
	c.expect(`20["a"]`)
	second := request(t.Context(), s, "a")
	c.expect(`21["a"]`)
	if _, err := s.Timeout(patience).EmitWithAck(t.Context(), "b"); !errors.Is(err, ErrTooManyAcks) {
		t.Errorf("a third: %v", err)
	}
	other.connect("/", "")
	asked := survey(t.Context(), h.To(), "c")
	other.answer(`["c"]`, "[1]")
	got := within(t, asked)
	if got.err != nil || len(got.list) != 2 {
		t.Fatalf("%+v", got)
	}
	for _, a := range got.list {
		if (a.SocketID == s.ID()) != errors.Is(a.Err, ErrTooManyAcks) {
			t.Errorf("%+v", a)
		}
	}
	if s := h.Stats(); s.AcksRefused != 2 {
		t.Errorf("%+v", s)
	}
	c.send("31[]")
	if a := within(t, second); a.err != nil {
		t.Error(a.err)
	}
	third := request(t.Context(), s, "d") // and the client was not asked what is not awaited
	c.answer(`["d"]`, "[]")
	if a := within(t, third); a.err != nil {
		t.Error(a.err)
	}
	c.close()
	if a := within(t, first); !errors.Is(a.err, ErrDisconnected) {
		t.Errorf("the client left: %v", a.err)
	}
}

// Security 5.2, "Ack maps": an acknowledgement that nobody has given a time is awaited for AckTimeout.
func TestAckTimeout(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Limits: Limits{AckTimeout: 50 * time.Millisecond}})
	sockets := arrivals(h.Of("/"))
	c := h.dial(t)
	c.connect("/", "")
	s := within(t, sockets)
	if a := within(t, request(t.Context(), s, "a")); !errors.Is(a.err, ErrTimeout) {
		t.Errorf("of one: %v", a.err)
	}
	if got := within(t, survey(t.Context(), h.To(), "b")); !errors.Is(got.err, ErrTimeout) {
		t.Errorf("of all: %v", got.err)
	}
	c.expect(`20["a"]`, `21["b"]`)
	longer := request(t.Context(), s.Timeout(time.Hour), "c")
	c.expect(`22["c"]`)
	if a := within(t, request(t.Context(), s, "d")); !errors.Is(a.err, ErrTimeout) || len(longer) != 0 {
		t.Errorf("%v, and with an hour's time %d answers", a.err, len(longer))
	}
	c.send("32[]")
	if a := within(t, longer); a.err != nil {
		t.Error(a.err)
	}
}

// A socket may be in so many rooms beside its own.
func TestMaxRooms(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Limits: Limits{MaxRooms: 3}})
	sockets := arrivals(h.Of("/"))
	c := h.dial(t)
	c.connect("/", "")
	s := within(t, sockets)
	for _, tt := range []struct {
		join, leave []string
		err         error
		then        int
	}{
		{join: []string{"a", "b", s.ID(), "a"}, then: 2},
		{join: []string{"c", "d"}, err: ErrTooManyRooms, then: 2},
		{join: []string{"c", "a"}, then: 3},
		{join: []string{"d"}, err: ErrTooManyRooms, then: 3},
		{join: []string{"a", "b", "c"}, then: 3},
		{leave: []string{"b"}, join: []string{"d"}, then: 3},
	} {
		s.Leave(tt.leave...)
		if err := s.Join(tt.join...); !errors.Is(err, tt.err) || len(s.Rooms()) != 1+tt.then {
			t.Errorf("%q: %v, then in %q", tt.join, err, s.Rooms())
		}
	}
	if err := h.SocketsJoin("e"); err != nil { // the program's own, which is not asked
		t.Error(err)
	}
	if err := s.Join("a", "e"); err != nil || len(s.Rooms()) != 5 {
		t.Errorf("those it is in: %v, %q", err, s.Rooms())
	}
	if s := h.Stats(); s.RoomsRefused != 2 {
		t.Errorf("%+v", s)
	}
}

// Security 5.2, "Dynamic namespace creation": one connection alone cannot use up what there is for all.
func TestMaxSockets(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Limits: Limits{MaxSockets: 2}})
	h.ofPattern(t, "/room/{id}")
	h.Of("/named")
	c := h.dial(t)
	c.connect("/room/1", "")
	c.connect("/room/2", "")
	c.send("0/room/3,")
	c.expect(`4/room/3,{"message":"too many namespaces"}`)
	c.connect("/named", "")
	if s := h.Stats(); s.NamespacesRefused != 1 || s.Refused != 1 || s.DynamicNamespaces != 2 || s.Namespaces != 4 {
		t.Errorf("%+v", s)
	}
	c.send("1/named,", "1/room/1,")
	eventually(t, "it has left", func() bool { return h.Stats().DynamicNamespaces == 1 })
	c.connect("/room/3", "")
}

// Security 5.2, "Recovery buffer": what is kept and what a bound has cost is counted.
func TestRecoveryIsCounted(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{Recovery: &Recovery{MaxPackets: 5, MaxSessions: 2}})
	for range 3 {
		c := h.dial(t)
		c.enter("")
		c.close()
	}
	eventually(t, "all are saved", func() bool { return h.Of("/").Len() == 0 })
	for range 20 {
		if err := h.Emit("x"); err != nil {
			t.Fatal(err)
		}
	}
	k := h.Stats().Kept
	if k.Packets > 5 || k.Packets < 1 || k.Bytes < k.Packets || k.Sessions != 2 || k.DroppedPackets != uint64(20-k.Packets) || k.DroppedSessions != 1 {
		t.Errorf("%+v", k)
	}
}

// Security 5.2, strikes: what the packets of a client get its connection ended for counts against its address, with all of the
// engine's limits in the preset.
func TestStrictCountsStrikes(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{}.Strict())
	status := func() int {
		resp, err := h.http.Get(h.url + "/?EIO=4&transport=polling")
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	allowed := engineio.StrictLimits().Strikes.Limit
	for i := range allowed + 1 {
		if got := status(); got != http.StatusOK {
			t.Fatalf("refused with %d after %d strikes", got, i)
		}
		c := h.dial(t)
		c.connect("/", "")
		c.send("9")
		c.expectEnd()
	}
	eventually(t, "the address is refused", func() bool { return status() == http.StatusForbidden })
	if l := h.Engine().Stats().Limits; l.Strikes != uint64(allowed+1) || l.Bans != 1 {
		t.Errorf("%+v", l)
	}
	// What is set stays.
	mine := engineio.Limits{MaxSessions: 7, HandshakeRate: 3, Fragments: 9, Strikes: engineio.Strikes{Limit: 1}}
	want := engineio.StrictLimits()
	want.MaxSessions, want.HandshakeRate, want.HandshakeBurst, want.Fragments, want.Strikes = 7, 3, 0, 9, mine.Strikes
	if got := (engineio.Options{Limits: mine}).Strict().Limits; got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

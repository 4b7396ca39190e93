package cluster

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/parser"
)

const head = `{"uid":"49979c5ff27fa5fd","nsp":"/","type":`

// handshakeText is that of a socket of Node's.
const handshakeText = `{"headers":{"accept":"*/*","host":"localhost:39511"},"time":"Mon Nov 23 2026 00:47:16 GMT+0000 (Coordinated Universal Time)",` +
	`"address":"::ffff:127.0.0.1","xdomain":false,"secure":true,"issued":1795394836868,"url":"/socket.io/?EIO=4\u0026a=1\u0026a=2",` +
	`"query":{"EIO":"4","a":["1","2"]},"auth":{"token":1}}`

func raws(texts ...string) (values adapter.Values) {
	for _, text := range texts {
		values = append(values, parser.Raw{JSON: []byte(text)})
	}
	return values
}

// Spec 3.7: what Node's adapter sends, is read as it is meant. These are its own messages, and ours are what it reads.
func TestWire(t *testing.T) {
	t.Parallel()
	const id = `"requestId":"89d243c5e9eb3752"`
	for _, tt := range []struct {
		node string // what Node's adapter wrote
		want Message
		ours string // what we write, where it is not the same but for the order
	}{
		{node: `{"type":1,"uid":"49979c5ff27fa5fd","nsp":"/"}`, want: Message{Type: InitialHeartbeat}, ours: head + `1}`},
		{node: `{"type":2,"uid":"49979c5ff27fa5fd","nsp":"/"}`, want: Message{Type: Heartbeat}, ours: head + `2}`},
		{
			node: head + `3,"data":{"packet":{"type":2,"data":["hi",1,{"a":null}]},"opts":{"rooms":["r",5],"except":["s"],"flags":{"volatile":true,"compress":false,"broadcast":true}}}}`,
			want: Message{Type: Broadcast, Event: "hi", Args: raws(`1`, `{"a":null}`), Opts: Opts{Rooms: []string{"r", "5"}, Except: []string{"s"}, Volatile: true, NoCompress: true}},
			ours: head + `3,"data":{"packet":{"type":2,"data":["hi",1,{"a":null}],"nsp":"/"},"opts":{"rooms":["r","5"],"except":["s"],"flags":{"volatile":true,"compress":false}}}}`,
		},
		{
			node: head + `3,"data":{"packet":{"type":2,"data":["q",9007199254740993]},` + id + `,"opts":{"rooms":[],"except":[],"flags":{"timeout":500}}}}`,
			want: Message{Type: Broadcast, RequestID: "89d243c5e9eb3752", Event: "q", Args: raws(`9007199254740993`), Opts: Opts{Rooms: []string{}, Except: []string{}, Timeout: 500 * time.Millisecond}},
			ours: head + `3,"data":{` + id + `,"packet":{"type":2,"data":["q",9007199254740993],"nsp":"/"},"opts":{"rooms":[],"except":[],"flags":{"timeout":500}}}}`,
		},
		{
			node: head + `4,"data":{"opts":{"rooms":["r"],"except":[],"flags":{}},"rooms":["r2"]}}`,
			want: Message{Type: Join, Opts: Opts{Rooms: []string{"r"}, Except: []string{}}, Rooms: []string{"r2"}},
		},
		{
			node: head + `5,"data":{"opts":{"rooms":[],"except":["x"],"flags":{}},"rooms":["r2"]}}`,
			want: Message{Type: Leave, Opts: Opts{Rooms: []string{}, Except: []string{"x"}}, Rooms: []string{"r2"}},
		},
		{
			node: head + `6,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"close":true}}`,
			want: Message{Type: Disconnect, Opts: Opts{Rooms: []string{}, Except: []string{}}, Close: true},
		},
		{
			node: head + `6,"data":{"opts":{"rooms":[],"except":[],"flags":{}},"close":false}}`,
			want: Message{Type: Disconnect, Opts: Opts{Rooms: []string{}, Except: []string{}}},
		},
		{
			node: head + `7,"data":{` + id + `,"opts":{"rooms":["r"],"except":[],"flags":{}}}}`,
			want: Message{Type: Fetch, RequestID: "89d243c5e9eb3752", Opts: Opts{Rooms: []string{"r"}, Except: []string{}}},
		},
		{
			node: head + `8,"data":{` + id + `,"sockets":[{"id":"5rfMsYsNbFvOBjROAAAA","handshake":` + handshakeText + `,"rooms":["5rfMsYsNbFvOBjROAAAA","r"],"data":{"user":"x"}}]}}`,
			want: Message{Type: FetchResponse, RequestID: "89d243c5e9eb3752", Members: []adapter.Info{{
				ID: "5rfMsYsNbFvOBjROAAAA", Rooms: []string{"5rfMsYsNbFvOBjROAAAA", "r"}, Data: map[string]any{"user": parser.Raw{JSON: []byte(`"x"`)}},
				Handshake: adapter.Handshake{
					Header:  map[string][]string{"Accept": {"*/*"}, "Host": {"localhost:39511"}},
					Address: "::ffff:127.0.0.1", Secure: true, Issued: time.UnixMilli(1795394836868),
					URL: "/socket.io/?EIO=4&a=1&a=2", Query: map[string][]string{"EIO": {"4"}, "a": {"1", "2"}}, Auth: []byte(`{"token":1}`),
				},
			}}},
			ours: head + `8,"data":{` + id + `,"sockets":[{"id":"5rfMsYsNbFvOBjROAAAA","handshake":` + strings.ReplaceAll(handshakeText, `\u0026`, "&") + `,"rooms":["5rfMsYsNbFvOBjROAAAA","r"],"data":{"user":"x"}}]}}`,
		},
		{
			node: head + `8,"data":{` + id + `,"sockets":[]}}`,
			want: Message{Type: FetchResponse, RequestID: "89d243c5e9eb3752", Members: []adapter.Info{}},
		},
		{node: head + `9,"data":{"packet":["ss0",1]}}`, want: Message{Type: ServerSideEmit, Event: "ss0", Args: raws(`1`)}},
		{
			node: head + `9,"data":{` + id + `,"packet":["ss"]}}`,
			want: Message{Type: ServerSideEmit, RequestID: "89d243c5e9eb3752", Event: "ss", Args: raws()},
		},
		{
			node: head + `10,"data":{` + id + `,"packet":{"y":1}}}`,
			want: Message{Type: ServerSideEmitResponse, RequestID: "89d243c5e9eb3752", Args: raws(`{"y":1}`)},
		},
		{
			node: head + `11,"data":{` + id + `,"clientCount":0}}`,
			want: Message{Type: BroadcastClientCount, RequestID: "89d243c5e9eb3752"},
		},
		{
			node: head + `12,"data":{` + id + `,"packet":"ans"}}`,
			want: Message{Type: BroadcastAck, RequestID: "89d243c5e9eb3752", Args: raws(`"ans"`)},
		},
		{node: head + `12,"data":{` + id + `}}`, want: Message{Type: BroadcastAck, RequestID: "89d243c5e9eb3752"}},
		{node: head + `12,"data":{` + id + `,"packet":null}}`, want: Message{Type: BroadcastAck, RequestID: "89d243c5e9eb3752", Args: raws(`null`)}},
		{node: head + `13}`, want: Message{Type: Close}},
	} {
		tt.want.UID, tt.want.Namespace = "49979c5ff27fa5fd", "/"
		if tt.ours == "" {
			tt.ours = tt.node
		}
		m, err := Decode([]byte(tt.node))
		if err != nil {
			t.Errorf("%s: %v", tt.node, err)
			continue
		}
		if len(m.Args) == 0 && len(tt.want.Args) == 0 {
			m.Args, tt.want.Args = nil, nil
		}
		if !reflect.DeepEqual(*m, tt.want) {
			t.Errorf("%s:\n got %+v\nwant %+v", tt.node, *m, tt.want)
		}
		if got, err := Encode(m); err != nil || string(got) != tt.ours {
			t.Errorf("%v\n got %s\nwant %s", err, got, tt.ours)
		}
	}
}

// What only we know, comes back; whatever holds bytes goes as MessagePack.
func TestRoundTrip(t *testing.T) {
	t.Parallel()
	values, err := adapter.NewValues([]byte("bin"), map[string]any{"x": []byte{0xff}}, "text", nil, uint64(1<<64-1))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Message{
		{Type: Broadcast, Seq: 1, RequestID: newID(), Event: "e", Args: values, Opts: Opts{Timeout: time.Second}, Who: true},
		{Type: BroadcastClientCount, Seq: 2, RequestID: newID(), Count: 2, Targets: []string{"a", "b"}},
		{Type: BroadcastAck, Seq: 1 << 60, RequestID: newID(), ID: "a", Args: values},
		{Type: BroadcastAck, RequestID: newID(), ID: "a", Left: true},
		{Type: ServerSideEmit, Event: "e", Args: values},
		{Type: ServerSideEmitResponse, RequestID: newID(), Args: values[:1]},
		{Type: FetchResponse, RequestID: newID(), Members: []adapter.Info{{ID: "a", Data: map[string]any{"b": []byte("bin")}}}},
		{Type: Forget, RequestID: newID()},
		{Type: Evict, RequestID: newID(), PID: "pid"},
		{Type: EvictResponse, RequestID: newID(), Held: true},
	} {
		m.UID, m.Namespace = newID(), "/chat"
		for name, encode := range map[string]func(*Message) ([]byte, error){"Encode": Encode, "EncodeBinary": EncodeBinary} {
			data, err := encode(m)
			if err != nil {
				t.Errorf("%s %v: %v", name, m.Type, err)
				continue
			}
			got, err := Decode(data)
			if err != nil {
				t.Errorf("%s %v: %v", name, m.Type, err)
				continue
			}
			again, err := Encode(got)
			if want, _ := Encode(m); err != nil || string(again) != string(want) {
				t.Errorf("%s %v: %v\n got %q\nwant %q", name, m.Type, err, again, want)
			}
			if got.Who != m.Who || got.Seq != m.Seq || got.ID != m.ID || got.Left != m.Left || !reflect.DeepEqual(got.Targets, m.Targets) {
				t.Errorf("%s %v: %+v", name, m.Type, got)
			}
			if len(m.Args) > 0 {
				var bytes []byte
				if err := got.Args.Decode(0, &bytes); err != nil || string(bytes) != "bin" || len(got.Args) != len(m.Args) {
					t.Errorf("%s %v: %q, %v", name, m.Type, bytes, err)
				}
			}
		}
	}
}

var malformed = []string{
	"", "{", "[]", "null", "1", `"x"`, "\xc1", "\x81\xa1", "{} {}", `{"type":"x"}`,
	head + `3}x`, head + `3,"data":1}`, head + `3,"data":{"packet":1}}`, head + `3,"data":{}}`, head + `3,"data":{"packet":{"type":3,"data":["x"]}}}`,
	head + `3,"data":{"packet":{"type":2,"data":[]}}}`, head + `9,"data":{"packet":{}}}`, head + `9,"data":{"packet":[]}}`,
	head + `8,"data":{"sockets":[1]}}`, head + `4,"data":{"rooms":"x"}}`,
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	for _, data := range malformed {
		m, err := Decode([]byte(data))
		if err == nil && m.Type == 0 {
			continue // a type that nobody knows
		}
		if !errors.Is(err, ErrMessage) {
			t.Errorf("%q: %v, %+v", data, err, m)
		}
	}
	// Oddities that are not worth a message.
	m, err := Decode([]byte(head + `3,"data":{"packet":{"type":2,"data":[7]},"opts":{"rooms":[],"except":[],"flags":{"volatile":"yes","timeout":-1}},"more":1}}`))
	if err != nil || m.Event != "7" || m.Opts.Timeout != 0 || m.Opts.Volatile {
		t.Errorf("%v, %+v", err, m)
	}
	// In Node, the data of a socket can be anything.
	m, err = Decode([]byte(head + `8,"data":{"sockets":[{"id":"a","handshake":{"headers":{"a":1},"secure":true},"rooms":[5],"data":"x"}]}}`))
	if err != nil || len(m.Members) != 1 {
		t.Fatalf("%v, %+v", err, m)
	}
	var data string
	if ok, err := m.Members[0].Decode("", &data); !ok || err != nil || data != "x" || m.Members[0].Rooms[0] != "5" || !m.Members[0].Handshake.Secure {
		t.Errorf("%q, %v, %+v", data, err, m.Members[0])
	}
	// What does not begin to be a message of the parser's.
	if _, err := Encode(&Message{Type: Broadcast, Args: raws("[")}); err == nil {
		t.Error("half a value is sent")
	}
}

// Whatever another program sends, there is an error or a message that can be handled and sent again.
func FuzzDecode(f *testing.F) {
	for _, data := range malformed {
		f.Add([]byte(data))
	}
	values, _ := adapter.NewValues([]byte("bin"), 1)
	for _, m := range []*Message{
		{UID: "a", Namespace: "/", Type: Broadcast, Event: "e", Args: values, RequestID: "b"},
		{UID: "a", Namespace: "/", Type: FetchResponse, RequestID: "b", Members: []adapter.Info{{ID: "a", Data: map[string]any{"x": values[0]}}}},
		{UID: "a", Namespace: "/", Type: BroadcastAck, RequestID: "b", Args: values, Seq: 7},
		{UID: "a", Namespace: "/", Type: Join, Rooms: []string{"r"}},
	} {
		for _, encode := range []func(*Message) ([]byte, error){Encode, EncodeBinary} {
			data, err := encode(m)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := Decode(data)
		if err != nil {
			if !errors.Is(err, ErrMessage) {
				t.Errorf("%v", err)
			}
			return
		}
		again, err := Encode(m)
		if err != nil {
			return // deeper than a parser may go, or a placeholder that is none
		}
		if _, err := Decode(again); err != nil {
			t.Errorf("%q, read from %q: %v", again, data, err)
		}
	})
}

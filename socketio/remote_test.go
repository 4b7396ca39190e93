package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/perch-go/perch/socketio/parser"
)

type account struct {
	Name string `json:"name"`
	Age  int    `json:"age"`
	Key  []byte `json:"key"`
}

// S-40 to S-43: sockets are described, and what is done to one of them or to a selection happens.
func TestFetchSockets(t *testing.T) {
	t.Parallel()
	h := serve(t, Options{})
	clients, sockets := gather(t, h, 2)
	key := NewKey[account]("account")
	key.Set(sockets[0], account{Name: "Ada", Age: 36})
	if err := sockets[0].Join("r"); err != nil {
		t.Fatal(err)
	}
	list, err := h.In("r").FetchSockets(t.Context())
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	r := list[0]
	if local, ok := r.Local(); !ok || local != sockets[0] || r.Namespace() != h.Of("/") {
		t.Error("another socket, or another namespace")
	}
	var got account
	if ok, err := r.Decode("account", &got); !ok || err != nil || got.Name != "Ada" {
		t.Errorf("%+v, %v, %v", got, ok, err)
	}
	if ok, err := r.Decode("nothing", &got); ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
	hs := r.Handshake()
	if r.ID() != sockets[0].ID() || !slices.Equal(r.Rooms(), []string{r.ID(), "r"}) || key.Value(r).Age != 36 ||
		hs.Header.Get("X-Test") != "yes" || hs.Query.Get("EIO") != "4" || hs.Address == "" || hs.Issued.IsZero() || hs.Secure {
		t.Errorf("%+v", r)
	}
	if all, err := h.Timeout(patience).FetchSockets(t.Context()); err != nil || len(all) != 2 {
		t.Errorf("%v, %v", all, err)
	}

	if err := errors.Join(r.Emit("x", 1), r.Join("s", "t"), r.Leave("t", "r")); err != nil {
		t.Error(err)
	}
	clients[0].expect(`2["x",1]`)
	if got := sockets[0].Rooms(); !slices.Equal(got, []string{r.ID(), "s"}) {
		t.Errorf("rooms %q", got)
	}
	asked := request(t.Context(), r.Timeout(patience), "q")
	clients[0].answer(`["q"]`, `["one",2]`)
	if a := within(t, asked); a.err != nil || string(a.reply.Raw(0)) != `"one"` || a.reply.NumArgs() != 2 {
		t.Errorf("%+v", a)
	}
	if _, err := r.Timeout(time.Millisecond).EmitWithAck(t.Context(), "q"); !errors.Is(err, ErrTimeout) {
		t.Errorf("no answer: %v", err)
	}
	clients[0].next()
	asked = request(t.Context(), r, "q")
	clients[0].expect(`22["q"]`)
	clients[0].close()
	if a := within(t, asked); !errors.Is(a.err, ErrDisconnected) {
		t.Errorf("left meanwhile: %v", a.err)
	}
	within(t, sockets[0].Done())
	if _, err := r.EmitWithAck(t.Context(), "q"); !errors.Is(err, ErrDisconnected) {
		t.Errorf("left before: %v", err)
	}

	if err := errors.Join(h.SocketsJoin("a", "b"), h.In("a").SocketsLeave("b"), h.Except("a").SocketsLeave("a")); err != nil {
		t.Error(err)
	}
	if got := sockets[1].Rooms(); !slices.Equal(got, []string{sockets[1].ID(), "a"}) {
		t.Errorf("rooms %q", got)
	}
	if err := h.In("a").DisconnectSockets(false); err != nil {
		t.Error(err)
	}
	clients[1].expect("1")
	h.OnConnection(func(_ context.Context, s *Socket) error { return s.Join("late") })
	clients[1].connect("/", "")
	if err := h.To("late").DisconnectSockets(true); err != nil {
		t.Error(err)
	}
	clients[1].expectEnd("1")
}

// S-51: a key finds its type in what another process has stored, and nothing in what is of another type.
func TestKey(t *testing.T) {
	t.Parallel()
	want := account{Name: "Ada", Age: 36, Key: []byte("secret")}
	key := NewKey[account]("account")
	raw, err := parser.NewRaw(want)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		stored any
		want   bool
	}{
		"the type itself":     {want, true},
		"decoded by anybody":  {map[string]any{"name": "Ada", "age": 36.0, "key": []byte("secret")}, true},
		"raw JSON":            {json.RawMessage(`{"name":"Ada","age":36,"key":"c2VjcmV0"}`), true},
		"from a process":      {raw, true},
		"of another type":     {&want, false},
		"of a type like it":   {struct{ Name string }{"Ada"}, false},
		"not fitting":         {"text", false},
		"raw and not fitting": {json.RawMessage(`[1]`), false},
	} {
		got, ok := key.Lookup(holder{key.Name(): tt.stored})
		if ok != tt.want || ok && !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
	if v, ok := key.Lookup(holder{}); ok || v.Name != "" {
		t.Errorf("from nothing: %+v", v)
	}
	if NewKey[int]("n").Value(holder{"n": 7.0}) != 7 || NewKey[[]string]("l").Value(holder{"l": []any{"a", "b"}})[1] != "b" {
		t.Error("numbers and lists")
	}
}

type holder map[string]any

func (h holder) Load(key string) (any, bool) {
	v, ok := h[key]
	return v, ok
}

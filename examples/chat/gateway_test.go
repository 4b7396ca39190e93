package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/perch-go/perch"
)

// person talks to the gateway at the level of packets.
type person struct {
	t    *testing.T
	conn *websocket.Conn
	id   string
}

func connect(t *testing.T, url string) *person {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), url+"/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { _ = conn.CloseNow() })
	p := &person{t: t, conn: conn}
	p.read()
	p.send("40/chat,")
	var reply struct{ SID string }
	if err := json.Unmarshal([]byte(strings.TrimPrefix(p.read(), "40/chat,")), &reply); err != nil {
		t.Fatal(err)
	}
	p.id = reply.SID
	return p
}

func (p *person) send(text string) {
	p.t.Helper()
	if err := p.conn.Write(p.t.Context(), websocket.MessageText, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *person) read() string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), 10*time.Second)
	defer cancel()
	_, data, err := p.conn.Read(ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(data)
}

// ask sends an event and wants the next packet to be its ack.
func (p *person) ask(event, payload, want string) {
	p.t.Helper()
	p.send(fmt.Sprintf(`42/chat,1[%q,%s]`, event, payload))
	if got := p.read(); !strings.HasPrefix(got, "43/chat,1["+want) {
		p.t.Errorf("%s %s: got %s, want %s", event, payload, got, want)
	}
}

// want wants the next packet to begin with an event.
func (p *person) want(event string) {
	p.t.Helper()
	if got := p.read(); !strings.HasPrefix(got, "42/chat,["+event) {
		p.t.Errorf("got %s, want %s", got, event)
	}
}

func TestJoinAndLeave(t *testing.T) {
	t.Parallel()
	url := serving(t)
	ann, ben := connect(t, url), connect(t, url)
	ann.ask("join", `{"room":"r","name":"Ann"}`, `{"room":"r","members":["Ann"]}`)
	ben.ask("join", `{"room":"r","name":"Ben"}`, `{"room":"r","members":["Ann","Ben"]}`)
	ann.want(`"joined",{"room":"r","name":"Ben"}`)

	// Joining again under the same name is no news, under another one it is.
	ben.ask("join", `{"room":"r","name":"Ben"}`, `{"room":"r","members":["Ann","Ben"]}`)
	ben.ask("join", `{"room":"r","name":"Benjamin"}`, `{"room":"r","members":["Ann","Benjamin"]}`)
	ann.want(`"left",{"room":"r","name":"Ben"}`)
	ann.want(`"joined",{"room":"r","name":"Benjamin"}`)

	ben.ask("leave", `{"room":"r"}`, `]`)
	ann.want(`"left",{"room":"r","name":"Benjamin"}`)
	ben.ask("leave", `{"room":"r"}`, `]`) // no news
	ben.ask("message", `{"room":"r","text":"hi"}`, `{"status":"error","code":"NOT_A_MEMBER"`)

	ben.ask("join", `{"room":"r","name":"Ben"}`, `{"room":"r","members":["Ann","Ben"]}`)
	ann.want(`"joined"`)
	_ = ben.conn.CloseNow()
	ann.want(`"left",{"room":"r","name":"Ben"}`)
}

// A room of people is not the room of another socket's id.
func TestNobodyListensIn(t *testing.T) {
	t.Parallel()
	url := serving(t)
	ann, ben := connect(t, url), connect(t, url)
	ben.ask("join", `{"room":"`+ann.id+`","name":"Ben"}`, `{"room":"`+ann.id)
	ben.send(`42/chat,["typing",{"room":"` + ann.id + `"}]`)
	ann.ask("join", `{"room":"r","name":"Ann"}`, `{"room":"r"`) // and nothing before
}

func TestTooManyRooms(t *testing.T) {
	t.Parallel()
	ann := connect(t, serving(t))
	for i := range maxRooms {
		ann.ask("join", fmt.Sprintf(`{"room":"r%d","name":"Ann"}`, i), `{"room":`)
	}
	ann.ask("join", `{"room":"one more","name":"Ann"}`, `{"status":"error","code":"TOO_MANY_ROOMS"`)
	ann.ask("join", `{"room":"r0","name":"Anna"}`, `{"room":"r0"`)
	ann.ask("leave", `{"room":"r0"}`, `]`)
	ann.ask("join", `{"room":"one more","name":"Ann"}`, `{"room":"one more"`)
}

func TestValidate(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", maxName)
	for _, tt := range []struct {
		payload perch.Validator
		field   string // that is wrong
	}{
		{Join{"r", "n"}, ""},
		{Join{long, long}, ""},
		{Join{"", "n"}, "room"},
		{Join{"r", ""}, "name"},
		{Join{"r", " \u00a0"}, "name"},
		{Join{"r\n", "n"}, "room"},
		{Join{long + "é", "n"}, "room"},
		{Post{"r", "x"}, ""},
		{Post{"r", strings.Repeat("é", maxText)}, ""},
		{Post{"r", strings.Repeat("é", maxText) + "x"}, "text"},
		{Post{"r", ""}, "text"},
		{Post{"", "x"}, "room"},
		{InRoom{"r"}, ""},
		{InRoom{}, "room"},
		{&Upload{"r", "n", make([]byte, maxUpload)}, ""},
		{&Upload{"r", "n", make([]byte, maxUpload+1)}, "data"},
		{&Upload{"r", "n", nil}, "data"},
		{&Upload{"r", "", []byte{0}}, "name"},
		{&Upload{"", "n", []byte{0}}, "room"},
	} {
		err := tt.payload.Validate()
		var e *perch.Error
		switch {
		case tt.field == "" && err != nil:
			t.Errorf("%T %.40v: %v", tt.payload, tt.payload, err)
		case tt.field != "" && (!errors.As(err, &e) || e.Code != perch.CodeInvalid || !strings.HasPrefix(e.Message, tt.field+" ")):
			t.Errorf("%T %.40v: %v, want %s to be wrong", tt.payload, tt.payload, err, tt.field)
		}
	}
}

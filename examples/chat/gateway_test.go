package main

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/perchtest"
)

// Handlers and guards alone: nothing is served, and nobody connects.

// alone is a gateway whose sends are recorded, and somebody who has joined the room r.
func alone(t *testing.T, name string) (*ChatGateway, *perchtest.Recorder, context.Context, *perchtest.Socket) {
	t.Helper()
	g := NewChatGateway()
	server := perchtest.Record(t, g)
	ctx, socket := perchtest.Context(t, perchtest.SocketOptions{})
	if _, err := g.Join(ctx, Join{Room: "r", Name: name}); err != nil {
		t.Fatal(err)
	}
	return g, server, ctx, socket
}

func TestMessage(t *testing.T) {
	t.Parallel()
	g, server, ctx, _ := alone(t, "Ann")
	receipt, err := g.Message(ctx, Post{Room: "r", Text: "hello"})
	if err != nil || receipt.ID == "" || receipt.At.IsZero() {
		t.Fatal(receipt, err)
	}
	m := Message{ID: receipt.ID, Room: "r", Name: "Ann", Text: "hello", At: receipt.At}
	want := []perchtest.Sent{{Event: "message", Args: []any{m}, To: []string{"room:r"}}}
	if got := server.Sent(); !reflect.DeepEqual(got, want) {
		t.Errorf("sent %+v", got)
	}
	for said, err := range g.History(ctx, Recall{Room: "r"}) {
		if err != nil || *said.Message != m {
			t.Errorf("remembered %+v, %v", said, err)
		}
	}
}

func TestTyping(t *testing.T) {
	t.Parallel()
	g, server, ctx, ann := alone(t, "Ann")
	if err := g.Typing(ctx, InRoom{"r"}); err != nil {
		t.Fatal(err)
	}
	told := ann.Broadcasts()
	if last := told[len(told)-1]; last.Event != "typing" || !last.Volatile || !reflect.DeepEqual(last.Args, []any{Presence{"r", "Ann"}}) {
		t.Errorf("told %+v", last)
	}
	if sent := server.Sent(); len(sent) > 0 {
		t.Errorf("sent to the sender too: %+v", sent)
	}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	g, _, ctx, ann := alone(t, "Ann")
	for _, tt := range []struct {
		payload any
		code    string
	}{
		{Post{Room: "r", Text: "hello"}, ""},
		{Upload{Room: "r", Data: []byte{1, 2}}, ""},
		{Post{Room: "other"}, "NOT_A_MEMBER"},
		{Post{}, "NOT_A_MEMBER"},
	} {
		err := g.members(ctx, ann.ExecutionContext(t, &perchtest.Event{Name: "message", Args: []any{tt.payload}}))
		var refused *perch.Error
		switch {
		case tt.code == "" && err != nil:
			t.Errorf("%+v: %v", tt.payload, err)
		case tt.code != "" && (!errors.As(err, &refused) || refused.Code != tt.code):
			t.Errorf("%+v: %v, want %s", tt.payload, err, tt.code)
		}
	}
	if err := g.members(ctx, ann.ExecutionContext(t, &perchtest.Event{Name: "message"})); err == nil {
		t.Error("without a payload it lets pass")
	}
}

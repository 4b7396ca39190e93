package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/client"
	"github.com/perch-go/perch/event"
	"github.com/perch-go/perch/perchtest"
)

// The gateway with clients of both kinds, in memory and on the clock of a bubble.

// inMemory runs a test of a chat that is served in memory.
func inMemory(t *testing.T, test func(t *testing.T, srv *perchtest.Server)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		test(t, perchtest.New(t, perch.WithGateways(NewChatGateway())))
	})
}

// call sends an event by a client that speaks Socket.IO and wants it to succeed.
func call[In, Out any](t *testing.T, c *perchtest.Client, e event.Request[In, Out], in In) Out {
	t.Helper()
	out, err := client.Call(t.Context(), c, e, in)
	if err != nil {
		t.Fatalf("%s: %v", e, err)
	}
	return out
}

// refused wants it to be refused with a code.
func refused[In, Out any](t *testing.T, c *perchtest.Client, e event.Request[In, Out], in In, code string) {
	t.Helper()
	var err *client.Error
	if _, got := client.Call(t.Context(), c, e, in); !errors.As(got, &err) || err.Code != code {
		t.Errorf("%s: %v, want %s", e, got, code)
	}
}

// decoded is the data of a frame.
func decoded[T any](t *testing.T, f perchtest.Frame) (v T) {
	t.Helper()
	if err := f.Decode(&v); err != nil {
		t.Fatalf("%v: %v", f, err)
	}
	return v
}

func members(t *testing.T, w Welcome, want ...string) {
	t.Helper()
	if !slices.Equal(w.Members, want) {
		t.Errorf("members of %s: %q, want %q", w.Room, w.Members, want)
	}
}

// Ann speaks Socket.IO, Ben has a plain WebSocket.
func TestBothKinds(t *testing.T) {
	inMemory(t, func(t *testing.T, srv *perchtest.Server) {
		ann, ben := srv.Dial(t, "/chat", client.Options{}), srv.DialWebSocket(t, "/ws", perchtest.WebSocketOptions{})
		members(t, call(t, ann, joinRoom, Join{"r", "Ann"}), "Ann")
		members(t, decoded[Welcome](t, ben.Call(t, "join", Join{"r", "Ben"})), "Ann", "Ben")
		if p := perchtest.Next(t, ann, joined); p != (Presence{"r", "Ben"}) {
			t.Errorf("joined: %+v", p)
		}

		sent := call(t, ann, sendMessage, Post{"r", "hello"})
		for _, m := range []Message{perchtest.Next(t, ann, messageSent), decoded[Message](t, ben.Next(t, "message"))} {
			if m != (Message{sent.ID, "r", "Ann", "hello", sent.At}) {
				t.Errorf("message: %+v", m)
			}
		}
		data := []byte{0, 1, 254, 255}
		ben.Call(t, "file", Upload{"r", "a.png", data}) // base64 on a plain WebSocket, an attachment of Socket.IO
		for _, f := range []File{perchtest.Next(t, ann, fileSent), decoded[File](t, ben.Next(t, "file"))} {
			if f.From != "Ben" || f.Name != "a.png" || !bytes.Equal(f.Data, data) {
				t.Errorf("file: %+v", f)
			}
		}
		ben.Send(t, "typing", InRoom{"r"})
		if p := perchtest.Next(t, ann, typing); p.Name != "Ben" {
			t.Errorf("typing: %+v", p)
		}

		ben.Close()
		if p := perchtest.Next(t, ann, left); p != (Presence{"r", "Ben"}) {
			t.Errorf("left: %+v", p)
		}
		ann.NoEvents(t)
	})
}

func TestJoinAndLeave(t *testing.T) {
	inMemory(t, func(t *testing.T, srv *perchtest.Server) {
		ann, ben := srv.Dial(t, "/chat", client.Options{}), srv.Dial(t, "/chat", client.Options{})
		call(t, ann, joinRoom, Join{"r", "Ann"})
		call(t, ben, joinRoom, Join{"r", "Ben"})
		perchtest.Next(t, ann, joined)

		// Joining again under the same name is no news, under another one it is.
		members(t, call(t, ben, joinRoom, Join{"r", "Ben"}), "Ann", "Ben")
		ann.NoEvents(t)
		members(t, call(t, ben, joinRoom, Join{"r", "Benjamin"}), "Ann", "Benjamin")
		if was, is := perchtest.Next(t, ann, left), perchtest.Next(t, ann, joined); was.Name != "Ben" || is.Name != "Benjamin" {
			t.Error(was, is)
		}

		for range 2 { // the second time it is no news
			if _, err := ben.EmitWithAck(t.Context(), string(leaveRoom), InRoom{"r"}); err != nil {
				t.Error(err)
			}
		}
		perchtest.Next(t, ann, left)
		ann.NoEvents(t)
		refused(t, ben, sendMessage, Post{"r", "hi"}, "NOT_A_MEMBER")
		refused(t, ben, sendFile, Upload{"r", "a.png", []byte{1}}, "NOT_A_MEMBER")
		refused(t, ann, sendMessage, Post{"r", ""}, perch.CodeInvalid)
		refused(t, ann, event.Request[int, Receipt]("message"), 7, perch.CodeBadPayload)
		if err := client.Emit(ben, sayTyping, InRoom{"r"}); err != nil {
			t.Error(err)
		}
		perchtest.Next[struct{ Code string }](t, ben, "exception")
		ann.NoEvents(t)
	})
}

// Whoever joins reads what was said, and who was away what was missed.
func TestReadHistory(t *testing.T) {
	inMemory(t, func(t *testing.T, srv *perchtest.Server) {
		ann, ben := srv.Dial(t, "/chat", client.Options{}), srv.DialWebSocket(t, "/ws", perchtest.WebSocketOptions{})
		call(t, ann, joinRoom, Join{"r", "Ann"})
		last := call(t, ann, sendMessage, Post{"r", "first"})
		call(t, ann, sendFile, Upload{"r", "a.png", []byte{1, 2, 3}})

		ben.Call(t, "join", Join{"r", "Ben"})
		if end := ben.Call(t, "history", Recall{Room: "r"}); end.Event != "" || end.Data != nil {
			t.Errorf("the end: %v", end)
		}
		first, second := decoded[Said](t, ben.Next(t, "history")), decoded[Said](t, ben.Next(t, "history"))
		if first.Message == nil || first.Message.Text != "first" || second.File == nil || !bytes.Equal(second.File.Data, []byte{1, 2, 3}) {
			t.Errorf("history: %+v, %+v", first, second)
		}

		srv.CloseClientConnections()
		ben.NextClose(t)
		ann.NextDisconnect(t)
		time.Sleep(10 * time.Second) // of the bubble's clock: Ann's client connects again
		call(t, ann, joinRoom, Join{"r", "Ann"})
		var missed []Said
		for said, err := range client.Stream(t.Context(), ann.Socket, readHistory, Recall{Room: "r", After: last.ID}) {
			if err != nil {
				t.Fatal(err)
			}
			missed = append(missed, said)
		}
		if len(missed) != 1 || missed[0].File == nil {
			t.Errorf("missed: %+v", missed)
		}
		var no *client.Error
		for _, err := range client.Stream(t.Context(), ann.Socket, readHistory, Recall{Room: "other"}) {
			errors.As(err, &no)
		}
		if no == nil || no.Code != "NOT_A_MEMBER" {
			t.Error(no)
		}
	})
}

// A history that nobody reads waits, and delays nobody.
func TestSlowReader(t *testing.T) {
	inMemory(t, func(t *testing.T, srv *perchtest.Server) {
		ann, ben := srv.Dial(t, "/chat", client.Options{}), srv.Dial(t, "/chat", client.Options{})
		call(t, ann, joinRoom, Join{"r", "Ann"})
		for range 20 {
			call(t, ann, sendFile, Upload{"r", "a.png", make([]byte, maxUpload)})
		}
		call(t, ben, joinRoom, Join{"r", "Ben"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		read := 0
		for _, err := range client.Stream(ctx, ben.Socket, readHistory, Recall{Room: "r"}) {
			if err != nil {
				t.Fatal(err)
			}
			if read++; read%10 == 0 {
				call(t, ann, sendMessage, Post{"r", "meanwhile"})
				time.Sleep(time.Second) // of the bubble's clock
			}
		}
		if read != 20 {
			t.Errorf("read %d", read)
		}
		perchtest.NextN(t, ben, messageSent, 2)
	})
}

// A room of people is not the room of another socket's id.
func TestNobodyListensIn(t *testing.T) {
	inMemory(t, func(t *testing.T, srv *perchtest.Server) {
		ann, ben := srv.Dial(t, "/chat", client.Options{}), srv.Dial(t, "/chat", client.Options{})
		call(t, ben, joinRoom, Join{ann.ID(), "Ben"})
		call(t, ben, sendMessage, Post{ann.ID(), "psst"})
		ann.NoEvents(t)
	})
}

func TestTooManyRooms(t *testing.T) {
	inMemory(t, func(t *testing.T, srv *perchtest.Server) {
		ann := srv.Dial(t, "/chat", client.Options{})
		for i := range maxRooms {
			call(t, ann, joinRoom, Join{fmt.Sprint("r", i), "Ann"})
		}
		refused(t, ann, joinRoom, Join{"one more", "Ann"}, "TOO_MANY_ROOMS")
		call(t, ann, joinRoom, Join{"r0", "Anna"})
		if err := client.Emit(ann, leaveRoom, InRoom{"r0"}); err != nil {
			t.Error(err)
		}
		call(t, ann, joinRoom, Join{"one more", "Ann"})
	})
}

// Who says nothing is still there: heartbeats go on.
func TestQuiet(t *testing.T) {
	inMemory(t, func(t *testing.T, srv *perchtest.Server) {
		ann := srv.Dial(t, "/chat", client.Options{})
		ben := srv.DialWebSocket(t, "/ws", perchtest.WebSocketOptions{})
		call(t, ann, joinRoom, Join{"r", "Ann"})
		ben.Call(t, "join", Join{"r", "Ben"})
		perchtest.Next(t, ann, joined)
		time.Sleep(time.Hour) // of the bubble's clock: both are quiet, and both are there
		ann.NoEvents(t)
		members(t, call(t, ann, joinRoom, Join{"r", "Ann"}), "Ann", "Ben")
	})
}

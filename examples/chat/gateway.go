package main

import (
	"context"
	"crypto/rand"
	"iter"
	"strings"
	"time"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/plainws"
)

// ChatGateway lets people talk in rooms.
type ChatGateway struct {
	perch.Base
	rooms   *rooms
	history *history
}

var _ perch.OnGatewayDisconnect = (*ChatGateway)(nil)

// NewChatGateway makes a gateway without any room.
func NewChatGateway() *ChatGateway {
	return &ChatGateway{rooms: newRooms(), history: &history{}}
}

// Options serves the gateway on /chat to clients that speak Socket.IO and on /ws to plain
// WebSockets, to pages of any origin.
func (g *ChatGateway) Options() perch.Options {
	return perch.Options{
		Namespace: "chat",
		Platforms: []perch.Platform{perch.SocketIO(), plainws.At("/ws")},
		CORS:      &perch.CORS{Origins: []string{"*"}, Methods: []string{"GET", "POST"}},
	}
}

// Register names the events.
func (g *ChatGateway) Register(r *perch.Router) {
	members := perch.WithGuards(g.members)
	perch.On(r, joinRoom, g.Join)
	perch.On(r, sendMessage, g.Message, members)
	perch.On(r, sendFile, g.File, members)
	perch.OnStream(r, readHistory, g.History, members)
	perch.OnEvent(r, sayTyping, g.Typing, members)
	perch.OnEvent(r, leaveRoom, g.Leave)
}

// maxRooms is how many rooms one socket may be in.
const maxRooms = 32

// The server's rooms that people talk in have a prefix, so that nobody enters the
// room of another socket's id by choosing it as a name.
const prefix = "room:"

func inRoom(room string) string { return prefix + room }

// members is a guard: who has not joined a room has no say in it.
func (g *ChatGateway) members(_ context.Context, ec *perch.ExecutionContext) error {
	var in InRoom
	if err := ec.Decode(0, &in); err != nil {
		return err
	}
	if _, ok := g.rooms.name(in.Room, ec.Socket().ID()); !ok {
		return perch.Errorf("NOT_A_MEMBER", "join %q first", in.Room)
	}
	return nil
}

// Join enters a room. Joining again under another name changes it.
func (g *ChatGateway) Join(ctx context.Context, j Join) (Welcome, error) {
	s := perch.SocketFrom(ctx)
	if _, in := g.rooms.name(j.Room, s.ID()); !in && len(s.Rooms()) > maxRooms { // its own is one
		return Welcome{}, perch.Errorf("TOO_MANY_ROOMS", "you are in %d rooms already: leave one first", maxRooms)
	}
	// First the server's room: whoever joins after this one has entered is heard, and
	// whoever did before is in the list.
	if err := s.Join(inRoom(j.Room)); err != nil {
		return Welcome{}, err
	}
	names, was := g.rooms.enter(j.Room, s.ID(), j.Name)
	if was != j.Name {
		others := s.To(inRoom(j.Room))
		if was != "" {
			if err := perch.Emit(others, left, Presence{j.Room, was}); err != nil {
				return Welcome{}, err
			}
		}
		if err := perch.Emit(others, joined, Presence(j)); err != nil {
			return Welcome{}, err
		}
	}
	return Welcome{Room: j.Room, Members: names}, nil
}

// Message sends a text to everyone in the room, the sender included.
func (g *ChatGateway) Message(ctx context.Context, p Post) (Receipt, error) {
	r := newReceipt()
	m := Message{ID: r.ID, Room: p.Room, Name: g.name(ctx, p.Room), Text: p.Text, At: r.At}
	return r, g.history.add(Said{Message: &m}, func() error {
		return perch.Emit(g.Server().To(inRoom(p.Room)), messageSent, m)
	})
}

// File sends a file to everyone in the room, the sender included.
func (g *ChatGateway) File(ctx context.Context, u Upload) (Receipt, error) {
	r := newReceipt()
	f := File{ID: r.ID, Room: u.Room, Name: u.Name, From: g.name(ctx, u.Room), Data: u.Data, At: r.At}
	return r, g.history.add(Said{File: &f}, func() error {
		return perch.Emit(g.Server().To(inRoom(u.Room)), fileSent, f)
	})
}

// History streams what was said in the room, the oldest first.
func (g *ChatGateway) History(_ context.Context, r Recall) iter.Seq2[Said, error] {
	return func(yield func(Said, error) bool) {
		for said := range g.history.of(r.Room, r.After) {
			if !yield(said, nil) {
				return
			}
		}
	}
}

// Typing tells the others that someone is writing. It is not worth queueing.
func (g *ChatGateway) Typing(ctx context.Context, r InRoom) error {
	others := perch.SocketFrom(ctx).To(inRoom(r.Room))
	return perch.Emit(others.Volatile(), typing, Presence{r.Room, g.name(ctx, r.Room)})
}

// Leave leaves a room.
func (g *ChatGateway) Leave(ctx context.Context, r InRoom) error {
	s := perch.SocketFrom(ctx)
	s.Leave(inRoom(r.Room))
	return g.left(r.Room, s)
}

// HandleDisconnect leaves all the rooms of a socket that is gone.
func (g *ChatGateway) HandleDisconnect(_ context.Context, s *perch.Socket, _ perch.Reason) {
	for _, room := range s.Rooms() {
		if room, ok := strings.CutPrefix(room, prefix); ok {
			_ = g.left(room, s) // fails only for what cannot be encoded
		}
	}
}

// left tells the others that someone is no longer in the room.
func (g *ChatGateway) left(room string, s *perch.Socket) error {
	name, was := g.rooms.exit(room, s.ID())
	if !was {
		return nil
	}
	return perch.Emit(s.To(inRoom(room)), left, Presence{room, name})
}

// name is what the sender is called in a room it is in.
func (g *ChatGateway) name(ctx context.Context, room string) string {
	name, _ := g.rooms.name(room, perch.SocketFrom(ctx).ID())
	return name
}

func newReceipt() Receipt {
	return Receipt{ID: rand.Text(), At: time.Now().UTC().Truncate(time.Millisecond)}
}

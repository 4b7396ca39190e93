package main

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/perch-go/perch"
)

// ChatGateway lets people talk in rooms.
type ChatGateway struct {
	perch.Base
	rooms *rooms
}

var _ perch.OnGatewayDisconnect = (*ChatGateway)(nil)

// NewChatGateway makes a gateway without any room.
func NewChatGateway() *ChatGateway { return &ChatGateway{rooms: newRooms()} }

// Options serves the gateway on /chat, to pages of any origin.
func (g *ChatGateway) Options() perch.Options {
	return perch.Options{
		Namespace: "chat",
		CORS:      &perch.CORS{Origins: []string{"*"}, Methods: []string{"GET", "POST"}},
	}
}

// Register names the events.
func (g *ChatGateway) Register(r *perch.Router) {
	perch.On(r, "join", g.Join)
	perch.On(r, "message", g.Message)
	perch.On(r, "file", g.File)
	perch.OnEvent(r, "typing", g.Typing)
	perch.OnEvent(r, "leave", g.Leave)
}

// maxRooms is how many rooms one socket may be in.
const maxRooms = 32

// The server's rooms that people talk in have a prefix, so that nobody enters the
// room of another socket's id by choosing it as a name.
const prefix = "room:"

func inRoom(room string) string { return prefix + room }

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
			if err := others.Emit("left", Presence{j.Room, was}); err != nil {
				return Welcome{}, err
			}
		}
		if err := others.Emit("joined", Presence(j)); err != nil {
			return Welcome{}, err
		}
	}
	return Welcome{Room: j.Room, Members: names}, nil
}

// Message sends a text to everyone in the room, the sender included.
func (g *ChatGateway) Message(ctx context.Context, p Post) (Receipt, error) {
	name, err := g.member(ctx, p.Room)
	if err != nil {
		return Receipt{}, err
	}
	r := newReceipt()
	return r, g.Server().To(inRoom(p.Room)).Emit("message",
		Message{ID: r.ID, Room: p.Room, Name: name, Text: p.Text, At: r.At})
}

// File sends a file to everyone in the room, the sender included.
func (g *ChatGateway) File(ctx context.Context, u Upload) (Receipt, error) {
	name, err := g.member(ctx, u.Room)
	if err != nil {
		return Receipt{}, err
	}
	r := newReceipt()
	return r, g.Server().To(inRoom(u.Room)).Emit("file",
		File{ID: r.ID, Room: u.Room, Name: u.Name, From: name, Data: u.Data, At: r.At})
}

// Typing tells the others that someone is writing. It is not worth queueing.
func (g *ChatGateway) Typing(ctx context.Context, r InRoom) error {
	name, err := g.member(ctx, r.Room)
	if err != nil {
		return err
	}
	return perch.SocketFrom(ctx).To(inRoom(r.Room)).Volatile().Emit("typing", Presence{r.Room, name})
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
	return s.To(inRoom(room)).Emit("left", Presence{room, name})
}

// member is the sender's name in the room; who is not in it has no say there.
func (g *ChatGateway) member(ctx context.Context, room string) (string, error) {
	name, in := g.rooms.name(room, perch.SocketFrom(ctx).ID())
	if !in {
		return "", perch.Errorf("NOT_A_MEMBER", "join %q first", room)
	}
	return name, nil
}

func newReceipt() Receipt {
	return Receipt{ID: rand.Text(), At: time.Now().UTC().Truncate(time.Millisecond)}
}

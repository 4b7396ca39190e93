package main

import (
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/event"
)

// What the client asks for, and what it gets with it.
const (
	joinRoom    event.Request[Join, Welcome]   = "join"
	sendMessage event.Request[Post, Receipt]   = "message"
	sendFile    event.Request[Upload, Receipt] = "file"
	readHistory event.Stream[Recall, Said]     = "history"
	sayTyping   event.Event[InRoom]            = "typing"
	leaveRoom   event.Event[InRoom]            = "leave"
)

// What those in a room are told.
const (
	joined      event.Event[Presence] = "joined"
	left        event.Event[Presence] = "left"
	typing      event.Event[Presence] = "typing"
	messageSent event.Event[Message]  = "message"
	fileSent    event.Event[File]     = "file"
)

// What the client sends. Each type says itself what it accepts.
type (
	// Join asks to enter a room under a name.
	Join struct {
		Room string `json:"room"`
		Name string `json:"name"`
	}
	// Post is a text for a room.
	Post struct {
		Room string `json:"room"`
		Text string `json:"text"`
	}
	// InRoom names a room, for typing and leave.
	InRoom struct {
		Room string `json:"room"`
	}
	// Recall asks for what was said in a room, all of it or what came after the thing with
	// that id.
	Recall struct {
		Room  string `json:"room"`
		After string `json:"after"`
	}
	// Upload is a file for a room. Its data travels as a binary attachment, of a plain
	// WebSocket as base64.
	Upload struct {
		Room string `json:"room"`
		Name string `json:"name"`
		Data []byte `json:"data"`
	}
)

// What the client gets.
type (
	// Welcome answers a Join.
	Welcome struct {
		Room    string   `json:"room"`
		Members []string `json:"members"`
	}
	// Presence tells the others that someone joined, left or is typing.
	Presence struct {
		Room string `json:"room"`
		Name string `json:"name"`
	}
	// Receipt answers a Post and an Upload.
	Receipt struct {
		ID string    `json:"id"`
		At time.Time `json:"at"`
	}
	// Message is a Post as everyone in the room gets it.
	Message struct {
		ID   string    `json:"id"`
		Room string    `json:"room"`
		Name string    `json:"name"`
		Text string    `json:"text"`
		At   time.Time `json:"at"`
	}
	// File is an Upload as everyone in the room gets it.
	File struct {
		ID   string    `json:"id"`
		Room string    `json:"room"`
		Name string    `json:"name"`
		From string    `json:"from"`
		Data []byte    `json:"data"`
		At   time.Time `json:"at"`
	}
	// Said is one thing of the history, a Message or a File; the other one is missing.
	Said struct {
		Message *Message `json:"message,omitempty"`
		File    *File    `json:"file,omitempty"`
	}
)

func (s Said) id() string {
	if s.File != nil {
		return s.File.ID
	}
	return s.Message.ID
}

func (s Said) room() string {
	if s.File != nil {
		return s.File.Room
	}
	return s.Message.Room
}

func (s Said) size() int {
	if s.File != nil {
		return len(s.File.Data)
	}
	return len(s.Message.Text)
}

// The limits of what a client sends. An upload of the largest size fits the server's
// default payload limit of 1 MB also in base64.
const (
	maxName   = 64
	maxText   = 2000
	maxUpload = 512 << 10
)

// Validate refuses unusable names.
func (j Join) Validate() error {
	if err := checkName("room", j.Room); err != nil {
		return err
	}
	return checkName("name", j.Name)
}

// Validate refuses an empty text and one that is too long.
func (p Post) Validate() error {
	if n := utf8.RuneCountInString(p.Text); n < 1 || n > maxText {
		return invalid("text", "must have 1 to %d characters, has %d", maxText, n)
	}
	return checkName("room", p.Room)
}

// Validate refuses unusable names.
func (r InRoom) Validate() error { return checkName("room", r.Room) }

// Validate refuses unusable names.
func (r Recall) Validate() error { return checkName("room", r.Room) }

// Validate refuses an empty file and one that is too large.
func (u *Upload) Validate() error {
	if n := len(u.Data); n < 1 || n > maxUpload {
		return invalid("data", "must have 1 to %d bytes, has %d", maxUpload, n)
	}
	if err := checkName("room", u.Room); err != nil {
		return err
	}
	return checkName("name", u.Name)
}

func checkName(field, s string) error {
	if n := utf8.RuneCountInString(s); n < 1 || n > maxName {
		return invalid(field, "must have 1 to %d characters, has %d", maxName, n)
	}
	visible := false
	for _, r := range s {
		if unicode.IsControl(r) {
			return invalid(field, "must not contain control characters")
		}
		visible = visible || unicode.IsGraphic(r) && !unicode.IsSpace(r)
	}
	if !visible {
		return invalid(field, "must not be blank")
	}
	return nil
}

// invalid says which field is wrong, so that the page can point at it.
func invalid(field, format string, args ...any) error {
	e := perch.Errorf(perch.CodeInvalid, field+" "+format, args...)
	e.Details = map[string]string{"field": field}
	return e
}

package main

import (
	"slices"
	"sync"
)

// rooms knows who is in which room under which name. The server knows the rooms of
// its sockets too, but not the names. It is safe for concurrent use.
type rooms struct {
	mu      sync.Mutex
	members map[string][]member // by room, in the order they joined
}

type member struct{ socket, name string }

func newRooms() *rooms { return &rooms{members: make(map[string][]member)} }

// enter puts a socket into a room and returns the names of all who are in it. was is
// the name it had there before, if any.
func (r *rooms) enter(room, socket, name string) (names []string, was string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := r.members[room]
	if i := find(in, socket); i >= 0 {
		was, in[i].name = in[i].name, name
	} else {
		in = append(in, member{socket, name})
		r.members[room] = in
	}
	for _, m := range in {
		names = append(names, m.name)
	}
	return names, was
}

// exit takes a socket out of a room and returns the name it had there.
func (r *rooms) exit(room, socket string) (name string, was bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := r.members[room]
	i := find(in, socket)
	if i < 0 {
		return "", false
	}
	name = in[i].name
	if in = slices.Delete(in, i, i+1); len(in) == 0 {
		delete(r.members, room)
	} else {
		r.members[room] = in
	}
	return name, true
}

// name is what a socket is called in a room it is in.
func (r *rooms) name(room, socket string) (name string, in bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := find(r.members[room], socket); i >= 0 {
		return r.members[room][i].name, true
	}
	return "", false
}

func find(in []member, socket string) int {
	return slices.IndexFunc(in, func(m member) bool { return m.socket == socket })
}

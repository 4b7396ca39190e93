package socketio

import (
	"encoding/json"

	"github.com/perch-go/perch/socketio/parser"
)

// Key is a value, safe for concurrent use: a typed name for something that is kept with a socket (S-51). Make it once, as a
// package variable, with [NewKey]. What is kept is seen by FetchSockets in every process of the cluster, so it should be
// something that JSON can carry.
type Key[T any] struct {
	name string
}

// NewKey makes a key. The name is what others see of it; two keys of one name and type are the same key.
func NewKey[T any](name string) Key[T] { return Key[T]{name} }

// Name is the name the key was made with.
func (k Key[T]) Name() string { return k.name }

// Holder is safe for concurrent use: what data are kept with: a *Socket, or the *RemoteSocket that describes one.
type Holder interface {
	Load(key string) (any, bool)
}

// Keeper is safe for concurrent use: where data can be kept: a *Socket.
type Keeper interface {
	Store(key string, v any)
}

// Set puts v under the key.
func (k Key[T]) Set(s Keeper, v T) { s.Store(k.name, v) }

// Value is what h has under the key, or T's zero value.
func (k Key[T]) Value(h Holder) T {
	v, _ := k.Lookup(h)
	return v
}

// Lookup is what h has under the key, and whether it has something of type T. What has come from another process is decoded into
// T, as an argument of an event would be.
func (k Key[T]) Lookup(h Holder) (v T, ok bool) {
	stored, ok := h.Load(k.name)
	if !ok {
		return v, false
	}
	if v, ok = stored.(T); ok {
		return v, true
	}
	return v, recast(stored, &v) == nil
}

// recast decodes what another process has stored, and of which only what JSON makes of it has arrived, into what out points to.
func recast(stored, out any) error {
	switch stored := stored.(type) {
	case parser.Raw:
		return stored.Decode(out)
	case json.RawMessage, map[string]any, []any, string, float64, bool, []byte, nil:
		r, err := parser.NewRaw(stored)
		if err != nil {
			return err
		}
		return r.Decode(out)
	}
	return errOtherType
}

package perch

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"reflect"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio"
)

// Gateway is called concurrently: its handlers and hooks for different sockets at the
// same time, for the same socket one at a time and in order. Options and Register are
// called once each, by New.
//
// A gateway is a set of event handlers on one namespace, as a class with Nest's
// @WebSocketGateway is: a pointer to a plain struct, made by a constructor that takes
// what it needs, and usually embedding [Base]. Its optional hooks are [OnGatewayInit],
// [OnGatewayConnection] and [OnGatewayDisconnect].
type Gateway interface {
	Options() Options
	Register(r *Router)
}

// Options is a plain value that says where a gateway is served. Its zero value is the
// root namespace on the app's port.
//
// Gateways of one Port and Path share a server. Each may leave a setting to the
// others; two that set one differently are a start-up error that names both,
// whatever their order.
type Options struct {
	// Namespace is the Socket.IO namespace; a leading slash is added. Empty is "/".
	//
	// It may be a pattern like those of [net/http.ServeMux]: in /room/{id} the wildcard
	// stands for one segment of the name that a client asks for, and {rest...} at the end
	// for all that are left. Handlers and hooks are those of every such namespace, which
	// is made for its first client and dropped with its last; [Socket.PathValue] says what
	// wildcards stand for, and who may join is for connection guards and HandleConnection
	// to say. [Base.Server] sends to all of them that have a socket on this node,
	// [Socket.Server] to the socket's own, [Server.Of] to the one of that name. Where a name fits
	// several gateways' namespaces, one without wildcards comes before one with them, and
	// the narrower pattern before the wider one; if neither is narrower, that is a start-up
	// error. [WithMaxNamespaces] bounds how many there are.
	Namespace string
	// Path is where the server's requests arrive. Empty is "/socket.io/"; slashes at
	// either end make no difference.
	Path string
	// Port is a TCP port of the gateway's own, opened by Start on all addresses.
	// Zero is the port the app is served on.
	Port int
	// TLS serves a port of the gateway's own over TLS. Nil is plain TCP. It needs a
	// Port: on the shared one TLS is the business of whoever listens.
	TLS *tls.Config
	// Platforms are the kinds of clients that the namespace is for: [SocketIO], plainws.At("/ws"). Nil leaves it to the
	// other gateways of the namespace, and without one to Socket.IO alone.
	Platforms []Platform
	// CORS lets pages of other origins in. Nil is the app's default, see [WithCORS];
	// without that, only pages of the server's own origin.
	CORS *CORS
}

// CORS says which pages of other origins may talk to a server, over polling and
// WebSocket alike.
type CORS = engineio.CORS

// Reason says why a socket was disconnected, in Socket.IO's words: package socketio
// lists them.
type Reason = socketio.Reason

// OnGatewayInit is a gateway that wants its server before any client comes. AfterInit
// is called once, by Start, in the order the gateways were given, with what
// [Base.Server] returns. An error ends Start.
type OnGatewayInit interface {
	AfterInit(s *Server) error
}

// OnGatewayConnection is a gateway that wants to know, or to decide, who connects.
// HandleConnection is called once per socket, before the client is told that it is
// connected. An error refuses the client, see [Error]. The socket is a member of its
// namespace already: what is sent to it meanwhile arrives after the news that it is
// connected, and never if it is refused. Waiting for the client's ack here is an
// error, for it cannot answer yet. ctx ends after the connect timeout, and so does the
// client's patience.
type OnGatewayConnection interface {
	HandleConnection(ctx context.Context, s *Socket) error
}

// OnGatewayDisconnect is a gateway that wants to know who leaves. HandleDisconnect is
// called once for each socket, after its last event was handled;
// the rooms it was in can still be read. A gateway whose HandleConnection accepted the
// socket is told even if another gateway of the namespace refused it afterwards.
// Shutdown waits for it.
type OnGatewayDisconnect interface {
	HandleDisconnect(ctx context.Context, s *Socket, reason Reason)
}

// hook is one of the optional interfaces and how it is spelled, to tell a gateway
// whose method almost implements it.
type hook struct {
	method, signature string
	iface             reflect.Type
}

var (
	initHook = hook{"AfterInit", "AfterInit(s *perch.Server) error",
		reflect.TypeFor[OnGatewayInit]()}
	connectionHook = hook{"HandleConnection", "HandleConnection(ctx context.Context, s *perch.Socket) error",
		reflect.TypeFor[OnGatewayConnection]()}
	disconnectHook = hook{"HandleDisconnect", "HandleDisconnect(ctx context.Context, s *perch.Socket, reason perch.Reason)",
		reflect.TypeFor[OnGatewayDisconnect]()}
)

// check refuses a hook that has the name but not the signature: it would be left out
// without a word.
func (h hook) check(t reflect.Type) error {
	if _, has := t.MethodByName(h.method); has && !t.Implements(h.iface) {
		return fmt.Errorf("method %s is no hook, its signature is another: write %s", h.method, h.signature)
	}
	return nil
}

// Base is safe for concurrent use. It gives a gateway its server: embed it by value in
// the gateway's struct. Its zero value is ready.
type Base struct {
	server Server
}

// Server sends to the gateway's own namespace, of a pattern to all that it stands for. It
// is never nil; before the app is started its sends return [ErrNotStarted].
func (b *Base) Server() *Server { return &b.server }

// base is how the app finds a gateway's Base, wherever it is embedded.
func (b *Base) base() *Base { return b }

type based interface{ base() *Base }

// checkIdentity looks at what kind of value a gateway is.
func checkIdentity(g Gateway) error {
	t, v := reflect.TypeOf(g), reflect.ValueOf(g)
	switch {
	case t.Kind() == reflect.Pointer && v.IsNil():
		return errors.New("it is a nil pointer: pass what its constructor returns")
	case t.Kind() != reflect.Pointer && reflect.PointerTo(t).Implements(reflect.TypeFor[based]()):
		return fmt.Errorf("it embeds perch.Base but is a value, whose copies know no server: pass a pointer (&%s{…})", t)
	}
	b, ok := baseOf(g)
	if ok && b == nil {
		return errors.New("it embeds *perch.Base, which is nil: embed perch.Base")
	}
	return nil
}

// baseOf is the gateway's Base, if it embeds one; nil if it embeds a nil *Base.
func baseOf(g Gateway) (b *Base, ok bool) {
	bd, ok := g.(based)
	if !ok {
		return nil, false
	}
	defer func() { _ = recover() }() // a Base behind a nil pointer to another struct
	return bd.base(), true
}

package socketio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/parser"
)

// PlainOptions is a plain value: how WebSocket clients that do not speak Socket.IO are served, see [Server.Plain].
type PlainOptions struct {
	// Parser turns frames into events and answers, and back. There are no other packets, and no namespaces in them;
	// nor is there a way for attachments to follow a packet. The Format of parsers that write differently must differ.
	// It is required.
	Parser Parser
	// Namespace is the name of the namespace that the client of a request joins; a slash is added in front.
	// nil is "/" for all.
	Namespace func(r *http.Request) string
	// Subprotocols are those of the WebSocket handshake that are spoken, the one liked best first. Empty is any and none.
	Subprotocols []string
}

var errNoPlainParser = errors.New("socketio: PlainOptions.Parser is nil: pass a parser for the frames")

// Plain makes a handler for a path on which WebSocket clients join a namespace without speaking Socket.IO. Each becomes a [Socket]
// like any other, in the same rooms and with the same handlers. What differs is how it comes and goes: middlewares and [Hooks].Admit
// are asked before the WebSocket handshake is answered, so that who is refused gets an HTTP status; the connection hooks
// come after it, and who is refused by one gets the event "connect_error" with the message and the data, and is disconnected with code 1008.
// There is no auth packet: what the URL's query says is the client's auth, an object of strings. It never recovers.
// To disconnect it from its namespace is to close its connection.
func (s *Server) Plain(o PlainOptions) (http.Handler, error) {
	if o.Parser == nil {
		return nil, errNoPlainParser
	}
	for _, name := range o.Subprotocols {
		if !isToken(name) {
			return nil, fmt.Errorf("socketio: subprotocol %q cannot stand in a header: use letters, digits and !#$%%&'*+-.^_`|~", name)
		}
	}
	f := newFormat(o.Parser, true)
	p := &engineio.Plain{Subprotocols: o.Subprotocols}
	p.Accept = func(session *engineio.Session, r *http.Request) (engineio.Handler, error) {
		name := "/"
		if o.Namespace != nil {
			name = o.Namespace(r)
		}
		return s.acceptPlain(session, r, f, name)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.servePlain(w, r, p) }), nil
}

// isToken reports whether s is a token of RFC 9110.
func isToken(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0:
		default:
			return false
		}
	}
	return s != ""
}

func (s *Server) servePlain(w http.ResponseWriter, r *http.Request, p *engineio.Plain) {
	if s.closing.Load() {
		w.Header().Set("Connection", "close")
		http.Error(w, "server is shutting down", http.StatusServiceUnavailable)
		return
	}
	s.engine.ServePlain(w, r, p)
}

// plain is what is peculiar to the connection of a plain client: it has one socket, from before it is open until it ends.
type plain struct {
	*format
	path   map[string]string // what the wildcards of the pattern that served it stand for; nil without any
	begun  atomic.Bool       // the socket's lane is
	opened bool              // the session was before the lane; the lane's worker only
}

// acceptPlain makes a connection and its socket, and asks those who want to be asked before the client is connected at all.
func (s *Server) acceptPlain(session *engineio.Session, r *http.Request, f *format, name string) (engineio.Handler, error) {
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	ns := s.enter([]byte(name))
	if ns == nil {
		return nil, refusal(ErrInvalidNamespace)
	}
	c := &conn{server: s, session: session, plain: &plain{format: f, path: pathValues(r)}}
	sock := newSocket(c, ns, queryAuth(r.URL))
	c.sockets, c.live = sock, 1
	if !s.enlist(c) {
		ns.exit()
		return nil, notNow
	}
	sock.charge()
	accepted := false
	defer func() {
		if accepted {
			return
		}
		sock.stage.refused = true
		sock.leave(ReasonServerNamespaceDisconnect)
		c.begin(sock, false) // which ends it
		s.forget(c)
	}()
	ctx, cancel := context.WithTimeout(sock.Context(), s.opts.ConnectTimeout)
	defer cancel()
	defer context.AfterFunc(r.Context(), cancel)()

	// Until the lane begins this goroutine is the one that it is run by.
	_, err := sock.examine(ctx)
	if err == nil {
		err = sock.admit(ctx)
	}
	switch {
	case err == nil && sock.leaving(), errors.Is(err, errLeaving):
		return nil, notNow
	case err == nil && r.Context().Err() != nil:
		return nil, context.Cause(r.Context())
	case err != nil:
		return nil, refusal(sock.shown(err))
	}
	sock.stage.examined, accepted = true, true
	return c, nil
}

// notNow is the answer to a handshake whose client is not refused, but cannot be connected either. It must not be changed.
var notNow = &engineio.Refusal{Status: http.StatusServiceUnavailable, Body: []byte(`{"message":"not now"}`), Err: errLeaving}

// admit asks the hooks' Admit.
func (s *Socket) admit(ctx context.Context) error {
	for _, h := range s.ns.registry.Load().hooks {
		if h.Admit == nil {
			continue
		}
		if s.leaving() {
			return errLeaving
		}
		if err := s.ask(ctx, h.Admit); err != nil {
			return err
		}
	}
	return nil
}

// refusal is the answer to a handshake whose client is refused.
func refusal(e *ConnectError) *engineio.Refusal {
	status := e.Status
	switch {
	case e == errTooManyNamespaces:
		status = http.StatusServiceUnavailable
	case status < 400 || status > 599: // anything else is no refusal
		status = http.StatusForbidden
	}
	var body []byte
	for _, data := range []connectErrorPayload{e.payload(), {Message: e.Message}} { // a string can always be encoded
		var err error
		if body, err = (parser.Outgoing{Type: parser.Event, Args: []any{data}}).AppendData(nil); err == nil {
			break
		}
	}
	return &engineio.Refusal{Status: status, Body: body, Err: e}
}

// begin begins the lane of a plain client's socket, once.
func (c *conn) begin(s *Socket, opened bool) {
	if c.plain.begun.CompareAndSwap(false, true) {
		c.plain.opened = opened
		c.server.pool.run(s)
	}
}

// The codes that a plain client's connection is closed with.
const (
	closeNormal    = 1000
	closeGoingAway = 1001
	closeWrongKind = 1003
	closeInvalid   = 1007
	closePolicy    = 1008
	closeInternal  = 1011
)

// refusePlain tells a plain client that a connection hook has refused it.
func (c *conn) refusePlain(e *ConnectError) {
	for _, data := range []connectErrorPayload{e.payload(), {Message: e.Message}} {
		m, err := c.plain.message(parser.Outgoing{Type: parser.Event, Event: "connect_error", Args: []any{data}})
		if err == nil {
			_ = c.session.Send(m)
			break
		}
		c.server.opts.Logger.Error("socketio: data of a ConnectError cannot be encoded", "error", err)
	}
	code := uint16(closePolicy)
	if e.Status == http.StatusInternalServerError {
		code = closeInternal
	}
	c.session.CloseWith(engineio.ReasonForcedServerClose, code, e.Message)
}

// abortCode is what a plain client's connection is closed with for what it did.
func abortCode(reason engineio.Reason, err error) uint16 {
	switch {
	case errors.Is(err, parser.ErrBinary):
		return closeWrongKind
	case reason == engineio.ReasonForcedClose: // see conn.HandleMessage
		return closeInvalid
	}
	return closePolicy
}

// queryAuth is the auth of a client that has none but the parameters of its URL.
func queryAuth(u *url.URL) []byte {
	if u.RawQuery == "" {
		return nil
	}
	auth := make(map[string]string)
	for name, values := range u.Query() {
		auth[name] = values[0]
	}
	raw, _ := json.Marshal(auth) // strings can always be encoded
	return raw
}

// pathValues are those of the wildcards in the pattern by which an http.ServeMux has found the handler.
func pathValues(r *http.Request) (values map[string]string) {
	for _, part := range strings.Split(r.Pattern, "{")[1:] {
		name, _, _ := strings.Cut(part, "}")
		name = strings.TrimSuffix(name, "...")
		if name == "$" {
			continue
		}
		if values == nil {
			values = make(map[string]string)
		}
		values[name] = r.PathValue(name)
	}
	return values
}

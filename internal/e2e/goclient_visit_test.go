package e2e

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/perch-go/perch/client"
)

// peer is a program that serves configurations on request: differential/reference.mjs, or its twin.
type peer struct {
	name    string
	control string // where it is asked; empty for the fakes, which are not asked

	mu      sync.Mutex
	servers map[string]string // their URLs, by configuration
}

// requester keeps no connection, which would be a goroutine that is left.
var requester = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}

func (p *peer) request(t *testing.T, what string, query url.Values) string {
	t.Helper()
	resp, err := requester.Get(p.control + "/" + what + "?" + query.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d, %v: %s", what, resp.StatusCode, err, body)
	}
	return string(body)
}

// visit is one case's stay at a server: on one way, with a key that tells it from others.
type visit struct {
	*testing.T
	peer *peer
	way  string
	key  string
}

// at is the URL of a server of that configuration, which cases share.
func (v *visit) at(configuration string) string {
	v.Helper()
	v.peer.mu.Lock()
	defer v.peer.mu.Unlock()
	if v.peer.servers == nil {
		v.peer.servers = map[string]string{}
	}
	if v.peer.servers[configuration] == "" {
		v.peer.servers[configuration] = v.fresh(configuration)
	}
	return v.peer.servers[configuration]
}

// fresh is the URL of a server that is only this case's.
func (v *visit) fresh(configuration string) string {
	v.Helper()
	return v.peer.request(v.T, "server", url.Values{"configuration": {configuration}})
}

// through is at, with a relay in between.
func (v *visit) through(configuration string) (relay, string) {
	v.Helper()
	return startRelay(v.T, v.at(configuration))
}

// journal is what the server has noted of this case's clients.
func (v *visit) journal(configuration string) (entries [][]any) {
	v.Helper()
	text := v.peer.request(v.T, "journal", url.Values{"server": {v.at(configuration)}, "key": {v.key}})
	if err := json.Unmarshal([]byte(text), &entries); err != nil {
		v.Fatalf("%v: %s", err, text)
	}
	return entries
}

// noted are the journal's entries of one kind, without it, once there are n.
func (v *visit) noted(configuration, kind string, n int) (entries [][]any) {
	v.Helper()
	eventually(v.T, "the server notes "+kind, func() bool {
		entries = nil
		for _, e := range v.journal(configuration) {
			if e[0] == kind {
				entries = append(entries, e[1:])
			}
		}
		return len(entries) >= n
	})
	return entries
}

// options are quick to come back and have the case's key.
func (v *visit) options(edits ...func(*client.Options)) client.Options {
	o := client.Options{
		Transports: goWays[v.way], Query: url.Values{"key": {v.key}}, Logger: quiet,
		ReconnectionDelay: 10 * time.Millisecond, ReconnectionDelayMax: 50 * time.Millisecond,
	}
	for _, edit := range edits {
		edit(&o)
	}
	return o
}

// always is the life of what a case makes: it is closed rather than cancelled.
func (v *visit) always() context.Context { return context.WithoutCancel(v.Context()) }

// soon is how long a call may take.
func (v *visit) soon() context.Context {
	ctx, cancel := context.WithTimeout(v.Context(), patience)
	v.Cleanup(cancel)
	return ctx
}

// socket is a client that is not connected.
func (v *visit) socket(url string, edits ...func(*client.Options)) *client.Socket {
	v.Helper()
	s, err := client.New(v.always(), url, v.options(edits...))
	if err != nil {
		v.Fatal(err)
	}
	v.Cleanup(func() { _ = s.Close() })
	return s
}

// dial is a client that is connected.
func (v *visit) dial(url string, edits ...func(*client.Options)) *client.Socket {
	v.Helper()
	s := v.socket(url, edits...)
	v.connect(s)
	return s
}

func (v *visit) manager(url string, edits ...func(*client.Options)) *client.Manager {
	v.Helper()
	m, err := client.NewManager(v.always(), url, v.options(edits...))
	if err != nil {
		v.Fatal(err)
	}
	v.Cleanup(func() { _ = m.Close() })
	return m
}

// of is a socket of m that is not connected.
func (v *visit) of(m *client.Manager, namespace string) *client.Socket {
	v.Helper()
	s, err := m.Socket(namespace, nil)
	if err != nil {
		v.Fatal(err)
	}
	return s
}

func (v *visit) connect(sockets ...*client.Socket) {
	v.Helper()
	for _, s := range sockets {
		if err := s.Connect(v.soon()); err != nil {
			v.Fatalf("connect to %s: %v", s.Namespace(), err)
		}
	}
}

// sender is a socket, or one with flags.
type sender interface {
	Emit(event string, args ...any) error
	EmitWithAck(ctx context.Context, event string, args ...any) (*client.Reply, error)
}

// ask emits an event that has to be answered, and returns the answer.
func (v *visit) ask(to sender, event string, args ...any) []any {
	v.Helper()
	reply, err := to.EmitWithAck(v.soon(), event, args...)
	if err != nil {
		v.Fatalf("ask %s: %v", event, err)
	}
	return values(reply)
}

// values are the arguments of an event or of an answer.
func values(from interface {
	NumArgs() int
	Decode(i int, v any) error
}) []any {
	list := make([]any, from.NumArgs())
	for i := range list {
		if err := from.Decode(i, &list[i]); err != nil {
			list[i] = err
		}
	}
	return list
}

func (v *visit) emit(to sender, event string, args ...any) {
	v.Helper()
	if err := to.Emit(event, args...); err != nil {
		v.Fatalf("emit %s: %v", event, err)
	}
}

// want compares what there is with what there should be.
func (v *visit) want(what string, got, want any) {
	v.Helper()
	if !reflect.DeepEqual(got, want) {
		v.Errorf("%s: %s, want %s", what, show(got), show(want))
	}
}

func show(x any) string {
	if text, err := json.Marshal(x); err == nil && len(text) < 500 {
		return string(text)
	}
	return "something else"
}

// list is a list of numbers as JSON has them.
func numbers(n int) []any {
	list := make([]any, n)
	for i := range list {
		list[i] = float64(i)
	}
	return list
}

// record is what happened, in order. It is safe for concurrent use.
type record struct {
	mu   sync.Mutex
	list []any
}

func (r *record) add(what any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, what)
}

func (r *record) all() []any {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]any{}, r.list...)
}

// count is how often what happened.
func (r *record) count(what any) (n int) {
	for _, x := range r.all() {
		if reflect.DeepEqual(x, what) {
			n++
		}
	}
	return n
}

// heard records the first argument of each event of that name, or all of them if there are several.
func (v *visit) heard(s *client.Socket, event string) *record {
	r := new(record)
	s.On(event, func(_ context.Context, e *client.Event) {
		if args := values(e); len(args) == 1 {
			r.add(args[0])
		} else {
			r.add(args)
		}
	})
	return r
}

// life records what becomes of a socket.
func (v *visit) life(s *client.Socket) *record {
	r := new(record)
	s.OnConnect(func() { r.add("connect") })
	s.OnDisconnect(func(reason client.Reason, _ error) { r.add("disconnect: " + string(reason)) })
	s.OnConnectError(func(error) { r.add("connect_error") })
	return r
}

// wait returns the record once it has n entries.
func (v *visit) wait(what string, r *record, n int) []any {
	v.Helper()
	eventually(v.T, what, func() bool { return len(r.all()) >= n })
	return r.all()
}

// until waits for a number of occurrences.
func (v *visit) until(r *record, what any, n int) {
	v.Helper()
	eventually(v.T, show(what), func() bool { return r.count(what) >= n })
}

// sever ends a socket's connection, lets none through, and waits until both sides know.
func (v *visit) sever(r relay, s *client.Socket, configuration string) {
	v.Helper()
	v.settled(s) // in the midst of an upgrade the server would have to wait for its heartbeat to find out
	left := len(v.noted(configuration, "left", 0))
	r.open(false)
	r.settle(v.T) // the next poll is on its way, so that the server notices
	r.cut()
	eventually(v.T, "the client notices", func() bool { return !s.Connected() })
	v.noted(configuration, "left", left+1)
}

// lose severs a connection; meanwhile is done, and then the way is open again.
func (v *visit) lose(r relay, s *client.Socket, configuration string, meanwhile func()) {
	v.Helper()
	v.sever(r, s, configuration)
	meanwhile()
	r.open(true)
	v.back(s)
}

// back waits until a socket is connected.
func (v *visit) back(sockets ...*client.Socket) {
	v.Helper()
	for _, s := range sockets {
		eventually(v.T, "connected again", s.Connected)
	}
}

package socketio

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// returner is a client that behaves like the official one when its connection is lost (C-14, C-18): events that come before the
// answer to CONNECT wait for it, and its offset is the last trailing string.
type returner struct {
	url       string
	id, pid   string
	offset    string
	buffer    [][]any        // what came before the answer
	heard     map[string]int // the next number of each sender
	fresh     int            // answers that were not recoveries
	strict    bool           // a fresh connection is a failure, except for the first
	exact     bool           // what came before an answer that did not come is dropped, and the server is told so
	abandoned []net.Conn     // half-open: the server is told nothing
}

// session lives through one connection and ends it after the given number of packets, or when done says so. With early it also
// counts packets that come before the answer to CONNECT.
func (r *returner) session(rng *rand.Rand, packets int, early bool, done func() bool) error {
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	if err != nil {
		return err
	}
	if rng.IntN(2) == 0 {
		defer conn.Close()
	} else {
		r.abandoned = append(r.abandoned, conn)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	in := bufio.NewReader(conn)
	if _, err := io.WriteString(conn, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"); err != nil {
		return err
	}
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("upgrade: %v, %w", resp, err)
	}
	if _, err := readFrame(in); err != nil { // open
		return err
	}
	auth := ""
	if r.exact {
		r.buffer = nil
	}
	if r.pid != "" {
		auth = fmt.Sprintf(`{"pid":%q,"exactOffset":%t}`, r.pid, r.exact)
		if r.offset != "" {
			auth = fmt.Sprintf(`{"pid":%q,"offset":%q,"exactOffset":%t}`, r.pid, r.offset, r.exact)
		}
	}
	if _, err := conn.Write(frames("0" + auth)); err != nil {
		return err
	}
	connected := false
	for packets > 0 && !(connected && done()) {
		m, err := readFrame(in)
		if err != nil {
			return fmt.Errorf("read: %w", err)
		}
		text, _ := m.(string)
		switch {
		case text == "2":
			_, _ = conn.Write(appendFrame(nil, 1, "3"))
		case strings.HasPrefix(text, "40"):
			var reply struct{ SID, PID string }
			if err := json.Unmarshal([]byte(text[2:]), &reply); err != nil {
				return err
			}
			recovered := r.pid == reply.PID
			if !recovered && r.pid != "" {
				r.fresh++
				if r.strict {
					return errors.New("not recovered")
				}
			}
			if recovered && r.id != reply.SID {
				return fmt.Errorf("recovered with the id %s, it was %s", reply.SID, r.id)
			}
			gap := !recovered
			r.id, r.pid = reply.SID, reply.PID
			connected = true
			buffer := r.buffer
			r.buffer = nil
			for _, e := range buffer {
				if err := r.event(e, gap); err != nil {
					return fmt.Errorf("missed: %w", err)
				}
			}
			if gap {
				r.heard = map[string]int{}
			}
			packets--
		case strings.HasPrefix(text, "42"):
			var e []any
			if err := json.Unmarshal([]byte(text[2:]), &e); err != nil {
				return err
			}
			if connected {
				err = r.event(e, false)
				packets--
			} else {
				r.buffer = append(r.buffer, e)
				if early {
					packets--
				}
			}
			if err != nil {
				return err
			}
		default:
			return fmt.Errorf("got %q", text)
		}
	}
	return nil
}

// event checks that the number is the next one of its sender. After a gap any greater one is.
func (r *returner) event(e []any, gap bool) error {
	if offset, ok := e[len(e)-1].(string); ok {
		r.offset = offset
	}
	if e[0] == "noise" {
		return nil
	}
	sender, n := e[0].(string), int(e[1].(float64))
	next, known := r.heard[sender]
	if known && (n < next || n > next && !gap) || !known && n != 0 && r.fresh == 0 {
		return fmt.Errorf("%s: got number %d, want %d (gap: %t)", sender, n, next, gap)
	}
	r.heard[sender] = n + 1
	return nil
}

func (r *returner) has(senders []string, last int) bool {
	for _, s := range senders {
		if r.heard[s] <= last {
			return false
		}
	}
	return true
}

// S-77, S-78, engine rule 7: clients drop at random and come back, some before the server has noticed, while several goroutines
// emit to everybody, to a room and to the single sockets. None of the events is lost, none doubled, none out of order. Half of the
// clients drop even while they get what they missed; they can, because their offset is exact.
func TestRecoveryLosesNothing(t *testing.T) {
	t.Parallel()
	const clients, last = 12, 600
	h := serve(t, Options{Recovery: &Recovery{}})
	ns := h.Of("/")
	var waiting sync.WaitGroup
	waiting.Add(clients)
	var once [clients]sync.Once
	ids := make(chan string, clients)
	ns.OnConnection(func(_ context.Context, s *Socket) error {
		if s.Recovered() {
			return nil
		}
		ids <- s.ID()
		return s.Join("room")
	})
	start := make(chan struct{})
	var running sync.WaitGroup
	pace := func(i int) {
		if i%8 == 0 {
			<-time.After(time.Millisecond)
		}
	}
	send := func(emit func(i int) error) {
		running.Go(func() {
			<-start
			for i := range last + 1 {
				if err := emit(i); err != nil {
					t.Errorf("emit: %v", err)
				}
				pace(i)
			}
		})
	}
	send(func(i int) error { return ns.Emit("all", i) })
	send(func(i int) error { return ns.To("room", "empty").Except("nobody").Emit("room", i, "text") })
	send(func(i int) error { return ns.Volatile().Emit("noise", "a string") })
	send(func(i int) error { return ns.Volatile().Emit("noise") })
	send(func(i int) error { return ns.To("elsewhere").Emit("elsewhere", i) })
	running.Go(func() {
		var sockets []string
		for range clients {
			sockets = append(sockets, <-ids)
		}
		waiting.Wait()
		close(start)
		for i := range last + 1 {
			for _, id := range sockets {
				if s, ok := ns.Socket(id); ok && i%2 == 0 && s.Emit("own", i) == nil {
					continue // it says so if it is not stored
				}
				if err := ns.To(id).Emit("own", i); err != nil {
					t.Error(err)
				}
			}
			pace(i)
		}
	})
	for c := range clients {
		running.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(c)))
			r := &returner{url: h.url, heard: map[string]int{}, strict: true, exact: c%2 == 0}
			senders := []string{"all", "room", "own"}
			sessions := 0
			for !r.has(senders, last) {
				done := func() bool {
					once[c].Do(waiting.Done)
					return r.has(senders, last)
				}
				if err := r.session(rng, 1+rng.IntN(200), r.exact && rng.IntN(3) == 0, done); err != nil {
					t.Errorf("client %d, session %d: %v", c, sessions, err)
					once[c].Do(waiting.Done)
					return
				}
				sessions++
			}
			for _, conn := range r.abandoned {
				_ = conn.Close()
			}
		})
	}
	running.Wait()
	if got := ns.Len(); got > clients {
		t.Errorf("%d sockets of %d clients", got, clients)
	}
}

// A client that is lost again while it gets what it missed holds an unknown part of it: it is given a fresh connection rather
// than a part of it twice.
func TestRecoveryCutWhileReplaying(t *testing.T) {
	t.Parallel()
	const last = 3000
	h := serve(t, Options{Recovery: &Recovery{}})
	ns := h.Of("/")
	var running sync.WaitGroup
	ready := make(chan struct{})
	running.Go(func() {
		<-ready
		for i := range last + 1 {
			if err := ns.Emit("all", i); err != nil {
				t.Error(err)
			}
			if i%4 == 0 {
				<-time.After(time.Millisecond)
			}
		}
	})
	running.Go(func() {
		rng := rand.New(rand.NewPCG(1, 2))
		r := &returner{url: h.url, heard: map[string]int{}}
		var once sync.Once
		for !r.has([]string{"all"}, last) {
			done := func() bool {
				once.Do(func() { close(ready) })
				return r.has([]string{"all"}, last)
			}
			if err := r.session(rng, 1+rng.IntN(100), rng.IntN(3) == 0, done); err != nil {
				t.Error(err)
				once.Do(func() { close(ready) })
				return
			}
		}
		if r.fresh == 0 {
			t.Error("it was never cut while it got what it had missed")
		}
		for _, conn := range r.abandoned {
			_ = conn.Close()
		}
	})
	running.Wait()
}

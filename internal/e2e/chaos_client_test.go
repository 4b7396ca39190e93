package e2e

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/perch-go/perch/client"
)

// talker is one client. What its handlers write belongs to them until ended is closed.
type talker struct {
	number     int
	transports string
	socket     *client.Socket
	wrong      *problems
	line       *ledgerLine // to say what was acknowledged

	sent    int // posts, all of them acknowledged when talk has returned
	relayed int // the next number of the neighbour's
	ticked  int
	ended   chan struct{} // closed when the last event has come
	reasons map[client.Reason]uint64
}

// newTalker makes a client that is not connected yet. A third of them stays on polling, a third on WebSocket, the others upgrade.
func newTalker(ctx context.Context, t *testing.T, number int, url string, x *exchange) *talker {
	t.Helper()
	p := &talker{number: number, wrong: x.wrong, line: x.lines[number], ended: make(chan struct{}), reasons: map[client.Reason]uint64{}}
	o := client.Options{
		Auth: map[string]int{"number": number},
		// An acknowledgement is late only where it is lost with its connection.
		Retries: -1, AckTimeout: chaosPatience / 2,
		// Reconnection is quick, as there is much to be tried in a minute, and a handshake that gets no answer is given up soon.
		ReconnectionDelay: 50 * time.Millisecond, ReconnectionDelayMax: 500 * time.Millisecond, Timeout: 3 * time.Second,
		Logger: slog.New(&alarm{wrong: x.wrong}),
	}
	switch number % 3 {
	case 0:
		p.transports, o.Transports = "polling", []client.Transport{client.Polling}
	case 1:
		p.transports, o.Transports = "websocket", []client.Transport{client.WebSocket}
	default:
		p.transports = "upgrade"
	}
	var err error
	if p.socket, err = client.New(ctx, url, o); err != nil {
		t.Fatal(err)
	}
	from := (number + crowd - 1) % crowd
	p.socket.On("relay", func(_ context.Context, e *client.Event) {
		var got post
		if err := e.Decode(0, &got); err != nil || !got.equal(newPost(from, p.relayed)) {
			p.wrong.add("client %d (%s): got %s, %v, want number %d of %d", number, p.transports, e.Raw(0), err, p.relayed, from)
		}
		p.relayed = got.Seq + 1
	})
	p.socket.On("tick", func(_ context.Context, e *client.Event) {
		var got int
		if err := e.Decode(0, &got); err != nil || got != p.ticked {
			p.wrong.add("client %d (%s): got tick %s, %v, want %d", number, p.transports, e.Raw(0), err, p.ticked)
		}
		p.ticked = got + 1
	})
	p.socket.On("end", func(context.Context, *client.Event) { close(p.ended) })
	p.socket.OnDisconnect(func(r client.Reason, _ error) { p.reasons[r]++ })
	p.socket.OnConnectError(func(err error) {
		if refused, ok := errors.AsType[*client.ConnectError](err); ok {
			p.wrong.add("client %d: %v", number, refused)
		}
	})
	return p
}

// talk posts until storm has ended, some at a time: with retries they leave one after the other, so that the acknowledgement of the
// last one is that of all.
func (p *talker) talk(storm, ctx context.Context, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, uint64(p.number)))
	for {
		select {
		case <-storm.Done():
			return
		case <-time.After(time.Duration(rng.Int64N(int64(time.Second)))):
		}
		for range rng.IntN(3) {
			if err := p.socket.Emit("post", newPost(p.number, p.sent)); err != nil {
				p.wrong.add("client %d: Emit: %v", p.number, err)
			}
			p.sent++
		}
		reply, err := p.socket.EmitWithAck(ctx, "post", newPost(p.number, p.sent))
		if err != nil {
			p.wrong.add("client %d: post %d: %v", p.number, p.sent, err)
			return
		}
		var seq int
		if err := reply.Decode(0, &seq); err != nil || seq != p.sent {
			p.wrong.add("client %d: post %d was acknowledged with %s, %v", p.number, p.sent, reply.Raw(0), err)
		}
		p.sent++
		p.line.acked.Store(int64(p.sent))
	}
}

// check compares the ends of what was sent in both directions.
func (p *talker) check(sum chaosSum) {
	if sum.posts[p.number] != p.sent {
		p.wrong.add("client %d (%s): %d posts were sent and acknowledged, %d handled", p.number, p.transports, p.sent, sum.posts[p.number])
	}
	select {
	case <-p.ended:
	default:
		return // which was told
	}
	from := (p.number + crowd - 1) % crowd
	if p.relayed != sum.posts[from] {
		p.wrong.add("client %d (%s): got %d of the %d posts of %d", p.number, p.transports, p.relayed, sum.posts[from], from)
	}
	if p.ticked != sum.ticks {
		p.wrong.add("client %d (%s): got %d ticks of %d", p.number, p.transports, p.ticked, sum.ticks)
	}
}

// reasons adds up why connections were lost.
func reasons(peers []*talker) map[client.Reason]uint64 {
	all := map[client.Reason]uint64{}
	for _, p := range peers {
		for r, n := range p.reasons {
			all[r] += n
		}
	}
	return all
}

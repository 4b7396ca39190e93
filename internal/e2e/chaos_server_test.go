package e2e

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio"
)

// post is a message of one client's sequence.
type post struct {
	From int    `json:"from"`
	Seq  int    `json:"seq"`
	Blob []byte `json:"blob,omitempty"`
}

// newPost has bytes in every fifth message.
func newPost(from, seq int) post {
	p := post{From: from, Seq: seq}
	if seq%5 == 0 {
		p.Blob = fmt.Appendf(nil, "\x00%d/%d", from, seq)
	}
	return p
}

func (p post) equal(to post) bool {
	return p.From == to.From && p.Seq == to.Seq && bytes.Equal(p.Blob, to.Blob)
}

func roomOf(number int) string { return fmt.Sprint("client ", number) }

// exchange is the server: what a client posts is passed on to its neighbour.
type exchange struct {
	server *socketio.Server
	web    *httptest.Server
	wrong  *problems
	t      *testing.T
	lines  []*ledgerLine // by client
	ticks  int

	recoveries, fresh atomic.Uint64
}

// ledgerLine is what the server has seen of one client.
type ledgerLine struct {
	acked   atomic.Int64 // up to here the client has the acknowledgements; it says so itself
	mu      sync.Mutex
	arrived uint64 // events, before perch.Once
	last    int    // the last sequence number of those…
	session string // …and the session it came on
	handled int    // events, behind it; the next sequence number
	joined  int    // connections
}

// The heartbeat finds out about half-open connections in three seconds, and lets a busy machine be late by two. What can be
// recovered is bounded so that it is enough for any client: none is away for much more than ten seconds, unless it has bad luck
// many times in a row.
var (
	chaosEngine   = engineio.Options{PingInterval: time.Second, PingTimeout: 2 * time.Second, UpgradeTimeout: 2 * time.Second}
	chaosRecovery = socketio.Recovery{MaxDisconnection: 2 * time.Minute, MaxPackets: 1 << 20, MaxBytes: 512 << 20}
)

func openExchange(t *testing.T, wrong *problems, clients int) *exchange {
	t.Helper()
	server, err := socketio.New(socketio.Options{
		Engine: chaosEngine, Recovery: &chaosRecovery, Logger: slog.New(&alarm{wrong: wrong}),
	})
	if err != nil {
		t.Fatal(err)
	}
	x := &exchange{server: server, wrong: wrong, t: t}
	for range clients {
		x.lines = append(x.lines, &ledgerLine{last: -1})
	}
	// Long enough for what is sent again at once or after some seconds.
	once := perch.Once(perch.OnceOptions{MaxKeys: 100 * clients},
		func(_ context.Context, p post) string { return fmt.Sprint(p.From, "/", p.Seq) }, x.pass)

	root := server.Of("/")
	root.OnConnection(x.connected)
	root.Handle("post", func(ctx context.Context, e *socketio.Event) {
		var p post
		if err := e.Decode(0, &p); err != nil || !p.equal(newPost(p.From, p.Seq)) {
			wrong.add("a post arrived as %s: %v", e.Raw(0), err)
			return
		}
		x.arrived(p, e.Socket().Conn().ID())
		seq, err := once(ctx, p)
		if err != nil {
			wrong.add("post %d/%d: %v", p.From, p.Seq, err)
		}
		_ = e.Ack(seq) // whoever asked may be gone
	})
	x.web = httptest.NewServer(server)
	return x
}

// connected counts those who are recovered: after the first time everybody is.
func (x *exchange) connected(_ context.Context, s *socketio.Socket) error {
	var auth struct{ Number int }
	if err := s.Handshake().DecodeAuth(&auth); err != nil {
		return err
	}
	line := x.lines[auth.Number]
	line.mu.Lock()
	defer line.mu.Unlock()
	line.joined++
	switch {
	case s.Recovered():
		x.recoveries.Add(1)
		return nil
	case line.joined > 1:
		x.fresh.Add(1)
		x.wrong.add("client %d was not recovered but connected afresh, with %s", auth.Number, s.Handshake().RawAuth())
	}
	return s.Join(roomOf(auth.Number))
}

// arrived looks at what comes from the network.
func (x *exchange) arrived(p post, session string) {
	line := x.lines[p.From]
	line.mu.Lock()
	defer line.mu.Unlock()
	switch {
	case p.Seq != line.last && p.Seq != line.last+1:
		x.wrong.add("client %d: post %d arrived after %d", p.From, p.Seq, line.last)
	case p.Seq == line.last && session == line.session:
		x.wrong.add("client %d: post %d arrived twice on one session, whose acknowledgements are not lost", p.From, p.Seq)
	case int64(p.Seq) < line.acked.Load():
		x.wrong.add("client %d: post %d was sent again though its acknowledgement had come", p.From, p.Seq)
	}
	line.arrived++
	line.last, line.session = p.Seq, session
}

// pass is the handler behind perch.Once.
func (x *exchange) pass(_ context.Context, p post) (int, error) {
	line := x.lines[p.From]
	line.mu.Lock()
	defer line.mu.Unlock()
	if p.Seq != line.handled {
		x.wrong.add("client %d: post %d was handled in the place of %d", p.From, p.Seq, line.handled)
	}
	line.handled = p.Seq + 1
	return p.Seq, x.server.To(roomOf((p.From+1)%len(x.lines))).Emit("relay", p)
}

// tick sends a sequence to everybody.
func (x *exchange) tick(ctx context.Context) {
	clock := time.NewTicker(250 * time.Millisecond)
	defer clock.Stop()
	for ; ctx.Err() == nil; x.ticks++ {
		if err := x.server.Of("/").Emit("tick", x.ticks); err != nil {
			x.wrong.add("tick: %v", err)
		}
		select {
		case <-clock.C:
		case <-ctx.Done():
		}
	}
}

// end is the last that everybody gets.
func (x *exchange) end() {
	if err := x.server.Of("/").Emit("end"); err != nil {
		x.wrong.add("end: %v", err)
	}
}

func (x *exchange) close() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	if err := x.server.Shutdown(ctx); err != nil {
		x.t.Errorf("shutdown: %v", err)
	}
	x.web.Close()
}

// chaosSum is what the server has seen.
type chaosSum struct {
	arrived, handled  uint64
	recoveries, fresh uint64
	ticks             int
	posts             []int // handled, by client
}

func (x *exchange) sum() chaosSum {
	s := chaosSum{recoveries: x.recoveries.Load(), fresh: x.fresh.Load(), ticks: x.ticks}
	for _, line := range x.lines {
		line.mu.Lock()
		s.arrived += line.arrived
		s.handled += uint64(line.handled)
		s.posts = append(s.posts, line.handled)
		line.mu.Unlock()
	}
	return s
}

// alarm is a logger that has nothing to say as long as nothing is wrong.
type alarm struct {
	slog.Handler
	wrong *problems
}

func (a *alarm) Enabled(context.Context, slog.Level) bool { return true }

func (a *alarm) Handle(_ context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn && !strings.Contains(r.Message, "not recovered") {
		return nil
	}
	line := r.Message
	r.Attrs(func(attr slog.Attr) bool {
		line += " " + attr.String()
		return true
	})
	a.wrong.add("log: %s", line)
	return nil
}

func (a *alarm) WithAttrs([]slog.Attr) slog.Handler { return a }
func (a *alarm) WithGroup(string) slog.Handler      { return a }

package engineio

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/internal/stream"
	"github.com/perch-go/perch/internal/wheel"
	"github.com/perch-go/perch/internal/wsframe"
)

// quietAfter decides which connections are parked (engine rule 13): the server's poller watches them, and what
// comes is handled on a goroutine that then ends. That costs about as much as a goroutine that waits, but
// not quite as little, so a connection that was taken up twice within this time keeps its goroutine until
// it has been quiet for so long. A new one is given less time: many only ever listen.
const quietAfter = 500 * time.Millisecond

// patience is how many sweeps there are in that time.
const patience = 4

// readers are the connections that keep a goroutine and could be parked. One timer finds the quiet ones among
// them, so that a message costs its reader no more than a look at a counter.
type readers struct {
	after    time.Duration // quietAfter
	sweeping atomic.Bool   // a sweep is scheduled
	timer    wheel.Timer
	shards   [16]struct {
		mu      sync.Mutex
		sockets []*webSocket
		_       [32]byte // a cache line each
	}
}

// readerDone is the activity of a reader that has ended. Any other is how many sweeps it may still be quiet.
const readerDone = ^uint32(0)

// watch lets the sweeps look at ws, until one finds it quiet.
func (s *Server) watch(ws *webSocket) {
	ws.activity.Store(uint32(ws.patience))
	shard := &s.readers.shards[s.sessions.shard(ws.session.id)%len(s.readers.shards)]
	shard.mu.Lock()
	shard.sockets = append(shard.sockets, ws)
	shard.mu.Unlock()
	s.scheduleSweep()
}

func (s *Server) scheduleSweep() {
	if s.readers.sweeping.CompareAndSwap(false, true) {
		s.wheel.Schedule(&s.readers.timer, s.readers.after/patience, func() { s.goroutines.run(s.sweep) })
	}
}

// sweep interrupts the readers that have been quiet for long enough. That makes them park.
func (s *Server) sweep() {
	s.readers.sweeping.Store(false) // first, so that whom we miss is not forgotten
	var quiet []*webSocket
	left := 0
	for i := range s.readers.shards {
		shard := &s.readers.shards[i]
		shard.mu.Lock()
		kept := shard.sockets[:0]
		for _, ws := range shard.sockets {
			switch a := ws.activity.Load(); a {
			case readerDone:
			case 0:
				quiet = append(quiet, ws)
			default:
				ws.activity.CompareAndSwap(a, a-1)
				kept = append(kept, ws)
			}
		}
		clear(shard.sockets[len(kept):])
		if shard.sockets = kept; len(kept) == 0 {
			shard.sockets = nil
		}
		left += len(kept)
		shard.mu.Unlock()
	}
	if left > 0 {
		s.scheduleSweep()
	}
	for _, ws := range quiet {
		_ = ws.conn.Interrupt()
	}
}

// beWatched is called by the reader before it waits.
func (ws *webSocket) beWatched() {
	if ws.watched || ws.trial != nil {
		return
	}
	ws.watched = true
	if _, ok := ws.conn.(stream.Parkable); ok {
		ws.session.server.watch(ws)
	}
}

// stir tells the sweeps that the reader has something to do.
func (ws *webSocket) stir() {
	if p := uint32(ws.patience); ws.activity.Load() < p {
		ws.activity.Store(p)
	}
	if ws.patience < patience {
		ws.patience++
	}
}

// park gives the connection to the poller, if it can be parked, and reports whether that took it. If so, the
// caller is its reader no more and must not touch ws: somebody else may be it already.
func (ws *webSocket) park() bool {
	c, ok := ws.conn.(stream.Parkable)
	if !ok {
		return false
	}
	ws.dropFrames()
	ws.watched = false // until it keeps a goroutine again
	if c.Park(ws) == nil {
		return true
	}
	ws.watched = true // closed, or there are no descriptors or watches left: that is not tried again
	return false
}

// Readable is the reader's turn on the poller's goroutine. The pong of a client that is quiet otherwise, which comes
// with every heartbeat, is not worth a goroutine; everything else is. Nobody has to wake a parked reader whose
// session ends: what its goroutine would do then, to hear of that and to end, is not to be done.
func (ws *webSocket) Readable() {
	s := ws.session
	ws.startReading()
	buf, err := stream.TryRead(ws.conn)
	switch {
	case err == nil && ws.beats(buf.Bytes()):
		buf.Release()
		s.pong()
	case !errors.Is(err, stream.ErrWouldBlock):
		s.server.goroutines.run(func() { ws.resume(buf, err) })
		return
	}
	ws.stopReading()
	if !ws.park() {
		ws.startReading()
		s.server.goroutines.run(ws.read)
	}
}

// beats reports whether data, which is all that came, is the answer to a ping of ours.
func (ws *webSocket) beats(data []byte) bool {
	switch s := ws.session; {
	case ws.frames != nil:
		return false // in the middle of something else
	case s.plain:
		return wsframe.IsFrame(data, wsframe.Pong, "")
	case s.v3 == nil:
		return wsframe.IsFrame(data, wsframe.Text, string(packetPong))
	}
	return false
}

// resume takes a parked connection up with what the poller got when it read.
func (ws *webSocket) resume(buf *stream.Buffer, err error) {
	if err != nil {
		ws.lost(err)
		return
	}
	goOn := ws.handle(buf.Bytes())
	buf.Release()
	if !goOn {
		ws.discard()
		return
	}
	if !ws.busy() {
		ws.stopReading()
		if ws.park() {
			return
		}
		ws.startReading()
	}
	ws.patience = patience
	ws.read()
}

var epoch = time.Now()

// sinceEpoch is in milliseconds.
func sinceEpoch() uint32 { return uint32(time.Since(epoch) / time.Millisecond) }

// busy reports whether the connection was taken up not long ago as well.
func (ws *webSocket) busy() bool {
	now := sinceEpoch()
	last := ws.woken
	ws.woken = now
	return time.Duration(now-last)*time.Millisecond < ws.session.server.readers.after
}

// maxProbe is the largest message of a connection that is not its session's transport yet: there is nothing to say but "2probe".
const maxProbe = 128

var frameReaders = sync.Pool{New: func() any { return new(wsframe.Reader) }}

// takeFrames gives the reader what it keeps of a message that comes in pieces.
func (ws *webSocket) takeFrames() {
	ws.frames = frameReaders.Get().(*wsframe.Reader)
	o := &ws.session.server.opts
	ws.frames.Limit, ws.frames.Fragments, ws.frames.Deflated = o.MaxPayload, o.Limits.Fragments, ws.deflates
	if ws.trial != nil {
		ws.frames.Limit = min(maxProbe, o.MaxPayload)
	}
}

// dropFrames gives it back unless there is something to keep.
func (ws *webSocket) dropFrames() {
	if ws.frames != nil && ws.frames.Idle() {
		ws.frames.Reset()
		frameReaders.Put(ws.frames)
		ws.frames = nil
	}
}

package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"sync"
	"time"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/plainws"
	"github.com/perch-go/perch/socketio"
)

// The times and bounds of the profile soak: clients that say nothing more are given up in 15 seconds, and those that read nothing
// reach their bound, so that a run of a minute has all of that.
const (
	soakPingInterval   = 5 * time.Second
	soakPingTimeout    = 10 * time.Second
	soakConnectTimeout = 10 * time.Second
	soakUpgradeTimeout = 10 * time.Second
	soakRecovery       = time.Second
	soakMaxPayload     = 100_000
	soakOutboundBytes  = 256 << 10

	soakRooms = 100
	soakNews  = 20 * time.Millisecond // from one event to a room to the next, to another room
)

// soakServer is what internal/e2e/soak visits: Socket.IO at /socket.io/ with clients of protocol 3 and recovery, and plain WebSocket
// at /ws. Its events:
//
//	join  takes the number of a room, 0 to 99, has the socket join it, and acks with the number of the room's last news
//	at    takes that number too and acks with the same
//	post  acks with how many of them the socket has sent, this one included
//	flood takes {n, size} and emits "flood" so many times with so many bytes
//
// Each room gets "news" every two seconds, which are numbers. GET /stats is what there is and what the process uses, memory after a
// collection.
type soakServer struct {
	*socketio.Server
	rooms [soakRooms]soakRoom
}

// soakRoom has its lock held while news are sent, so that who is told a number has got all news up to it and none of those after.
type soakRoom struct {
	mu   sync.Mutex
	last uint64
}

var posts = socketio.NewKey[*uint64]("posts")

func soak() (*profile, error) {
	srv, err := socketio.New(socketio.Options{
		Engine: engineio.Options{
			PingInterval: soakPingInterval, PingTimeout: soakPingTimeout, UpgradeTimeout: soakUpgradeTimeout,
			MaxPayload: soakMaxPayload, OutboundBytes: soakOutboundBytes, AllowEIO3: true,
		},
		ConnectTimeout: soakConnectTimeout,
		Recovery:       &socketio.Recovery{MaxDisconnection: soakRecovery},
	})
	if err != nil {
		return nil, err
	}
	plain, err := plainws.At("/ws").Handler(srv, func(*http.Request) string { return "/" })
	if err != nil {
		return nil, err
	}
	s := &soakServer{Server: srv}
	root := srv.Of("/")
	root.OnConnection(func(_ context.Context, socket *socketio.Socket) error {
		posts.Set(socket, new(uint64))
		return nil
	})
	root.Handle("join", func(_ context.Context, e *socketio.Event) { s.room(e, e.Socket().Join) })
	root.Handle("at", func(_ context.Context, e *socketio.Event) { s.room(e, nil) })
	root.Handle("post", func(_ context.Context, e *socketio.Event) {
		n := posts.Value(e.Socket()) // its handlers run one at a time
		*n++
		_ = e.Ack(*n)
	})
	root.Handle("flood", flood)

	ctx, cancel := context.WithCancel(context.Background())
	var news sync.WaitGroup
	news.Go(func() { s.publish(ctx) })
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", srv)
	mux.Handle("/ws", plain)
	mux.HandleFunc("GET /stats", s.stats)
	return &profile{mux, func(ctx context.Context) error {
		cancel()
		news.Wait()
		return srv.Shutdown(ctx)
	}}, nil
}

func roomName(number int) string { return fmt.Sprint("room ", number) }

// room acks with the number of a room's last news, after joining it.
func (s *soakServer) room(e *socketio.Event, join func(...string) error) {
	var number int
	if e.Decode(0, &number) != nil || number < 0 || number >= soakRooms {
		return
	}
	r := &s.rooms[number]
	r.mu.Lock()
	last := r.last
	if join != nil {
		_ = join(roomName(number)) // who has left gets nothing
	}
	r.mu.Unlock()
	_ = e.Ack(last)
}

func (s *soakServer) publish(ctx context.Context) {
	tick := time.NewTicker(soakNews)
	defer tick.Stop()
	for number := 0; ; number = (number + 1) % soakRooms {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		if s.Of("/").Len() == 0 {
			continue // or recovery would have a goroutine now and then that forgets news, however few
		}
		r := &s.rooms[number]
		r.mu.Lock()
		r.last++
		_ = s.Of("/").To(roomName(number)).Emit("news", r.last)
		r.mu.Unlock()
	}
}

// flood sends what nobody may ask for but here, where it is for those who do not read.
func flood(_ context.Context, e *socketio.Event) {
	var asked struct{ N, Size int }
	if e.Decode(0, &asked) != nil || asked.N > 10_000 || asked.Size < 0 || asked.Size > soakMaxPayload {
		return
	}
	text := strings.Repeat("x", asked.Size)
	for range asked.N {
		if e.Socket().Emit("flood", text) != nil {
			return
		}
	}
}

// stats answers with what is there and used after a collection.
func (s *soakServer) stats(w http.ResponseWriter, r *http.Request) {
	runtime.GC()
	if r.URL.Query().Has("free") { // twice, as pools keep what is free through one; and what is free given back
		runtime.GC()
		debug.FreeOSMemory()
	}
	live := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(live)
	engine := s.Engine().Stats()
	figures := map[string]uint64{
		"sockets":    uint64(s.Of("/").Len()),
		"sessions":   uint64(engine.Sessions),
		"opened":     engine.Opened,
		"refused":    engine.Refused,
		"upgrades":   engine.Upgrades,
		"half":       engine.UpgradesFailed,
		"goroutines": uint64(runtime.NumGoroutine()),
		"heap":       live[0].Value.Uint64(),
		"resident":   resident(),
		"files":      files(),
	}
	for reason, n := range engine.Closed {
		figures["closed: "+string(reason)] = n
	}
	answer(w, figures)
}

// resident is the process's memory in bytes, 0 where that is not known.
func resident() uint64 {
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			var kilobytes uint64
			_, _ = fmt.Sscan(value, &kilobytes)
			return kilobytes << 10
		}
	}
	return 0
}

// files are its open descriptors but the one that looks, 0 where that is not known.
func files() uint64 {
	all, _ := os.ReadDir("/proc/self/fd")
	return uint64(max(len(all)-1, 0))
}

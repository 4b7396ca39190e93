package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/perch-go/perch"
	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/plainws"
	"github.com/perch-go/perch/socketio"
)

// engine is Engine.IO alone at /engine.io/. It sends back every message as it came,
// text as text and binary as binary.
func engine() (*profile, error) {
	srv, err := engineio.New(engineio.Options{
		PingInterval: pingInterval,
		PingTimeout:  pingTimeout,
		MaxPayload:   1_000_000,
	}, func(s *engineio.Session) engineio.Handler { return echo{s} })
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/engine.io/", srv)
	return &profile{mux, srv.Shutdown}, nil
}

// echo is a session that sends back what it gets.
type echo struct{ session *engineio.Session }

// HandleMessage copies data, which is the engine's again when it returns. A message
// to a session that has closed, or does not keep up, is nobody's loss here.
func (e echo) HandleMessage(data []byte, binary bool) {
	if !binary {
		_ = e.session.SendText(data)
		return
	}
	var m engineio.Message
	m.AppendBinary(data)
	_ = e.session.Send(&m)
}

func (echo) HandleClose(engineio.Reason, error) {}

// protocol is Socket.IO at /socket.io/ with the namespaces / and /custom. Both emit
// "auth" with the handshake's auth on connection; / sends back "message" as
// "message-back" and acks "message-with-ack", each with the arguments it came with.
func protocol() (*profile, error) {
	srv, err := socketio.New(socketio.Options{
		Engine: engineio.Options{
			PingInterval: pingInterval,
			PingTimeout:  pingTimeout,
			MaxPayload:   1_000_000,
			CORS:         &engineio.CORS{Origins: []string{"*"}},
		},
		ConnectTimeout: time.Second,
	})
	if err != nil {
		return nil, err
	}
	root := srv.Of("/")
	root.OnConnection(emitAuth)
	root.Handle("message", func(_ context.Context, e *socketio.Event) {
		if args, err := arguments(e); err == nil {
			_ = e.Socket().Emit("message-back", args...)
		}
	})
	root.Handle("message-with-ack", func(_ context.Context, e *socketio.Event) {
		if args, err := arguments(e); err == nil {
			_ = e.Ack(args...)
		}
	})
	srv.Of("/custom").OnConnection(emitAuth)
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", srv)
	return &profile{mux, srv.Shutdown}, nil
}

func emitAuth(_ context.Context, s *socketio.Socket) error {
	auth := map[string]any{} // what a client without auth has
	if len(s.Handshake().RawAuth()) > 0 {
		if err := s.Handshake().DecodeAuth(&auth); err != nil {
			return err
		}
	}
	return s.Emit("auth", auth)
}

// arguments are an event's, attachments as []byte in their places.
func arguments(e *socketio.Event) ([]any, error) {
	args := make([]any, e.NumArgs())
	for i := range args {
		if err := e.Decode(i, &args[i]); err != nil {
			return nil, err
		}
	}
	return args, nil
}

// bench is what the load generator measures: a perch gateway with typed handlers, all
// defaults, at /socket.io/ and on plain WebSocket at /ws, GET /gc, and GET /stats with the
// number of sockets. With profiles there is /debug/pprof/ too, and its profiles mutex and
// block are recorded, in block a sample of what waits for less than 10 µs.
func bench(o options) (*profile, error) {
	gateway := &benchGateway{}
	app, err := perch.New(perch.WithGateways(gateway), perch.WithEngine(perch.EngineOptions{OutboundBytes: o.outbound}))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /gc", collect)
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]uint64{"sockets": uint64(gateway.Server().Len())})
	})
	if o.profiles {
		runtime.SetMutexProfileFraction(1)
		runtime.SetBlockProfileRate(int(10 * time.Microsecond))
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	}
	app.Mount(mux)
	if err := app.Start(context.Background()); err != nil {
		return nil, err
	}
	return &profile{mux, app.Shutdown}, nil
}

type benchGateway struct{ perch.Base }

func (g *benchGateway) Options() perch.Options {
	return perch.Options{Platforms: []perch.Platform{perch.SocketIO(), plainws.At("/ws")}}
}

func (g *benchGateway) Register(r *perch.Router) {
	perch.On(r, "echo", g.Echo)
	perch.OnEvent(r, "bcast", g.Bcast)
	perch.On(r, "join", g.Join)
	perch.OnEvent(r, "room", g.Room)
}

// Echo acks with its argument.
func (g *benchGateway) Echo(_ context.Context, s string) (string, error) { return s, nil }

// Bcast sends its argument to every socket.
func (g *benchGateway) Bcast(_ context.Context, s string) error { return g.Server().Emit("bcast", s) }

// Join has the socket join the room of that name, and acks with it.
func (g *benchGateway) Join(ctx context.Context, room string) (string, error) {
	return room, perch.SocketFrom(ctx).Join(room)
}

// Room sends its argument to the room of that name.
func (g *benchGateway) Room(_ context.Context, room string) error {
	return g.Server().To(room).Emit("bcast", room)
}

// collect answers with the memory in use after two collections, what is free given
// back to the system.
func collect(w http.ResponseWriter, _ *http.Request) {
	runtime.GC()
	runtime.GC()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	answer(w, map[string]uint64{
		"heap_alloc":  m.HeapAlloc,
		"heap_inuse":  m.HeapInuse,
		"stack_inuse": m.StackInuse,
		"sys":         m.Sys,
		"goroutines":  uint64(runtime.NumGoroutine()),
	})
}

func answer(w http.ResponseWriter, figures map[string]uint64) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(figures)
}

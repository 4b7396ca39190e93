package e2e

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/perch-go/perch/client"
)

// gate stops the client's writes to the network, in the midst of them, while it is shut.
type gate struct {
	mu   sync.Mutex
	open chan struct{} // nil: it is open
}

func (g *gate) shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open = make(chan struct{})
}

func (g *gate) lift() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.open != nil {
		close(g.open)
		g.open = nil
	}
}

type gatedConn struct {
	net.Conn
	gate *gate
}

func (c gatedConn) Write(b []byte) (int, error) {
	c.gate.mu.Lock()
	open := c.gate.open
	c.gate.mu.Unlock()
	if open != nil {
		<-open
	}
	return c.Conn.Write(b)
}

// gated makes the client's connections go through a gate.
func (v *visit) gated() (*gate, func(*client.Options)) {
	g := new(gate)
	v.Cleanup(g.lift)
	return g, func(o *client.Options) {
		o.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return gatedConn{conn, g}, nil
		}
	}
}

// bufferCases: what is emitted while it cannot be sent.
var bufferCases = []goCase{
	{"buffer: what is emitted before connecting follows in order (C-14)", func(v *visit) {
		s := v.socket(v.at("plain"))
		echoes := v.heard(s, "echo")
		for i := range 20 {
			v.emit(s, "echo", i)
		}
		packets, bytes := s.Buffered()
		if packets != 20 || bytes <= 0 {
			v.Errorf("%d packets, %d bytes are buffered", packets, bytes)
		}
		v.connect(s)
		v.emit(s, "echo", 20)
		v.want("order", v.wait("echoes", echoes, 21), numbers(21))
		packets, bytes = s.Buffered()
		v.want("buffered", []int{packets, bytes}, []int{0, 0})
	}},
	{"buffer: what is emitted while it is away follows in order (C-14)", func(v *visit) {
		r, url := v.through("steady")
		s := v.dial(url)
		echoes := v.heard(s, "echo")
		v.lose(r, s, "steady", func() {
			for i := range 20 {
				v.emit(s, "echo", i)
			}
		})
		v.emit(s, "echo", 20)
		v.want("order", v.wait("echoes", echoes, 21), numbers(21))
	}},
	{"buffer: bytes wait, too (C-14)", func(v *visit) {
		s := v.socket(v.at("plain"))
		echoes := v.heard(s, "echo")
		v.emit(s, "echo", object{"a": []byte{1}}, []byte{2})
		v.emit(s, "echo", "text")
		v.connect(s)
		v.want("echoes", v.wait("both", echoes, 2), []any{[]any{object{"a": []byte{1}}, []byte{2}}, "text"})
	}},
	{"buffer: what OnConnect emits comes after what waited (C-14)", func(v *visit) {
		s := v.socket(v.at("plain"))
		echoes := v.heard(s, "echo")
		for i := range 5 {
			v.emit(s, "echo", i)
		}
		s.OnConnect(func() { _ = s.Emit("echo", 5) })
		v.connect(s)
		v.want("order", v.wait("echoes", echoes, 6), numbers(6))
	}},
	{"buffer: full, it refuses (C-14)", func(v *visit) {
		s := v.socket(v.at("plain"), func(o *client.Options) { o.MaxBufferedPackets = 3 })
		echoes := v.heard(s, "echo")
		for i := range 3 {
			v.emit(s, "echo", i)
		}
		if err := s.Emit("echo", 3); !errors.Is(err, client.ErrBufferFull) {
			v.Errorf("Emit: %v", err)
		}
		if _, err := s.EmitWithAck(v.soon(), "echo", 3); !errors.Is(err, client.ErrBufferFull) {
			v.Errorf("EmitWithAck: %v", err)
		}
		v.connect(s)
		v.want("echoes", v.wait("echoes", echoes, 3), numbers(3))
		if err := s.Manager().Flush(v.soon()); err != nil { // over polling they count until the server has said that it has them
			v.Error(err)
		}
		v.ask(s, "id")
		v.want("echoes", len(echoes.all()), 3)
	}},
	{"buffer: full of bytes, it refuses (C-14)", func(v *visit) {
		s := v.socket(v.at("plain"), func(o *client.Options) { o.MaxBufferedBytes = 10_000 })
		v.emit(s, "ignore", pattern(5000))
		if err := s.Emit("ignore", pattern(5000)); !errors.Is(err, client.ErrBufferFull) {
			v.Errorf("Emit: %v", err)
		}
		v.emit(s, "ignore", "a little more")
		v.connect(s)
		v.ask(s, "echo")
	}},
	{"buffer: full, it drops the oldest if that is wanted (C-14)", func(v *visit) {
		s := v.socket(v.at("plain"), func(o *client.Options) { o.MaxBufferedPackets, o.WhenFull = 3, client.DropOldest })
		echoes := v.heard(s, "echo")
		asking, soon := make(chan error, 1), v.soon()
		go func() {
			_, err := s.EmitWithAck(soon, "echo", "dropped")
			asking <- err
		}()
		eventually(v.T, "it waits", func() bool { n, _ := s.Buffered(); return n == 1 })
		for i := range 5 {
			v.emit(s, "echo", i)
		}
		if err := <-asking; !errors.Is(err, client.ErrBufferFull) {
			v.Errorf("EmitWithAck: %v", err)
		}
		v.connect(s)
		v.want("echoes", v.wait("echoes", echoes, 3), []any{2.0, 3.0, 4.0})
	}},
	{"buffer: Send waits for room (C-14)", func(v *visit) {
		s := v.socket(v.at("plain"), func(o *client.Options) { o.MaxBufferedPackets = 2 })
		echoes := v.heard(s, "echo")
		v.emit(s, "echo", 0)
		v.emit(s, "echo", 1)
		ctx, cancel := context.WithTimeout(v.soon(), brief)
		defer cancel()
		if err := s.Send(ctx, "echo", -1); !errors.Is(err, context.DeadlineExceeded) {
			v.Errorf("Send: %v", err)
		}
		sending, soon := make(chan error, 1), v.soon()
		go func() {
			for i := 2; i < 50; i++ {
				if err := s.Send(soon, "echo", i); err != nil {
					sending <- err
					return
				}
			}
			sending <- nil
		}()
		v.connect(s)
		if err := <-sending; err != nil {
			v.Errorf("Send: %v", err)
		}
		v.want("echoes", v.wait("echoes", echoes, 50), numbers(50))
	}},
	{"buffer: Disconnect keeps what waits, Close drops it (C-14, C-20)", func(v *visit) {
		s := v.socket(v.at("plain"))
		echoes := v.heard(s, "echo")
		v.emit(s, "echo", "kept")
		s.Disconnect()
		v.connect(s)
		v.want("echo", v.wait("the echo", echoes, 1), []any{"kept"})
		s = v.socket(v.at("plain"))
		asking, soon := make(chan error, 1), v.soon()
		go func() {
			_, err := s.EmitWithAck(soon, "echo")
			asking <- err
		}()
		eventually(v.T, "it waits", func() bool { n, _ := s.Buffered(); return n == 1 })
		_ = s.Close()
		if err := <-asking; !errors.Is(err, client.ErrClosed) {
			v.Errorf("EmitWithAck: %v", err)
		}
	}},
	{"buffer: what the network does not take is limited, too (C-14, C-19)", func(v *visit) {
		g, through := v.gated()
		s := v.dial(v.at("plain"), through, func(o *client.Options) { o.MaxBufferedPackets = 10 })
		v.settled(s)
		echoes := v.heard(s, "echo")
		g.shut()
		sent := 0
		for ; sent < 100; sent++ {
			err := s.Emit("echo", sent)
			if errors.Is(err, client.ErrBufferFull) {
				break
			}
			if err != nil {
				v.Fatal(err)
			}
		}
		if sent < 8 || sent > 25 { // what is being written counts differently on each way
			v.Errorf("%d were taken", sent)
		}
		sending, soon := make(chan error, 1), v.soon()
		go func() { sending <- s.Send(soon, "echo", sent) }()
		g.lift()
		if err := <-sending; err != nil {
			v.Errorf("Send: %v", err)
		}
		v.want("order", v.wait("echoes", echoes, sent+1), numbers(sent+1))
	}},
	{"volatile: is sent when the way is free (C-15)", func(v *visit) {
		s := v.dial(v.at("plain"))
		v.settled(s)
		echoes := v.heard(s, "echo")
		eventually(v.T, "the way is free", func() bool {
			v.emit(s.Volatile(), "echo", 1)
			return len(echoes.all()) > 0
		})
	}},
	{"volatile: is dropped while there is no connection (C-15)", func(v *visit) {
		s := v.socket(v.at("plain") + "?watch=any")
		v.emit(s.Volatile(), "dropped", 1)
		if _, err := s.Volatile().EmitWithAck(v.soon(), "dropped", 2); !errors.Is(err, client.ErrNotWritable) {
			v.Errorf("EmitWithAck: %v", err)
		}
		packets, _ := s.Buffered()
		v.want("buffered", packets, 0)
		v.connect(s)
		v.ask(s, "echo")
		v.want("heard", v.noted("plain", "any", 1), [][]any{{"echo", "(ack)"}})
	}},
	{"volatile: is dropped while something else is being sent (C-15)", func(v *visit) {
		g, through := v.gated()
		s := v.dial(v.at("plain")+"?watch=any", through)
		v.settled(s)
		v.ask(s, "echo")
		if v.way == "upgrade" {
			v.ask(s, "echo") // the upgrade's own packets are out
		}
		g.shut()
		v.emit(s, "first")
		v.emit(s.Volatile(), "dropped")
		v.emit(s.Volatile(), "dropped", []byte{1})
		v.emit(s, "last")
		g.lift()
		v.ask(s, "echo")
		heard := slices.DeleteFunc(v.noted("plain", "any", 4), func(e []any) bool { return e[0] == "echo" })
		v.want("heard", heard, [][]any{{"first"}, {"last"}})
	}},
	{"volatile: a large one goes whole or not at all (C-15)", func(v *visit) {
		s := v.dial(v.at("plain") + "?watch=any")
		v.settled(s)
		for range 50 {
			v.emit(s.Volatile(), "whole", strings.Repeat("x", 1000), []byte{1}, []byte{2})
		}
		v.ask(s, "echo")
		for _, e := range v.noted("plain", "any", 1) {
			if e[0] == "whole" {
				v.want("arguments", len(e), 4)
			}
		}
	}},
	{"buffer: a loss that nobody has noticed loses what was sent, not what follows (C-14)", func(v *visit) {
		r, url := v.through("quick")
		s := v.dial(url)
		v.settled(s)
		r.silence(0)
		v.emit(s, "echo", "lost")
		eventually(v.T, "the client notices", func() bool { return !s.Connected() })
		echoes := v.heard(s, "echo")
		v.emit(s, "echo", "kept")
		v.back(s)
		v.want("echoes", v.wait("the echo", echoes, 1), []any{"kept"})
	}},
}

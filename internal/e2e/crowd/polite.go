package crowd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/client"
)

// Polite is those who behave, on each transport and protocol.
var Polite = []Kind{
	polite("polling", overClient(client.Options{Transports: []client.Transport{client.Polling}})),
	polite("WebSocket", overClient(client.Options{Transports: []client.Transport{client.WebSocket}})),
	polite("upgrade", overClient(client.Options{})),
	polite("protocol 3, WebSocket", overLine(version3+"websocket")),
	polite("protocol 3, polling", overOldPolling),
	polite("plain WebSocket", overLine(plainAt)),
}

// Rude is those of Polite whose connections are reset while they are there.
var Rude = func() (all []Kind) {
	for _, k := range Polite {
		all = append(all, Kind{k.Name + ", cut", func(v *visitor) error {
			v.cut = 1 + time.Duration(v.rng.Int64N(int64(max(v.stay, 1))))
			return k.visit(v)
		}})
	}
	return all
}()

// talker is a connected client.
type talker interface {
	// call returns the first argument of the acknowledgement.
	call(ctx context.Context, event string, arg any) (uint64, error)
	// think is what the client does between two calls.
	think(d time.Duration)
	close()
}

// polite is who joins a room, posts for a while, and leaves when it has got all that it should have.
func polite(name string, connect func(*visitor, *ledger) (talker, error)) Kind {
	return Kind{name, func(v *visitor) error {
		// The end of the visit is an end like others: what was begun is finished.
		ctx, cancel := context.WithCancel(context.WithoutCancel(v.Context))
		defer cancel()
		over := v.Context
		v.Context = ctx
		news := &ledger{}
		if v.cut > 0 {
			timer := time.AfterFunc(v.cut, cancel)
			defer timer.Stop()
		}
		err := func() error {
			t, err := connect(v, news)
			if err != nil {
				return fmt.Errorf("connect: %w", err)
			}
			defer t.close()
			return v.exchange(over, t, news)
		}()
		if wrong := news.wrong(); wrong != "" {
			v.problems.add("%s: %s", name, wrong)
		}
		if err != nil && ctx.Err() == nil { // who is cut cannot tell what was lost
			v.problems.add("%s: %v", name, err)
		}
		return nil
	}}
}

func (v *visitor) exchange(over context.Context, t talker, news *ledger) error {
	call := func(event string, arg any) (uint64, error) {
		ctx, cancel := context.WithTimeout(v, patience)
		defer cancel()
		n, err := t.call(ctx, event, arg)
		if err != nil {
			err = fmt.Errorf("%s: %w", event, err)
		}
		return n, err
	}
	joined, err := call("join", v.room)
	if err != nil {
		return err
	}
	for n, end := uint64(1), time.Now().Add(v.stay); over.Err() == nil && time.Now().Before(end); n++ {
		got, err := call("post", n)
		if err != nil {
			return err
		}
		if got != n {
			return fmt.Errorf("post %d was the server's number %d", n, got)
		}
		t.think(min(time.Until(end), time.Duration(v.rng.Int64N(int64(cmp.Or(v.Pause, longestPause))))))
	}
	at, err := call("at", v.room)
	if err != nil {
		return err
	}
	return news.complete(v, joined, at)
}

// longestPause is between a client's events.
const longestPause = 2 * time.Second

// ledger is safe for concurrent use. It is what a client has got of its room's news.
type ledger struct {
	mu          sync.Mutex
	first, last uint64
	problem     string
}

func (l *ledger) got(n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.first == 0:
		l.first = n
	case n != l.last+1 && l.problem == "":
		l.problem = fmt.Sprintf("news %d came after %d", n, l.last)
	}
	l.last = n
}

func (l *ledger) wrong() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.problem
}

// complete waits until everything has come after joined and up to at: handlers may be behind acknowledgements.
func (l *ledger) complete(ctx context.Context, joined, at uint64) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); ; {
		l.mu.Lock()
		first, last := l.first, l.last
		l.mu.Unlock()
		switch {
		case first != 0 && first != joined+1:
			return fmt.Errorf("joined at %d and got %d as the first news", joined, first)
		case last >= at, at == joined:
			return nil
		case time.Now().After(end):
			return fmt.Errorf("got news up to %d of %d", last, at)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// overClient is the Go client.
func overClient(o client.Options) func(*visitor, *ledger) (talker, error) {
	return func(v *visitor, news *ledger) (talker, error) {
		o := o
		o.NoReconnection, o.Timeout = true, patience
		o.Logger = slog.New(slog.DiscardHandler)
		o.DialContext = func(context.Context, string, string) (net.Conn, error) {
			l, err := v.dial()
			if err != nil {
				return nil, err
			}
			return l, nil
		}
		s, err := client.New(v, "http://"+v.Addr, o)
		if err != nil {
			return nil, err
		}
		s.On("news", func(_ context.Context, e *client.Event) {
			var n uint64
			if e.Decode(0, &n) == nil {
				news.got(n)
			}
		})
		c := &goClient{v: v, Socket: s}
		s.OnDisconnect(func(r client.Reason, err error) { c.lost.Store(fmt.Sprint(r, ", ", err)) })
		ctx, cancel := context.WithTimeout(v, patience)
		defer cancel()
		if err := s.Connect(ctx); err != nil {
			return nil, c.explain(errors.Join(err, s.Close()))
		}
		return c, nil
	}
}

type goClient struct {
	v *visitor
	*client.Socket
	lost atomic.Value // why it was disconnected, a string
}

// explain adds that to an error.
func (c *goClient) explain(err error) error {
	if why := c.lost.Load(); why != nil {
		return fmt.Errorf("%w (%v)", err, why)
	}
	return err
}

// call sends a part of its events with bytes.
func (c *goClient) call(ctx context.Context, event string, arg any) (n uint64, err error) {
	args := []any{arg}
	if c.v.rng.IntN(5) == 0 {
		args = append(args, []byte("some bytes"))
	}
	reply, err := c.EmitWithAck(ctx, event, args...)
	if err == nil {
		err = reply.Decode(0, &n)
	}
	if err != nil {
		err = c.explain(err)
	}
	return n, err
}

func (c *goClient) think(d time.Duration) { c.v.pause(d) }

func (c *goClient) close() { _ = c.Close() }

// overLine is a WebSocket of protocol 3, or a plain one.
func overLine(path string) func(*visitor, *ledger) (talker, error) {
	return func(v *visitor, news *ledger) (talker, error) {
		l, err := v.dial()
		if err != nil {
			return nil, err
		}
		c := &socketClient{v: v, line: l, plain: path == plainAt, news: news, ended: make(chan struct{}), answers: make(chan uint64, 1)}
		if err := l.upgrade(path); err != nil {
			return nil, errors.Join(err, l.Close())
		}
		if !c.plain {
			l.wait(patience)
			if err := errors.Join(l.expect("0{"), l.expect("40")); err != nil {
				return nil, errors.Join(err, l.Close())
			}
		}
		go c.read()
		return c, nil
	}
}

// socketClient has a goroutine that reads, until the connection has ended.
type socketClient struct {
	v       *visitor
	line    *line
	plain   bool
	news    *ledger
	ended   chan struct{}
	err     error // when ended is closed
	answers chan uint64
}

func (c *socketClient) read() {
	defer close(c.ended)
	for {
		c.line.wait(patience)
		text, err := c.line.text()
		if err != nil {
			c.err = err
			return
		}
		c.got(text)
	}
}

// got takes an answer or news; what else there is does not count.
func (c *socketClient) got(text string) {
	if c.plain {
		var m struct {
			ID    uint64
			Event string
			Data  uint64
		}
		_ = json.Unmarshal([]byte(text), &m)
		switch {
		case m.Event == "news":
			c.news.got(m.Data)
		case m.ID == 1:
			c.answers <- m.Data
		}
		return
	}
	oldPacket(text, c.news, func(n uint64) { c.answers <- n })
}

// oldPacket is one of protocol 3, or of 4.
func oldPacket(text string, news *ledger, answer func(uint64)) {
	if rest, ok := strings.CutPrefix(text, `42["news",`); ok {
		if n, err := strconv.ParseUint(strings.TrimSuffix(rest, "]"), 10, 64); err == nil {
			news.got(n)
		}
	} else if rest, ok := strings.CutPrefix(text, `431[`); ok {
		if n, err := strconv.ParseUint(strings.TrimSuffix(rest, "]"), 10, 64); err == nil {
			answer(n)
		}
	}
}

func (c *socketClient) call(ctx context.Context, event string, arg any) (uint64, error) {
	text := fmt.Sprintf(`421["%s",%v]`, event, arg)
	if c.plain {
		text = fmt.Sprintf(`{"event":"%s","data":%v,"id":1}`, event, arg)
	}
	if err := c.line.send(text); err != nil {
		return 0, err
	}
	if !c.plain {
		if err := c.line.send("2"); err != nil { // in protocol 3 it is the client who pings
			return 0, err
		}
	}
	select {
	case n := <-c.answers:
		return n, nil
	case <-c.ended:
		return 0, c.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (c *socketClient) think(d time.Duration) { c.v.pause(d) }

func (c *socketClient) close() {
	c.line.reset()
	for {
		select {
		case <-c.answers:
		case <-c.ended:
			return
		}
	}
}

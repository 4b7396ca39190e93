package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/perch-go/perch/client"
)

// caller is a Go client: four goroutines that call, one of which also notes.
type caller struct {
	number  int
	wrong   *problems
	socket  *client.Socket
	ctx     context.Context // ends with its connection
	waiting atomic.Int64    // calls that are not answered yet
	last    atomic.Int64    // number of a call
	mu      sync.Mutex
	answers map[int]error
}

func newCaller(ctx context.Context, wrong *problems, number int, url string, transport client.Transport) (*caller, error) {
	s, err := client.Dial(ctx, url, client.Options{
		Transports: []client.Transport{transport}, NoReconnection: true, Auth: sent{Client: number},
	})
	if err != nil {
		return nil, err
	}
	c := &caller{number: number, wrong: wrong, socket: s, answers: make(map[int]error)}
	var gone context.CancelFunc // for a call that comes too late, and would wait for the next connection
	c.ctx, gone = context.WithCancel(ctx)
	s.OnDisconnect(func(client.Reason, error) { gone() })
	return c, nil
}

func (c *caller) work(working *sync.WaitGroup) {
	for i := range 4 {
		working.Go(func() {
			for note := 0; c.socket.Connected(); {
				for range 8 * (1 - min(i, 1)) {
					if c.socket.Emit("note", sent{c.number, note}) == nil {
						note++
					}
				}
				c.call()
			}
		})
	}
}

func (c *caller) call() {
	n := int(c.last.Add(1))
	c.waiting.Add(1)
	got, err := client.Call[int](c.ctx, c.socket, "call", sent{c.number, n})
	c.waiting.Add(-1)
	if err == nil && got != n {
		err = fmt.Errorf("answer %d", got)
		c.wrong.add("client %d: call %d got %v", c.number, n, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers[n] = err
}

func (c *caller) check(a *account) {
	for n, err := range c.answers {
		if (err == nil) != (a.calls[n] == 1) {
			c.wrong.add("client %d: call %d was handled %d times and answered by %v", c.number, n, a.calls[n], err)
		}
	}
	for i, n := range a.notes {
		if i != n {
			c.wrong.add("client %d: note %d was handled where %d was to be", c.number, n, i)
			break
		}
	}
}

// burster is a raw client that sends bursts of events, every other one a call. It sends no more of them before others are answered
// than its window.
type burster struct {
	number  int
	wrong   *problems
	write   func(events []string) error // all of them in one write or body
	read    func() ([]string, error)    // acknowledgements; io.EOF when the server says that it ends
	plain   bool                        // no Socket.IO
	metered bool
	address string // the client's
	window  int

	sent chan struct{} // holds what is outstanding

	mu    sync.Mutex
	ends  []int64 // offsets in the stream of bytes, for each event
	acked map[int]int
	err   error
}

func newBurster(wrong *problems, number int) *burster {
	return &burster{number: number, wrong: wrong, window: 1, acked: make(map[int]int)}
}

// event is the n-th of the client.
func (b *burster) event(n int) string {
	switch {
	case b.plain && n%2 == 0:
		return fmt.Sprintf(`{"event":"call","data":{"client":%d,"n":%d},"id":%d}`, b.number, n, n)
	case b.plain:
		return fmt.Sprintf(`{"event":"note","data":{"client":%d,"n":%d}}`, b.number, n)
	}
	if n%2 == 0 {
		return fmt.Sprintf(`42%d["call",{"client":%d,"n":%d}]`, n, b.number, n)
	}
	return fmt.Sprintf(`42["note",{"client":%d,"n":%d}]`, b.number, n)
}

func (b *burster) work(working *sync.WaitGroup) {
	b.sent = make(chan struct{}, b.window)
	ended := make(chan struct{})
	working.Go(func() {
		for n := 0; ; {
			select {
			case <-ended:
				return
			case b.sent <- struct{}{}:
			}
			events := make([]string, burst)
			for i := range events {
				events[i] = b.event(n)
				n++
			}
			if b.write(events) != nil {
				<-ended // its reader knows why
				return
			}
		}
	})
	working.Go(func() {
		defer close(ended)
		acks := 0
		for {
			got, err := b.read()
			b.mu.Lock()
			for _, ack := range got {
				id, rest, _ := strings.Cut(strings.TrimPrefix(ack, "43"), "[")
				n, err := strconv.Atoi(id)
				if err != nil || rest != id+"]" {
					b.wrong.add("client %d: got %s", b.number, ack)
				}
				b.acked[n]++
			}
			b.err = err
			b.mu.Unlock()
			for range got {
				if acks++; acks%(burst/2) == 0 {
					<-b.sent
				}
			}
			if err != nil {
				return
			}
		}
	})
}

// accepted is the number of events that were read as far as the meter knows.
func (b *burster) accepted(m *meter) int {
	read := m.bytes(b.address)
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for n < len(b.ends) && b.ends[n] <= read {
		n++
	}
	return n
}

func (b *burster) check(a *account, m *meter) {
	if !errors.Is(b.err, io.EOF) {
		b.wrong.add("client %d: %v instead of the end", b.number, b.err)
	}
	was := func(n int) bool {
		if n%2 == 0 {
			return a.calls[n] == 1
		}
		return n/2 < len(a.notes) && a.notes[n/2] == n
	}
	handled := 0
	for was(handled) {
		handled++
	}
	if all := len(a.calls) + len(a.notes); handled != all {
		b.wrong.add("client %d: %d events were handled, but not number %d", b.number, all, handled)
	}
	if handled%burst != 0 && !b.metered {
		b.wrong.add("client %d: %d events of a burst of %d were handled", b.number, handled%burst, burst)
	}
	if b.metered && handled < b.accepted(m) {
		b.wrong.add("client %d: %d events were handled of %d that were read before refusal began", b.number, handled, b.accepted(m))
	}
	for n := 0; n < handled; n += 2 {
		if b.acked[n] != 1 {
			b.wrong.add("client %d: call %d of %d was acknowledged %d times", b.number, n, handled, b.acked[n])
		}
	}
}

// openSocketBurst opens one over WebSocket.
func openSocketBurst(wrong *problems, number int, address string) (*burster, error) {
	w, err := dial(address, nil)
	if err != nil {
		return nil, err
	}
	if err := w.SetDeadline(time.Now().Add(10 * patience)); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	b := newBurster(wrong, number)
	b.address = w.LocalAddr().String()
	written := &counting{Conn: w.Conn}
	w.Conn = written
	_, err = w.Write(upgrade(""))
	if err = errors.Join(err, w.accepted(), w.send(fmt.Sprintf(`40{"client":%d}`, number)), w.expect("0{"), w.expect(`40{"sid":"`)); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	b.write = func(events []string) error {
		b.mu.Lock()
		end := written.n.Load()
		for _, e := range events {
			end += int64(len(frame(nil, opText, e)))
			b.ends = append(b.ends, end)
		}
		b.mu.Unlock()
		return w.send(events...)
	}
	b.read = func() ([]string, error) {
		text, err := w.text()
		switch {
		case err != nil:
			return nil, errors.Join(err, w.Close())
		case text == "1" || text == "41": // the connection is closed next
			return nil, nil
		}
		return []string{text}, nil
	}
	return b, nil
}

// openPlainBurst opens one that speaks no Socket.IO.
func openPlainBurst(wrong *problems, number int, address string) (*burster, error) {
	w, err := dial(address, nil)
	if err != nil {
		return nil, err
	}
	_, err = w.Write([]byte(strings.Replace(string(upgrade("")), "/socket.io/", fmt.Sprintf("/ws/%d", number), 1)))
	if err = errors.Join(err, w.SetDeadline(time.Now().Add(10*patience)), w.accepted()); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	b := newBurster(wrong, number)
	b.plain = true
	b.write = func(events []string) error { return w.send(events...) }
	b.read = func() ([]string, error) {
		text, err := w.text()
		if err != nil {
			return nil, errors.Join(err, w.Close())
		}
		var reply struct{ ID, Data int }
		if err := json.Unmarshal([]byte(text), &reply); err != nil || reply.ID != reply.Data {
			return nil, fmt.Errorf("got %s, %w", text, err)
		}
		return []string{fmt.Sprintf("43%d[%d]", reply.ID, reply.Data)}, nil
	}
	return b, nil
}

// counting counts what is written. The answer to a close frame, which another goroutine writes, is the end of it.
type counting struct {
	net.Conn
	n atomic.Int64
}

func (c *counting) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.n.Add(int64(n))
	return n, err
}

// openPollingBurst opens one over polling.
func openPollingBurst(wrong *problems, number int, address string) (*burster, error) {
	b := newBurster(wrong, number)
	web := &http.Client{Transport: new(http.Transport), Timeout: 2 * patience}
	url := "http://" + address + "/socket.io/?EIO=4&transport=polling"
	packets := func(resp *http.Response, err error) ([]string, error) {
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.StatusCode != http.StatusOK {
			err = fmt.Errorf("%s: %s", resp.Status, body)
		}
		return strings.Split(string(body), "\x1e"), err
	}
	open, err := packets(web.Get(url))
	if err != nil {
		return nil, err
	}
	url += "&sid=" + sessionOf(open[0])
	post := func(body ...string) error {
		_, err := packets(web.Post(url, "text/plain;charset=UTF-8", strings.NewReader(strings.Join(body, "\x1e"))))
		return err
	}
	if err := post(fmt.Sprintf(`40{"client":%d}`, number)); err != nil {
		return nil, err
	}
	if got, err := packets(web.Get(url)); err != nil || !strings.HasPrefix(got[0], `40{"sid":"`) {
		return nil, fmt.Errorf("got %q, %w", got, err)
	}
	b.write = func(events []string) error { return post(events...) }
	b.read = func() (acks []string, err error) {
		got, err := packets(web.Get(url))
		for _, p := range got {
			switch {
			case err != nil:
			case p == "1":
				err = io.EOF
			case p == "2", p == "6", p == "41":
			default:
				acks = append(acks, p)
			}
		}
		if err != nil {
			web.CloseIdleConnections()
		}
		return acks, err
	}
	return b, nil
}

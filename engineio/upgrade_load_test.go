package engineio

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/internal/wsframe"
)

// atATime is how many of the upgrades are under way together.
const atATime = 64

// Events flow both ways from before the probe until after the upgrade, in ten thousand upgrades:
// every one arrives, once and in order, and every poll meanwhile is answered. (A thousand under the race
// detector; and not in parallel with tests that look at a clock.)
func TestTenThousandUpgrades(t *testing.T) {
	server, ts, _ := foreign(t, Options{}, false, false, func(s *Session) Handler {
		return &upgrader{t: t, session: s, closed: make(chan struct{})}
	}, func(*http.Server) {})
	defer ts.Close()
	defer func() {
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4 * atATime}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	var next, noops atomic.Int64
	parallel(atATime, func(int) {
		for next.Add(1) <= manyUpgrades && !t.Failed() {
			u := &upgrading{t: t, server: server, http: client, address: ts.Listener.Addr().String(), noops: &noops}
			u.run()
		}
	})
	stats := server.Stats()
	if stats.Upgrades != manyUpgrades || stats.UpgradesFailed != 0 || stats.Opened != manyUpgrades || stats.Refused != 0 {
		t.Errorf("%+v", stats)
	}
	t.Logf("%d packets in, %d out, %d polls answered by a noop alone", stats.PacketsIn, stats.PacketsOut, noops.Load())
}

// upgrader is the server's side of one of them: it checks what it gets and sends all the time.
type upgrader struct {
	t       *testing.T
	session *Session
	got     atomic.Int64
	closed  chan struct{}
}

func (u *upgrader) HandleMessage(data []byte, binary bool) {
	if want := "c" + strconv.FormatInt(u.got.Load(), 10); string(data) != want {
		u.t.Errorf("the server got %q, want %q", data, want)
	}
	u.got.Add(1)
}

func (u *upgrader) HandleClose(Reason, error) { close(u.closed) }

// send sends s0, s1, … until some have gone over the new transport, and then the end.
func (u *upgrader) send() {
	for n, after := 0, 0; after < 3; n++ {
		if err := u.session.SendText(fmt.Appendf(nil, "s%d", n)); err != nil {
			u.t.Errorf("send: %v", err)
			return
		}
		if u.session.Transport() == WebSocket {
			after++
		}
		select {
		case <-time.After(2 * time.Millisecond):
		case <-u.closed:
			return
		}
	}
	if err := u.session.SendText([]byte("end")); err != nil {
		u.t.Errorf("send: %v", err)
	}
}

// upgrading is the client's side, which does what the official client does: it polls on until its
// probe is answered, lets the poll and the post that are under way end, and upgrades.
type upgrading struct {
	t       *testing.T
	server  *Server
	http    *http.Client
	address string
	noops   *atomic.Int64
	url     string
	sent    int
	got     int
	done    bool // the end has come
}

func (u *upgrading) run() {
	body := u.request("GET", "http://"+u.address+"/?EIO=4&transport=polling", nil)
	sid := openID(u.t, body)
	u.url = "http://" + u.address + "/?EIO=4&transport=polling&sid=" + sid
	peer := u.server.sessions.find(sid).handler.(*upgrader)
	var sender sync.WaitGroup
	sender.Go(peer.send)
	defer sender.Wait()

	conn, err := net.Dial("tcp", u.address)
	if err != nil {
		u.t.Error(err)
		return
	}
	defer func() {
		_ = conn.(*net.TCPConn).SetLinger(0) // ten thousand ports in TIME_WAIT are of no use
		conn.Close()
		<-peer.closed
	}()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	probed := make(chan struct{})
	var c *wsClient
	var underWay sync.WaitGroup
	underWay.Go(func() { // posts
		for !ended(probed) {
			u.request("POST", u.url, u.batch(3))
		}
	})
	underWay.Go(func() { // polls
		for first := true; first || !ended(probed); first = false {
			u.take(u.request("GET", u.url, nil))
		}
	})
	c = dialUpgrade(u.t, conn, sid)
	c.send("2probe")
	if got := c.read(); got != "3probe" {
		u.t.Errorf("the probe was answered by %q", got)
	}
	close(probed)
	underWay.Wait()

	c.send("5")
	for range 3 {
		c.send(strings.Split(string(u.batch(2)), "\x1e")...)
	}
	for !u.done && !u.t.Failed() {
		u.take(c.read())
	}
	// What we have sent is handled when an answer to it comes.
	_, _ = conn.Write(masked(wsframe.Ping, "done"))
	if got := c.read(); got != "pong:done" {
		u.t.Errorf("read %q", got)
	}
	if got := peer.got.Load(); got != int64(u.sent) {
		u.t.Errorf("the server got %d of %d messages", got, u.sent)
	}
}

func ended(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// batch are the next n packets.
func (u *upgrading) batch(n int) []byte {
	var b []byte
	for i := range n {
		if i > 0 {
			b = append(b, separator)
		}
		b = fmt.Appendf(b, "4c%d", u.sent)
		u.sent++
	}
	return b
}

// take checks the packets of a poll or of the new transport.
func (u *upgrading) take(packets string) {
	if packets == "6" {
		u.noops.Add(1)
	}
	for p := range strings.SplitSeq(packets, "\x1e") {
		switch {
		case p == "6":
		case p == "4end":
			u.done = true
		case p != "4s"+strconv.Itoa(u.got):
			u.t.Errorf("the client got %q, want message %d", p, u.got)
			return
		default:
			u.got++
		}
	}
}

func (u *upgrading) request(method, url string, body []byte) string {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		u.t.Error(err)
		return ""
	}
	resp, err := u.http.Do(req)
	if err != nil {
		u.t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 || len(b) == 0 {
		u.t.Errorf("%s: %d %q %v", method, resp.StatusCode, b, err)
	}
	return string(b)
}

func dialUpgrade(t *testing.T, conn net.Conn, sid string) *wsClient {
	_, _ = fmt.Fprintf(conn, wsRequest, "&sid="+sid)
	c := &wsClient{t, conn, bufio.NewReader(conn)}
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Errorf("upgrade: %v %v", resp, err)
	}
	return c
}

// S-10: while an upgrade that was begun and abandoned waits for its end, the heartbeat and everything
// else go on over polling, no poll is left without an answer, and then the new connection is closed.
func TestHeartbeatDuringAbandonedUpgrade(t *testing.T) {
	t.Parallel()
	for _, probe := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			f := newFixture(t, Options{PingInterval: 3 * time.Second, PingTimeout: 2 * time.Second}, true)
			defer f.close()
			sid, r := f.openPolling()
			url := base + "&sid=" + sid
			c := f.dial("&sid=" + sid)
			began := time.Now()
			if probe {
				c.send("2probe")
				if got := c.read(); got != "3probe" {
					t.Errorf("read %q", got)
				}
			}
			closed := make(chan time.Duration, 1)
			go func() {
				c.read()
				closed <- time.Since(began)
			}()
			pings, noops, echoes := 0, 0, 0
			for time.Since(began) < 20*time.Second {
				asked := time.Now()
				_, body, _ := f.do("GET", url, "")
				if d := time.Since(asked); probe && time.Since(began) < 10*time.Second && d > 2*noopDelay {
					t.Errorf("a poll during the upgrade took %v", d)
				}
				for p := range strings.SplitSeq(body, "\x1e") {
					switch p {
					case "2":
						pings++
						f.do("POST", url, "3\x1e4hello")
					case "6":
						noops++
					case "4hello":
						echoes++
					default:
						t.Errorf("poll %q", body)
					}
				}
			}
			if d := <-closed; d < 10*time.Second || d > 10*time.Second+100*time.Millisecond {
				t.Errorf("the new connection was closed after %v", d)
			}
			if pings < 6 || echoes < 5 || (noops > 100) != probe {
				t.Errorf("%d pings, %d noops, %d echoes", pings, noops, echoes)
			}
			if r.session.Transport() != Polling || len(r.closed) != 0 || f.server.Stats().UpgradesFailed != 1 {
				t.Errorf("%s, %+v", r.session.Transport(), f.server.Stats())
			}
			c.conn.Close()
		})
	}
}

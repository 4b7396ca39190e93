package engineio

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/internal/wsframe"
)

// Spec 3.1: probe, noop for the pending poll, upgrade; later polls are refused.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, true)
	defer f.close()
	sid, r := f.openPolling()
	url := base + "&sid=" + sid
	pending := make(chan string)
	go func() {
		_, body, _ := f.do("GET", url, "")
		pending <- body
	}()
	c := f.dial("&sid=" + sid)
	c.send("2probe")
	if got := c.read(); got != "3probe" {
		t.Fatalf("read %q", got)
	}
	if body := <-pending; body != "6" {
		t.Errorf("pending poll: %q", body)
	}
	if body := func() string { _, b, _ := f.do("GET", url, ""); return b }(); body != "6" {
		t.Errorf("a second poll during the upgrade: %q", body)
	}
	if r.session.Transport() != Polling {
		t.Error("on WebSocket before the upgrade packet")
	}
	_ = r.session.SendText([]byte("queued"))
	c.send("5", "4hello") // in one write
	for _, want := range []string{"4queued", "4hello"} {
		if got := c.read(); got != want {
			t.Errorf("read %q, want %q", got, want)
		}
	}
	if r.session.Transport() != WebSocket {
		t.Error("still on polling")
	}
	if status, body, _ := f.do("GET", url, ""); status != 400 || !strings.Contains(body, `"code":3`) {
		t.Errorf("poll after the upgrade: %d %q", status, body)
	}
	// A second WebSocket for the session is accepted and closed; the session goes on.
	second := f.dial("&sid=" + sid)
	if got := second.read(); !strings.HasPrefix(got, "close:") {
		t.Errorf("second connection: %q", got)
	}
	second.conn.Close()
	c.send("4still")
	if got := c.read(); got != "4still" {
		t.Errorf("read %q", got)
	}
	c.conn.Close()
	if reason := <-r.closed; reason != ReasonTransportClose {
		t.Errorf("reason %q", reason)
	}
}

// A poll that comes with the upgrade, or waits while it completes, is refused like one that comes later.
func TestPollDuringUpgradePacket(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, true)
	defer f.close()
	sid, r := f.openPolling()
	pending := make(chan int)
	go func() {
		status, _, _ := f.do("GET", base+"&sid="+sid, "")
		pending <- status
	}()
	eventually(t, "the poll is pending", func() bool {
		r.session.mu.Lock()
		defer r.session.mu.Unlock()
		return r.session.poll != nil
	})
	c := f.dial("&sid=" + sid)
	c.send("2probe", "5", "4hello")
	if status := <-pending; status != 400 {
		t.Errorf("status %d", status)
	}
	for _, want := range []string{"3probe", "4hello"} {
		if got := c.read(); got != want {
			t.Errorf("read %q, want %q", got, want)
		}
	}
	c.conn.Close()
}

// A client that asked for text keeps getting text after the upgrade (C-4).
func TestUpgradeKeepsBase64(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, true)
	defer f.close()
	_, body, _ := f.do("GET", base+"&b64=1", "")
	c := f.dial("&b64=1&sid=" + openID(t, body))
	c.send("2probe", "5", "bAQID")
	for _, want := range []string{"3probe", "bAQID"} {
		if got := c.read(); got != want {
			t.Errorf("read %q, want %q", got, want)
		}
	}
	c.conn.Close()
}

// A wrong packet, a lost connection or silence ends only the upgrade (S-10, peer O #731): the session
// stays on polling with its heartbeat, and may try again.
func TestAbandonedUpgrade(t *testing.T) {
	t.Parallel()
	attempts := []struct {
		name string
		do   func(c *wsClient)
	}{
		{"wrong first packet", func(c *wsClient) { c.send("4hello"); c.read() }},
		{"upgrade without probe", func(c *wsClient) { c.send("5"); c.read() }},
		{"message instead of the upgrade", func(c *wsClient) { c.send("2probe", "4x"); c.read(); c.read() }},
		{"binary", func(c *wsClient) { _, _ = c.conn.Write(masked(wsframe.Binary, "x")); c.read() }},
		{"protocol error", func(c *wsClient) { _, _ = c.conn.Write([]byte{0x81, 1, 'x'}); c.read(); c.read() }},
		{"connection lost", func(c *wsClient) { c.conn.Close() }},
		{"connection lost after the probe", func(c *wsClient) { c.send("2probe"); c.read(); c.conn.Close() }},
		{"silence", func(c *wsClient) { c.read() }},
		{"silence after the probe", func(c *wsClient) { c.send("2probe"); c.read(); c.read() }},
	}
	for _, tt := range attempts {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t, Options{}, true)
				defer f.close()
				sid, r := f.openPolling()
				c := f.dial("&sid=" + sid)
				began := time.Now()
				tt.do(c)
				c.conn.Close()
				synctest.Wait()
				if d := time.Since(began); d > 10*time.Second {
					t.Errorf("the attempt lasted %v", d)
				}
				if len(r.closed) != 0 {
					t.Fatalf("session ended: %s", <-r.closed)
				}
				// The heartbeat went on all the time.
				<-time.After(time.Until(began.Add(25 * time.Second)))
				if _, body, _ := f.do("GET", base+"&sid="+sid, ""); body != "2" {
					t.Fatalf("poll %q", body)
				}
				f.do("POST", base+"&sid="+sid, "3")
				c = f.dial("&sid=" + sid)
				c.send("2probe", "5", "4there")
				if got := c.read(); got != "3probe" {
					t.Errorf("read %q", got)
				}
				if got := c.read(); got != "4there" {
					t.Errorf("read %q", got)
				}
				c.conn.Close()
				<-r.closed
			})
		})
	}
}

// What ends an upgrade is answered as WebSockets are closed (RFC 6455 section 5.5.1): a client that only sees the
// connection break would take it for the network's fault.
func TestAbandonedUpgradeIsClosed(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, true)
	defer f.close()
	sid, _ := f.openPolling()
	c := f.dial("&sid=" + sid)
	c.send("4hello")
	if got := c.read(); got != "close:1002" {
		t.Errorf("after a wrong packet: %q", got)
	}
	c.conn.Close()
	eventually(t, "it is gone", func() bool { return f.server.Stats().UpgradesFailed == 1 })
	c = f.dial("&sid=" + sid)
	c.send("2probe")
	c.read()
	if _, err := c.conn.Write(masked(wsframe.Close, "\x03\xe8")); err != nil {
		t.Fatal(err)
	}
	if got := c.read(); got != "close:1000" {
		t.Errorf("after the client's close: %q", got)
	}
	c.conn.Close()
}

// Nothing is lost or reordered while events flow both ways during the whole upgrade.
func TestUpgradeUnderLoad(t *testing.T) {
	t.Parallel()
	f := newFixture(t, Options{}, false)
	defer f.close()
	const messages = 200
	parallel(20, func(int) {
		status, body, _ := f.do("GET", base, "")
		if status != 200 {
			t.Errorf("status %d", status)
			return
		}
		sid := openID(t, body)
		session := f.server.sessions.find(sid)
		url := base + "&sid=" + sid
		go func() { // the server's side
			for i := range messages {
				if err := session.SendText(fmt.Appendf(nil, "s%d", i)); err != nil {
					t.Error(err)
				}
				if i%10 == 0 {
					<-time.After(time.Millisecond)
				}
			}
		}()
		var got []string
		take := func(body string) {
			for p := range strings.SplitSeq(body, "\x1e") {
				if p[0] == '4' {
					got = append(got, p[1:])
				}
			}
		}
		sent := 0
		post := func(n int) {
			var packets []string
			for range n {
				packets = append(packets, fmt.Sprintf("4c%d", sent))
				sent++
			}
			f.do("POST", url, strings.Join(packets, "\x1e"))
		}
		post(20)
		_, body, _ = f.do("GET", url, "")
		take(body)
		c := f.dial("&sid=" + sid)
		c.send("2probe")
		post(20)
		// The client goes on polling until its probe is answered, then pauses and upgrades.
		probed := make(chan struct{})
		go func() {
			if p := c.read(); p != "3probe" {
				t.Errorf("read %q", p)
			}
			close(probed)
		}()
		for paused := false; !paused; {
			select {
			case <-probed:
				paused = true
			default:
				_, body, _ = f.do("GET", url, "")
				take(body)
			}
		}
		c.send("5")
		for sent < messages {
			c.send(fmt.Sprintf("4c%d", sent))
			sent++
		}
		for len(got) < messages {
			p := c.read()
			if strings.HasPrefix(p, "error") {
				t.Error(p)
				break
			}
			take(p)
		}
		for i, m := range got {
			if m != fmt.Sprintf("s%d", i) {
				t.Errorf("message %d from the server is %q", i, m)
				break
			}
		}
		r := session.handler.(*recorder)
		for i := range messages {
			if m := <-r.messages; m != fmt.Sprintf("c%d", i) {
				t.Errorf("message %d from the client is %q", i, m)
				break
			}
		}
		c.conn.Close()
	})
}

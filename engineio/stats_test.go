package engineio

import (
	"strings"
	"testing"
	"testing/synctest"
)

// Statistics of a session and of the server: both transports count alike, and nothing is lost when
// sessions end.
func TestStats(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{}, true)
		defer f.close()
		sid, r := f.openPolling()
		var upgrades []string // S-62
		for _, name := range []string{"first", "second"} {
			r.session.OnUpgrade(func() { upgrades = append(upgrades, name+" "+string(r.session.Transport())) })
		}
		open := r.session.Stats()
		if open.PacketsOut != 1 || open.BytesOut < 80 || open.PacketsIn != 0 || open.Transport != Polling || open.Upgraded || open.Since.IsZero() {
			t.Errorf("opened: %+v", open)
		}
		f.do("POST", base+"&sid="+sid, "4hello\x1ebAQID")
		f.do("GET", base+"&sid="+sid, "")
		// 4hello is 6 bytes and a header of 2; three binary bytes are 5 in all.
		if s := r.session.Stats(); s.PacketsIn != 2 || s.BytesIn != 13 || s.PacketsOut != 3 || s.BytesOut != open.BytesOut+13 {
			t.Errorf("polling: %+v", s)
		}
		c := f.dial("&sid=" + sid)
		c.send("4wrong")
		c.read()
		c.conn.Close()
		c = f.dial("&sid=" + sid)
		c.send("2probe", "5", "4hello")
		c.read()
		c.read()
		synctest.Wait()
		r.session.OnUpgrade(func() { upgrades = append(upgrades, "late") })
		synctest.Wait()
		if got := strings.Join(upgrades, ", "); got != "first websocket, second websocket, late" {
			t.Errorf("OnUpgrade: %s", got)
		}
		s := r.session.Stats()
		if s.PacketsIn != 3 || s.BytesIn != 21 || s.PacketsOut != 4 || s.Transport != WebSocket || !s.Upgraded || s.QueuedPackets != 0 {
			t.Errorf("upgraded: %+v", s)
		}
		live := f.server.Stats()
		if live.Traffic != s.Traffic || live.Opened != 1 || live.Sessions != 1 || live.Upgrades != 1 || live.UpgradesFailed != 1 || len(live.Closed) != 0 {
			t.Errorf("server: %+v", live)
		}
		c.conn.Close()
		<-r.closed
		synctest.Wait()
		if over := f.server.Stats(); over.Traffic != s.Traffic || over.Sessions != 0 || over.Opened != 1 || over.Closed[ReasonTransportClose] != 1 {
			t.Errorf("server, afterwards: %+v", over)
		}
		if after := r.session.Stats(); after.Traffic != s.Traffic {
			t.Errorf("session, afterwards: %+v", after)
		}
	})
}

// S-83: the number of sessions, as they come and go. S-84: what a session that has ended did not deliver.
func TestSessionsAndWhatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{}, true)
		defer f.close()
		sid, r := f.openPolling()
		c, _ := f.openWS()
		if n := f.server.Sessions(); n != 2 {
			t.Errorf("%d sessions", n)
		}
		_ = r.session.SendText([]byte("never fetched"))
		f.do("POST", base+"&sid="+sid, "1")
		if reason := <-r.closed; reason != ReasonTransportClose {
			t.Errorf("reason %q", reason)
		}
		if bytes, packets := r.session.Buffered(); bytes != 2+1+len("never fetched") || packets != 1 {
			t.Errorf("left: %d bytes, %d packets", bytes, packets)
		}
		c.conn.Close()
		synctest.Wait()
		if n := f.server.Sessions(); n != 0 {
			t.Errorf("%d sessions", n)
		}
	})
}

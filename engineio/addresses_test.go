package engineio

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/perch-go/perch/internal/wsframe"
)

func TestAddressKey(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		a, b string
		same bool
	}{
		{"192.0.2.1:80", "192.0.2.1:81", true},
		{"192.0.2.1:80", "192.0.2.2:80", false},
		{"192.0.2.1", "[::ffff:192.0.2.1]:5", true},
		{"[2001:db8::1]:1", "[2001:db8::ffff:2]:9", true},
		{"[2001:db8::1]:1", "[2001:db8:0:1::1]:1", false},
		{"[fe80::1%eth0]:1", "fe80::2", true},
	} {
		a, okA := addressKey(tt.a)
		b, okB := addressKey(tt.b)
		if !okA || !okB || (a == b) != tt.same {
			t.Errorf("%s and %s: %x and %x", tt.a, tt.b, a, b)
		}
	}
	for _, none := range []string{"", "pipe", "@", "/run/socket", "example.com:80"} {
		if _, ok := addressKey(none); ok {
			t.Errorf("%q is an address", none)
		}
	}
}

func TestMaxPerAddress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{
			Limits:         Limits{MaxPerAddress: 2},
			TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		}, true)
		defer f.close()
		f.from()
		open := func(address, forwarded string) int {
			t.Helper()
			headers := []string{"X-Address", address}
			if forwarded != "" {
				headers = append(headers, "X-Forwarded-For", forwarded)
			}
			status, body, _ := f.do("GET", base, "", headers...)
			if status == 429 && body != `{"code":4,"message":"too many sessions from this address"}` {
				t.Error(body)
			}
			return status
		}
		for i, tt := range []struct {
			address, forwarded string
			status             int
		}{
			{"[2001:db8::1]:1", "", 200}, {"[2001:db8::2]:1", "", 200}, {"[2001:db8::3]:1", "", 429}, {"[2001:db8:0:1::3]:1", "", 200},
			{"192.0.2.1:1", "", 200}, {"192.0.2.1:2", "", 200}, {"192.0.2.1:3", "", 429}, {"192.0.2.2:1", "", 200},
			// What peers that are not trusted say of themselves changes nothing.
			{"192.0.2.1:4", "198.51.100.1", 429},
			{"10.0.0.1:1", "192.0.2.1", 429}, {"10.0.0.1:1", "198.51.100.1", 200}, {"10.0.0.1:1", "198.51.100.1", 200}, {"10.0.0.1:1", "6.6.6.6, 198.51.100.1", 429},
		} {
			if got := open(tt.address, tt.forwarded); got != tt.status {
				t.Errorf("%d: %d for %v", i, got, tt)
			}
		}
		if resp, _ := f.handshake("", "X-Address", "192.0.2.1:9"); resp.StatusCode != 429 {
			t.Errorf("websocket: %d", resp.StatusCode)
		}
		for range 5 { // without an address
			f.openPolling()
		}
		if s := f.server.Stats().Limits; s.PerAddress != 6 || s.Addresses != 5 {
			t.Errorf("%+v", s)
		}
		for s := range f.server.sessions.all() {
			s.end(ReasonForcedClose, nil)
		}
		if open("192.0.2.1:1", "") != 200 {
			t.Error("the place of a session that has ended is not there")
		}
		if s := f.server.Stats().Limits; s.Addresses != 1 {
			t.Errorf("%+v", s)
		}
	})
}

// A token bucket: so many at once, then so many a second.
func TestHandshakeRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t, Options{Limits: Limits{HandshakeRate: 2, HandshakeBurst: 5}}, true)
		defer f.close()
		f.from()
		tries := func(n int, address string) (in int) {
			t.Helper()
			for range n {
				switch status, _, h := f.do("GET", base, "", "X-Address", address); {
				case status == 200:
					in++
				case status != 429 || h.Get("Retry-After") == "":
					t.Errorf("%d", status)
				}
			}
			return in
		}
		for i, tt := range []struct {
			wait      time.Duration
			tries, in int
		}{{0, 20, 5}, {500 * time.Millisecond, 5, 1}, {2 * time.Second, 20, 4}, {time.Hour, 20, 5}, {250 * time.Millisecond, 20, 0}, {250 * time.Millisecond, 20, 1}} {
			<-time.After(tt.wait)
			if in := tries(tt.tries, "192.0.2.1:1"); in != tt.in {
				t.Errorf("%d: %d of %d, want %d", i, in, tt.tries, tt.in)
			}
		}
		if in := tries(5, "192.0.2.2:1"); in != 5 {
			t.Errorf("another address: %d", in)
		}
		if s := f.server.Stats(); s.Limits.HandshakeRate != 105-16 || s.Opened != 21 {
			t.Errorf("%+v", s)
		}
	})
}

// Every misbehaviour that is a strike, and what comes of too many.
func TestStrikes(t *testing.T) {
	t.Parallel()
	const client = "192.0.2.1:1"
	large := strings.Repeat("x", 2000)
	ws := func(frames ...[]byte) func(*fixture) {
		return func(f *fixture) {
			conn, err := f.listener.Dial()
			if err != nil {
				f.t.Fatal(err)
			}
			defer conn.Close()
			request := strings.Replace(fmt.Sprintf(wsRequest, ""), "\r\n\r\n", "\r\nX-Address: "+client+"\r\n\r\n", 1)
			dialRequest(f.t, conn, request, frames...)
			<-(<-f.sessions).closed
		}
	}
	post := func(body string) func(*fixture) {
		return func(f *fixture) {
			_, open, _ := f.do("GET", base, "", "X-Address", client)
			f.do("POST", base+"&sid="+openID(f.t, open), body, "X-Address", client)
		}
	}
	fragment := masked(wsframe.Text, "4")
	fragment[0] &^= 0x80
	more := masked(0, "x")
	more[0] &^= 0x80
	for name, misbehave := range map[string]func(*fixture){
		"invalid packet over WebSocket": ws(masked(wsframe.Text, "x")),
		"invalid packet in a POST":      post("x"),
		"not UTF-8":                     post("4\xff"),
		"too many packets":              post(strings.Repeat("4\x1e", 20) + "4"),
		"a body too large":              post("4" + large),
		"a message too large":           ws(masked(wsframe.Text, "4"+large)),
		"an unmasked frame":             ws([]byte{0x81, 0x01, '4'}),
		"too many fragments":            ws(bytes.Join([][]byte{fragment, more, more, more, more}, nil)),
		"reported from above": func(f *fixture) {
			_, _, _ = f.do("GET", base, "", "X-Address", client)
			(<-f.sessions).session.Strike()
		},
		"a POST after the upgrade": func(f *fixture) {
			_, open, _ := f.do("GET", base, "", "X-Address", client)
			sid := openID(f.t, open)
			c := f.dial("&sid=" + sid)
			defer c.conn.Close()
			c.send("2probe", "5")
			c.read()
			synctest.Wait()
			f.do("POST", base+"&sid="+sid, "4"+large, "X-Address", client)
		},
		"a body that trickles": func(f *fixture) {
			_, open, _ := f.do("GET", base, "", "X-Address", client)
			_, r := f.raw("POST /engine.io/?EIO=4&transport=polling&sid=" + openID(f.t, open) + " HTTP/1.1\r\nHost: x\r\nX-Address: " + client +
				"\r\nContent-Length: 5\r\n\r\n4")
			answer(f.t, r)
		},
		"more than twice the inbound budget": func(f *fixture) {
			_, _, _ = f.do("GET", base, "", "X-Address", client)
			(<-f.sessions).session.end(ReasonInboundOverflow, errInbound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				f := newFixture(t, Options{
					MaxPayload: 1000,
					Logger:     slog.New(slog.NewTextHandler(&log, nil)),
					Limits: Limits{
						PacketsPerPost: 10, Fragments: 3, BodyTimeout: time.Second,
						Strikes: Strikes{Limit: 3, Window: time.Minute, Ban: 5 * time.Minute},
					},
				}, false)
				defer f.close()
				f.from()
				ask := func(address string) int {
					status, _, _ := f.do("GET", base, "", "X-Address", address)
					return status
				}
				struck := func(n uint64) {
					t.Helper()
					misbehave(f)
					synctest.Wait()
					if s := f.server.Stats().Limits; s.Strikes != n {
						t.Fatalf("%d strikes, want %d", s.Strikes, n)
					}
				}
				for n := range uint64(3) {
					struck(n + 1)
				}
				<-time.After(time.Minute + time.Second) // after which they are forgotten
				for n := range uint64(3) {
					struck(n + 4)
				}
				if got := ask(client); got != 200 {
					t.Errorf("refused after three: %d", got)
				}
				struck(7)
				if got := ask(client); got != 403 {
					t.Errorf("after four: %d", got)
				}
				if resp, body := f.handshake("", "X-Address", client); resp.StatusCode != 403 || body != "this address is refused for a while" {
					t.Errorf("websocket: %d %s", resp.StatusCode, body)
				}
				if got := ask("192.0.2.2:1"); got != 200 {
					t.Errorf("another address: %d", got)
				}
				if s := f.server.Stats().Limits; s.Bans != 1 || s.Banned != 2 {
					t.Errorf("%+v", s)
				}
				if got := log.String(); strings.Count(got, "address=192.0.2.1 ") != 1 || strings.Count(got, "\n") != 1 {
					t.Errorf("log: %s", got)
				}
				<-time.After(5 * time.Minute)
				if got := ask(client); got != 200 {
					t.Errorf("when it is over: %d", got)
				}
			})
		})
	}
}

// Who ends as honest clients do is not struck.
func TestNoStrikes(t *testing.T) {
	t.Parallel()
	for _, limits := range []Limits{{MaxPerAddress: 1}, {HandshakeRate: 1, HandshakeBurst: 1}} {
		synctest.Test(t, func(t *testing.T) {
			limits.Strikes.Limit = 1
			f := newFixture(t, Options{Limits: limits}, true)
			defer f.close()
			f.from()
			for _, reason := range []Reason{ReasonPingTimeout, ReasonTransportClose, ReasonTransportError, ReasonForcedClose, ReasonForcedServerClose, ReasonOutboundOverflow} {
				for range 3 {
					f.do("GET", base, "", "X-Address", "192.0.2.1:1")
				}
				f.do("GET", base+"&sid=unknown", "", "X-Address", "192.0.2.1:1")
				(<-f.sessions).session.end(reason, nil)
				<-time.After(time.Minute)
			}
			if s := f.server.Stats().Limits; s.Strikes != 0 || s.PerAddress+s.HandshakeRate != 12 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// A header by which a proxy tells who its client is, from a peer that is no trusted proxy, is told of once, and only where it matters.
func TestUntrustedForwardingHeader(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"X-Forwarded-For", "Forwarded"} {
		for _, tt := range []struct {
			limits  Limits
			peer    string
			logged  int
			forward string
		}{
			{Limits{MaxPerAddress: 10}, "192.0.2.1:1", 1, "for=198.51.100.1"},
			{Limits{MaxPerAddress: 10}, "192.0.2.1:1", 0, ""},
			{Limits{MaxPerAddress: 10}, "10.0.0.1:1", 0, "for=198.51.100.1"},
			{Limits{}, "192.0.2.1:1", 0, "for=198.51.100.1"},
		} {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				f := newFixture(t, Options{
					Limits: tt.limits, Logger: slog.New(slog.NewTextHandler(&log, nil)), TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
				}, true)
				f.from()
				headers := []string{"X-Address", tt.peer}
				if tt.forward != "" {
					headers = append(headers, header, tt.forward)
				}
				for range 3 {
					f.do("GET", base, "", headers...)
				}
				f.close()
				if got := strings.Count(log.String(), "TrustedProxies"); got != tt.logged {
					t.Errorf("%s, %+v: logged %d times: %s", header, tt, got, &log)
				}
			})
		}
	}
}

// What clients send does not make the table of addresses grow, and it is empty again in the end.
func TestAddressesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := Options{
			Limits:       Limits{HandshakeRate: 1, HandshakeBurst: 1000, MaxPerAddress: 5, MaxAddresses: 1000},
			Logger:       quiet(),
			AllowRequest: func(*http.Request) error { return http.ErrAbortHandler },
		}
		s, err := New(o, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := s.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		r := httptest.NewRequest(http.MethodGet, "/engine.io/?EIO=4&transport=polling", nil)
		from := func(n int) {
			var b [16]byte
			binary.BigEndian.PutUint64(b[:], 0x2001_0db8<<32|uint64(n))
			r.RemoteAddr = "[" + netip.AddrFrom16(b).String() + "]:1"
			s.ServeHTTP(httptest.NewRecorder(), r)
		}
		for n := range 100_000 {
			from(n)
		}
		a := s.addresses
		if got := s.Stats().Limits.Addresses; got != 1000 || a.idleCount != 1000 {
			t.Errorf("%d addresses, %d of them idle", got, a.idleCount)
		}
		// Those heard of last are remembered.
		before := s.stats.limits[limitRate].Load()
		for range 1000 {
			from(99_999)
		}
		if got := s.stats.limits[limitRate].Load() - before; got != 1 {
			t.Errorf("%d refused", got)
		}
		<-time.After(1000*time.Second + 2*sweepAddresses)
		if got := s.Stats().Limits.Addresses; got != 0 || a.sweeping || a.idle.next != &a.idle || a.idle.prev != &a.idle {
			t.Errorf("%d addresses in the end, sweeping %v", got, a.sweeping)
		}
	})
}

// An address is struck also when its last session has just ended.
func TestStrikeAfterTheEnd(t *testing.T) {
	t.Parallel()
	l, err := Limits{Strikes: Strikes{Limit: 1}}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	a := newAddresses(&l)
	e, _, ok := a.enter("192.0.2.1:1")
	if !ok || a.leave(e) || len(a.all) != 0 {
		t.Fatalf("%v %v", ok, a.all)
	}
	if ban, sweep := a.strike(e); ban || !sweep || a.idleCount != 1 {
		t.Errorf("first strike: %v %v %d", ban, sweep, a.idleCount)
	}
	if ban, sweep := a.strike(&address{key: e.key}); !ban || sweep || len(a.all) != 1 {
		t.Errorf("second strike: %v %v %d", ban, sweep, len(a.all))
	}
	if _, met, ok := a.enter("192.0.2.1:2"); ok || met != limitBan {
		t.Errorf("%v %v", met, ok)
	}
}

// Nothing of it is there for a session if no limit goes by the address.
func TestStrikesOffCostNothing(t *testing.T) {
	f := newFixture(t, Options{}, true)
	defer f.close()
	_, r := f.openPolling()
	if f.server.addresses != nil || r.session.rare != nil {
		t.Error("addresses are kept")
	}
	// Not in parallel, because of this.
	if n := testing.AllocsPerRun(100, r.session.Strike); n != 0 {
		t.Errorf("%v allocations", n)
	}
	r.session.end(ReasonForcedClose, nil)
}

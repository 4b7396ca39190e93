package crowd

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Hostile is those who misbehave. Each has several ways to do so, of which a visit takes one.
var Hostile = []Kind{Connections, Events, Giants, Trickles, HalfUpgrades, Strangers, Silent, Deaf, Nonsense}

// The kinds of Hostile.
var (
	// Connections come and go at once: bare ones, handshakes over polling, WebSockets that join and are reset.
	Connections = Kind{"floods of connections", (*visitor).connections}
	// Events come in bursts, with and without acknowledgements.
	Events = Kind{"floods of events", (*visitor).events}
	// Giants announce or send more than the server accepts: in a frame, in fragments, in a body with and without a length.
	Giants = Kind{"giants", (*visitor).giants}
	// Trickles send a byte now and then: of a request's head, of a body, of a frame. That is slow loris.
	Trickles = Kind{"slow loris", (*visitor).trickle}
	// HalfUpgrades probe a WebSocket and never finish the upgrade: in silence, gone at once, still polling.
	HalfUpgrades = Kind{"half upgrades", (*visitor).halfUpgrade}
	// Strangers open a session and never join a namespace.
	Strangers = Kind{"never connect", (*visitor).stranger}
	// Silent join and then say and read nothing, as what is half-open does.
	Silent = Kind{"half-open", (*visitor).silent}
	// Deaf ask for much and read nothing, or little.
	Deaf = Kind{"slow readers", (*visitor).deaf}
	// Nonsense is bytes, frames, payloads and packets that are none.
	Nonsense = Kind{"garbage", (*visitor).nonsense}
)

func (v *visitor) connections() error {
	l, err := v.dial()
	if err != nil {
		return err
	}
	defer l.reset()
	switch v.choice % 3 {
	case 0:
		return nil
	case 1:
		_, err = l.get(version4 + "polling")
		return err
	}
	return l.open(true)
}

func (v *visitor) events() error {
	l, err := v.dial()
	if err != nil {
		return err
	}
	defer l.reset()
	if err := l.open(true); err != nil {
		return err
	}
	// What is acked, what nobody handles, and what has an argument that is not the handler's.
	event := [...]string{`420["echo","x"]`, `42["nobody",{"a":[1,2,3]}]`, `42["echo",{"not":"text"}]`}[v.choice%3]
	var burst []byte
	for range max(v.Burst, 1) {
		burst = frame(burst, opText, event)
	}
	if err := l.put(string(burst)); err != nil {
		return err
	}
	// Whoever is reset at once has what it sent thrown away.
	const moment = 100 * time.Millisecond
	v.pause(moment)
	return nil
}

func (v *visitor) giants() error {
	l, err := v.dial()
	if err != nil {
		return err
	}
	defer l.reset()
	limit := v.maxPayload()
	const one = 4 << 10 // bytes at a time
	chunk := strings.Repeat("x", one)
	way := v.choice % 100
	if way < 2 { // the others announce it, which costs them nothing
		return v.giantFragments(l, chunk, way == 0)
	}
	switch way % 3 {
	case 0:
		if err := l.open(true); err != nil {
			return err
		}
		if err := l.put(string(header(nil, final|opText, uint64(limit)*uint64(2+v.choice%1000))) + chunk); err != nil {
			return err
		}
	default:
		sid, err := l.session()
		if err != nil {
			return err
		}
		length := fmt.Sprintf("Content-Length: %d", limit*(2+v.choice%1000))
		if way%3 == 2 {
			length = "Transfer-Encoding: chunked"
			chunk = fmt.Sprintf("%x\r\n", limit*(2+v.choice%1000)) + chunk
		}
		err = l.put("POST " + version4 + "polling&sid=" + sid + " HTTP/1.1\r\nHost: perch.test\r\nContent-Type: text/plain\r\n" +
			length + "\r\n\r\n4" + chunk)
		if err != nil {
			return err
		}
	}
	return v.untilThrownOut(l)
}

// giantFragments sends a message that is too long piece by piece, or frames for ever of one that is not.
func (v *visitor) giantFragments(l *line, chunk string, tooLong bool) error {
	if err := l.open(true); err != nil {
		return err
	}
	piece := append(header(nil, opContinuation, uint64(len(chunk))), chunk...)
	pieces := v.maxPayload()/len(chunk) + 2
	if !tooLong {
		piece, pieces = header(nil, opContinuation, 0), 1000
	}
	if err := l.put(string(header(nil, opText, 1)) + "2"); err != nil {
		return err
	}
	for range pieces {
		if err := l.put(string(piece)); err != nil {
			return err
		}
	}
	return v.untilThrownOut(l)
}

// untilThrownOut reads until the server closes, or the stay is over.
func (v *visitor) untilThrownOut(l *line) error {
	l.wait(v.stay)
	_, _ = io.Copy(io.Discard, l.in)
	return nil
}

// leaveIn ends a connection when the stay is over.
func (v *visitor) leaveIn(l *line) *time.Timer {
	return time.AfterFunc(v.stay, func() { _ = l.Close() })
}

// session opens one over polling.
func (l *line) session() (sid string, err error) {
	opened, err := l.get(version4 + "polling")
	if err == nil {
		if sid = sessionOf(opened); sid == "" {
			err = fmt.Errorf("no session: %.200q", opened)
		}
	}
	return sid, err
}

func (v *visitor) trickle() error {
	l, err := v.dial()
	if err != nil {
		return err
	}
	defer l.reset()
	begin, more := "", "x"
	switch v.choice % 3 {
	case 0:
		begin = "GET " + version4 + "polling HTTP/1.1\r\nHost: perch.test\r\nX-Slow: "
	case 1:
		sid, err := l.session()
		if err != nil {
			return err
		}
		begin = "POST " + version4 + "polling&sid=" + sid + " HTTP/1.1\r\nHost: perch.test\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\n4"
	default:
		if err := l.open(true); err != nil {
			return err
		}
		begin = string(header(nil, final|opText, 1000))
	}
	err = l.put(begin)
	const slowly = time.Second
	for end := time.Now().Add(v.stay); err == nil && time.Now().Before(end) && v.pause(min(slowly, time.Until(end))); {
		err = l.put(more)
	}
	return err
}

func (v *visitor) halfUpgrade() error {
	polling, err := v.dial()
	if err != nil {
		return err
	}
	defer polling.reset()
	sid, err := polling.session()
	if err != nil {
		return err
	}
	socket, err := v.dial()
	if err != nil {
		return err
	}
	defer socket.reset()
	if err := socket.upgrade(version4 + "websocket&sid=" + sid); err != nil {
		return err
	}
	if err := socket.send("2probe"); err != nil {
		return err
	}
	socket.wait(patience)
	if err := socket.expect("3probe"); err != nil {
		return err
	}
	switch v.choice % 3 {
	case 0:
		return nil
	case 1: // the session goes on, over polling
		defer v.leaveIn(polling).Stop()
		for {
			got, err := polling.get(version4 + "polling&sid=" + sid)
			if err != nil {
				return err
			}
			answer := "3"
			if strings.HasPrefix(got, "6") { // the server has parked the poll
				answer = "40"
			}
			if _, err := polling.post(version4+"polling&sid="+sid, answer); err != nil {
				return err
			}
		}
	}
	return v.untilThrownOut(socket)
}

func (v *visitor) stranger() error {
	l, err := v.dial()
	if err != nil {
		return err
	}
	defer l.reset()
	if v.choice%2 == 0 {
		sid, err := l.session()
		if err != nil {
			return err
		}
		defer v.leaveIn(l).Stop()
		for {
			if _, err := l.get(version4 + "polling&sid=" + sid); err != nil {
				return err
			}
			if _, err := l.post(version4+"polling&sid="+sid, "3"); err != nil {
				return err
			}
		}
	}
	if err := l.open(false); err != nil {
		return err
	}
	l.wait(v.stay)
	for {
		if _, err := l.text(); err != nil { // it does answer pings
			return nil
		}
	}
}

func (v *visitor) silent() error {
	l, err := v.dial()
	if err != nil {
		return err
	}
	defer l.reset()
	switch v.choice % 3 {
	case 0:
		err = l.upgrade(plainAt)
	case 1:
		err = l.upgrade(version3 + "websocket")
	default:
		err = l.open(true)
	}
	if err != nil {
		return err
	}
	v.pause(v.stay)
	return nil
}

func (v *visitor) deaf() error {
	l, err := v.dial()
	if err != nil {
		return err
	}
	defer l.reset()
	if err := l.open(true); err != nil {
		return err
	}
	if err := l.send(fmt.Sprintf(`420["join",%d]`, v.room), `42["flood",{"n":500,"size":10000}]`); err != nil {
		return err
	}
	if v.choice%2 == 0 {
		v.pause(v.stay)
		return nil
	}
	some := make([]byte, 1000)
	for end := time.Now().Add(v.stay); time.Now().Before(end) && v.pause(100*time.Millisecond); {
		l.wait(v.stay)
		if _, err := l.in.Read(some); err != nil {
			return err
		}
	}
	return nil
}

// packets are such as no client of any protocol sends.
var packets = []string{
	"", "9", "4", "49", "42", "42[", "42[]", "42[1]", `42["x",`, `42/nowhere,["x"]`, `40{"token":`, "40/nowhere,", "43", `439999999999["x"]`,
	`451-["x",{"_placeholder":true,"num":9}]`, `45100000-["x"]`, "bAAAA", "b!", "5", "6", "2probe", "3probe", "1", "0{}",
	"42" + strings.Repeat("[", 5000), `42["x",` + strings.Repeat(`{"a":`, 2000), "\xff\xfe\xfd", `42["\ud800"]`, "4\x1e4\x1e\x1e", "3:abc",
}

func (v *visitor) nonsense() error {
	l, err := v.dial()
	if err != nil {
		return err
	}
	defer l.reset()
	noise := make([]byte, 1+v.rng.IntN(300))
	for i := range noise {
		noise[i] = byte(v.rng.IntN(256))
	}
	packet := packets[v.rng.IntN(len(packets))]
	switch v.choice % 6 {
	case 0: // no HTTP
		err = l.put(string(noise) + "\r\n\r\n")
	case 1: // no frames
		if err = l.open(true); err == nil {
			err = l.put(string(noise))
		}
	case 2: // frames of reserved kinds, without mask, out of turn
		if err = l.open(true); err == nil {
			err = l.put(string([]byte{byte(v.rng.IntN(256)), byte(v.rng.IntN(256))}) + string(noise))
		}
	case 3:
		if err = l.open(v.rng.IntN(2) == 0); err == nil {
			err = l.put(string(frame(nil, byte(1+v.rng.IntN(2)), packet)))
		}
	case 4:
		var sid string
		if sid, err = l.session(); err == nil {
			_, err = l.post(version4+"polling&sid="+sid, packet+"\x1e"+string(noise))
		}
	default:
		if err = l.upgrade(plainAt); err == nil {
			err = l.put(string(frame(nil, opText, `{"event":`+packet)))
		}
	}
	if err != nil {
		return nil // it was thrown out, as it should be
	}
	return v.untilThrownOut(l)
}

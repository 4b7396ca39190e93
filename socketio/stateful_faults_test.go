package socketio

import (
	"context"
	"fmt"
	"net/http"
	"time"
)

// kick disconnects a peer.
func (w *world) kick(p *peer) {
	synced(w)
	v, all := w.visit(p), w.pick(2) == 1
	if v == nil {
		return
	}
	w.note("the server disconnects peer %d, %s, from all: %t", p.number, v.namespace, all)
	w.mu.Lock()
	for _, v := range p.all {
		v.kicked = v.kicked || all
	}
	v.kicked, v.over = true, true
	if all {
		p.cut()
	}
	w.mu.Unlock()
	w.socket(v).Disconnect(all)
}

// leave ends a connection.
func (w *world) leave(p *peer) {
	p.leave(w.pick(3))
}

func (p *peer) leave(how int) {
	p.w.note("peer %d leaves, %d", p.number, how)
	p.w.mu.Lock()
	p.cut()
	conn, probe, cancel := p.socket, p.probe, p.cancel
	p.w.mu.Unlock()
	if probe != nil {
		_ = probe.Close()
	}
	switch {
	case conn == nil && how == 0 && p.sid != "":
		if status := p.post("1"); status != http.StatusOK {
			p.w.failf("post of a close packet: %d", status)
		}
	case conn == nil && cancel != nil:
		cancel()
	case conn == nil: // is not heard of any more
	case how == 0:
		p.write(conn, masked(1, "1"))
	case how == 1:
		p.write(conn, masked(8, "\x03\xe8"))
	default:
		_ = conn.Close()
	}
}

// offences end a connection: as messages, as packets, and as what is written to a WebSocket.
var (
	badMessages = [...]any{
		"", "x", "7", "2", "2{}", "2[]", `2["connect"]`, `2["x"`, `2["x",]`, `2/nowhere,["x"]`, `2/a["x"]`, "4{}", `299999999999999999999["x"]`,
		`511-["x"]`, `51-["x",{"_placeholder":true,"num":7}]`, "3", "31", "31{}", []byte("of nothing"), `2["x` + "\n" + `"]`,
	}
	badPackets = [...]string{"", "9", "2", "b!", "x", "4", "4\x1e"}
	badFrames  = [...]string{
		"\x81\x01x", "\xc1\x80\x00\x00\x00\x00", "\x83\x80\x00\x00\x00\x00", "\x80\x80\x00\x00\x00\x00", "\x81\xfe\x00\x01\x00\x00\x00\x00x",
		"\x81\xff\x00\x00\x00\x00\x00\x0f\x42\x41\x00\x00\x00\x00", "\x81\x81\x00\x00\x00\x00\xff", "\x09\x80\x00\x00\x00\x00", "\x88\x81\x00\x00\x00\x00x",
	}
)

// offend breaks a rule.
func (w *world) offend(p *peer) {
	kind, n, v := w.pick(4), w.byte(), w.visit(p)
	w.mu.Lock()
	open, conn, pending := p.sid != "", p.socket, p.cancel != nil
	if open {
		p.cut()
	}
	if len(p.owed) > 0 { // bytes would be welcome
		n = 0
	}
	w.mu.Unlock()
	if !open {
		return
	}
	w.note("peer %d breaks a rule, %d %d", p.number, kind, n)
	switch {
	case kind == 3 && v != nil: // text where an attachment is awaited
		p.send(0, fmt.Sprintf(`51-%s["bytes",0,0,0,{"_placeholder":true,"num":0}]`, wire(v.namespace)), "2"+wire(v.namespace)+`["in"]`)
	case kind > 1:
		p.send(0, badMessages[n%len(badMessages)])
	case kind == 1 && conn == nil:
		p.post(badPackets[n%len(badPackets)])
	case kind == 1:
		p.write(conn, masked(1, badPackets[n%len(badPackets)]))
	case conn != nil:
		p.write(conn, []byte(badFrames[n%len(badFrames)]))
	case pending: // a second poll at once
		p.request(context.Background(), http.MethodGet, "polling&sid="+p.sid, "")
	default:
		p.post("4\xff")
	}
	synced(w)
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.socket != nil && !p.gone {
		w.failLocked("peer %d breaks a rule, and its connection goes on", p.number)
	}
}

func (w *world) wait(*peer) {
	d := time.Duration(1+w.pick(50)) * time.Millisecond
	w.note("%v go by", d)
	<-time.After(d)
}

// longWait is too long for those who do not answer pings, have joined no namespace, or are about to upgrade.
func (w *world) longWait(*peer) {
	<-time.After(50 * time.Millisecond) // longer than any hook takes
	synced(w)
	w.mu.Lock()
	for _, p := range w.alive() {
		p.pings = min(p.pings, 1)
		if late := p.sid == "" || len(p.heard) == 0 || len(p.owed) > 0; p.mute || late {
			p.cut()
		}
	}
	w.mu.Unlock()
	w.note("a minute goes by")
	w.pass(long)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.alive() {
		if p.probe != nil {
			w.failLocked("peer %d has been upgrading for a minute", p.number)
		}
	}
	if n := w.server.Engine().Sessions(); n != len(w.alive()) {
		w.failLocked("%d sessions, of %d clients", n, len(w.alive()))
	}
}

func (w *world) silence(p *peer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p.mute = !p.mute
	w.note("peer %d answers no pings: %t", p.number, p.mute)
}

// stray makes a request that is refused and changes nothing.
func (w *world) stray(p *peer) {
	how := w.pick(5)
	w.mu.Lock()
	sid, conn, probe := p.sid, p.socket, p.probe
	w.mu.Unlock()
	if sid == "" {
		return
	}
	w.note("a stray request for peer %d, %d", p.number, how)
	want := http.StatusBadRequest
	var status int
	switch how {
	case 0:
		status, _ = p.request(context.Background(), http.MethodGet, "polling&sid=nobody", "")
	case 1:
		status, _ = p.request(context.Background(), http.MethodPut, "polling&sid="+sid, "4x")
	case 2:
		status, _ = p.request(context.Background(), http.MethodGet, "websocket&sid="+sid, "")
	case 3:
		status, _ = p.request(context.Background(), http.MethodGet, "smoke&sid="+sid, "")
	default:
		if conn == nil && probe == nil {
			return
		}
		if conn != nil {
			if status = p.post("42[]"); status != want { // after the upgrade
				w.failf("a post after the upgrade: %d", status)
			}
		}
		second := p.dial()
		go func() {
			buf := make([]byte, 512)
			for {
				if _, err := second.Read(buf); err != nil {
					_ = second.Close()
					return
				}
			}
		}()
		status = want
	}
	if status != want {
		w.failf("stray request %d: %d", how, status)
	}
}

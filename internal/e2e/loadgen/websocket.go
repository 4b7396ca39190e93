//go:build linux

package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// received is what has come on a WebSocket connection.
func (g *generator) received(c *connection, b []byte, now int64) {
	if c.state == upgrading {
		i := bytes.Index(b, []byte("\r\n\r\n"))
		if i < 0 {
			c.in = append(c.in, b...)
			return
		}
		if !bytes.HasPrefix(b, []byte("HTTP/1.1 101")) {
			g.fail(c, "no upgrade: "+some(b))
			return
		}
		b = b[i+4:]
		c.state = opening
		if !g.engine {
			g.isReady(c, now)
			if c.state == dead {
				return
			}
		}
	}
	g.answers = g.answers[:0]
	for len(b) >= 2 {
		length, head := int(b[1]&0x7f), 2
		switch {
		case length == 126 && len(b) >= 4:
			length, head = int(binary.BigEndian.Uint16(b[2:])), 4
		case length == 127 && len(b) >= 10:
			length, head = int(binary.BigEndian.Uint64(b[2:])), 10
		case length > 125:
			length = len(b) // not all of the head is there
		}
		if len(b) < head+length {
			break
		}
		op, payload := b[0]&0xf, b[head:head+length]
		switch {
		case op >= opClose:
			g.control(c, op, payload)
		case op != opContinuation && b[0]&final != 0:
			g.message(c, payload, now)
		default:
			if op != opContinuation {
				c.message = c.message[:0]
			}
			if c.message = append(c.message, payload...); b[0]&final != 0 {
				g.message(c, c.message, now)
			}
		}
		if c.state == dead {
			return
		}
		b = b[head+length:]
	}
	if len(b) > 0 {
		c.in = append(c.in, b...)
	}
	g.send(c, g.answers)
}

func (g *generator) control(c *connection, op byte, payload []byte) {
	switch op {
	case opPing:
		c.pings++
		g.pings++
		g.answers = append(g.answers, frame(opPong, string(payload))...)
	case opClose:
		g.fail(c, "the server closed the connection: "+some(payload))
	}
}

func (g *generator) message(c *connection, m []byte, now int64) {
	if slot, ok := g.slot(m); ok {
		g.isAcked(c, slot, now)
		return
	}
	if string(m) == g.news {
		g.isDelivered(c, now)
		return
	}
	switch {
	case !g.engine:
	case string(m) == "2":
		c.pings++
		g.pings++
		g.answers = append(g.answers, g.pong...)
		return
	case c.state == opening && bytes.HasPrefix(m, []byte("0{")):
		c.state = joining
		g.answers = append(g.answers, g.connect...)
		return
	case c.state == joining && bytes.HasPrefix(m, []byte("40")):
		g.isReady(c, now)
		return
	case string(m) == "1", bytes.HasPrefix(m, []byte("41")):
		g.fail(c, "the server closed the connection: "+some(m))
		return
	}
	g.fail(c, "a wrong answer: "+some(m))
}

// isReady is when a connection can be used.
func (g *generator) isReady(c *connection, now int64) {
	c.state = ready
	g.ready++
	g.pending--
	if g.scenario != "connect" {
		return
	}
	if g.measuring {
		g.times.add(now - c.began)
		g.count++
	}
	g.drop(c)
}

// isAcked is when an event was answered.
func (g *generator) isAcked(c *connection, slot int, now int64) {
	if slot >= len(c.sent) || c.sent[slot] == 0 {
		g.fail(c, fmt.Sprintf("the ack of an event that was not sent: %d", slot))
		return
	}
	if g.measuring {
		g.count++
	}
	g.took(&g.times, c.sent[slot], now)
	if g.repeating && g.active == 0 {
		c.sent[slot] = now
		g.answers = append(g.answers, g.echoes[slot]...)
		return
	}
	c.sent[slot] = 0
	g.acked++
	if g.repeating {
		g.rotate(now)
	}
}

// rotate sends an event on the next connection that has none in flight.
func (g *generator) rotate(now int64) {
	for range g.ring {
		c := g.ring[g.turnOf]
		g.turnOf = (g.turnOf + 1) % len(g.ring)
		if c.state == ready && c.sent[0] == 0 {
			c.sent[0] = now
			g.send(c, g.echoes[0])
			return
		}
	}
}

// isDelivered is when a broadcast has come.
func (g *generator) isDelivered(c *connection, now int64) {
	if c.outside || c.received >= g.cast {
		g.fail(c, "a broadcast that was not asked for")
		return
	}
	i := c.received % inFlight
	c.received++
	if g.measuring {
		g.count++
	}
	g.took(&g.times, g.castAt[i], now)
	if g.delivered[i]++; int(g.delivered[i]) < g.receivers() {
		return
	}
	g.delivered[i] = 0
	g.complete++
	g.took(&g.rounds, g.castAt[i], now)
	if g.rate == 0 {
		g.broadcast(g.now())
	}
}

// broadcast triggers one, which was due then.
func (g *generator) broadcast(due int64) {
	g.castAt[g.cast%inFlight] = due
	g.cast++
	g.send(g.caster, g.trigger)
}

// some of what has come, for a message.
func some(b []byte) string { return fmt.Sprintf("%q", b[:min(len(b), 200)]) }

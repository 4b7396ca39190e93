package compliance

import (
	"fmt"
	"strings"
)

// framing is section 1: lengths at the borders of their three forms.
func framing() (scenes []scene) {
	for kind, m := range []struct {
		op   byte
		name string
		fill string
	}{{opText, "text", "*"}, {opBinary, "binary", "\xfe"}} {
		lengths := []int{0, 125, 126, 127, 128, 65535, 65536}
		for i, n := range lengths {
			scenes = append(scenes, scene{id: fmt.Sprintf("1.%d.%d", kind+1, i+1), title: fmt.Sprintf("%s of %d octets", m.name, n), play: func(c *client) {
				c.echoed(frame{op: m.op, payload: strings.Repeat(m.fill, n)})
				c.leave()
			}})
		}
		scenes = append(scenes, scene{id: fmt.Sprintf("1.%d.%d", kind+1, len(lengths)+1), title: m.name + " of 65536 octets in pieces of 997", play: func(c *client) {
			payload := strings.Repeat(m.fill, 65536)
			c.pieces(encode(frame{op: m.op, payload: payload}), 997)
			c.want(m.op, payload)
			c.leave()
		}})
	}
	return scenes
}

const (
	hello = "Hello, world!"
	// bytesNoText is no UTF-8.
	bytesNoText = "\x00\xff\xfe\xfd\xfc\xfb\x00\xff"
)

// pings is section 2.
func pings() []scene {
	answered := func(payload string) func(*client) {
		return func(c *client) {
			c.send(ping(payload))
			c.want(opPong, payload)
			c.leave()
		}
	}
	ten := func(c *client, send func(frame)) {
		for i := range 10 {
			send(ping(fmt.Sprintf("payload-%d", i)))
		}
		for i := range 10 {
			c.want(opPong, fmt.Sprintf("payload-%d", i))
		}
		c.leave()
	}
	full := strings.Repeat("\xfe", 125)
	return []scene{
		{id: "2.1", title: "ping without payload", play: answered("")},
		{id: "2.2", title: "ping with text", play: answered(hello)},
		{id: "2.3", title: "ping with bytes that are no text", play: answered(bytesNoText)},
		{id: "2.4", title: "ping with the most payload, 125 octets", play: answered(full)},
		{id: "2.5", title: "ping with 126 octets", play: func(c *client) {
			c.send(ping(full + "\xfe"))
			c.failed(codeProtocol)
		}},
		{id: "2.6", title: "ping with 125 octets, octet by octet", play: func(c *client) {
			c.pieces(encode(ping(full)), 1)
			c.want(opPong, full)
			c.leave()
		}},
		{id: "2.7", title: "pong that nobody asked for, empty", play: func(c *client) {
			c.send(pong(""))
			c.leave()
		}},
		{id: "2.8", title: "pong that nobody asked for, with payload", play: func(c *client) {
			c.send(pong("nobody asked"))
			c.leave()
		}},
		{id: "2.9", title: "pong that nobody asked for, then a ping", play: func(c *client) {
			c.send(pong("nobody asked"), ping("ping payload"))
			c.want(opPong, "ping payload")
			c.leave()
		}},
		{id: "2.10", title: "ten pings", play: func(c *client) { ten(c, func(f frame) { c.send(f) }) }},
		{id: "2.11", title: "ten pings, octet by octet", play: func(c *client) { ten(c, func(f frame) { c.pieces(encode(f), 1) }) }},
	}
}

// reservedBits is section 3.
func reservedBits() []scene {
	// A good message, the bad one and a ping: the first is answered, the last is not.
	between := func(bits byte, send func(c *client, frames ...frame)) func(*client) {
		return func(c *client) {
			send(c, text(hello), text(hello).reserved(bits), ping(""))
			c.want(opText, hello)
			c.failed(codeProtocol)
		}
	}
	alone := func(f frame) func(*client) {
		return func(c *client) {
			c.send(f)
			c.failed(codeProtocol)
		}
	}
	return []scene{
		{id: "3.1", title: "text with bits 001", play: alone(text(hello).reserved(1))},
		{id: "3.2", title: "text, text with bits 010, ping", play: between(2, (*client).send)},
		{id: "3.3", title: "text, text with bits 011, ping, a write for each frame", play: between(3, (*client).sendEach)},
		{id: "3.4", title: "text, text with bits 100, ping, octet by octet", play: between(4, (*client).sendOctets)},
		{id: "3.5", title: "binary with bits 101", play: alone(frame{op: opBinary, payload: bytesNoText}.reserved(5))},
		{id: "3.6", title: "ping with bits 110", play: alone(ping(hello).reserved(6))},
		{id: "3.7", title: "close with bits 111", play: func(c *client) {
			c.send(closing("").reserved(7))
			c.failed(codeProtocol)
		}},
	}
}

// sendEach sends each frame in a write of its own.
func (c *client) sendEach(frames ...frame) {
	c.t.Helper()
	for _, f := range frames {
		c.send(f)
	}
}

// sendOctets sends octet by octet on either way.
func (c *client) sendOctets(frames ...frame) {
	c.t.Helper()
	c.pieces(encode(frames...), 1)
}

// reservedOpcodes is section 4: those between the data frames and close, and those beyond pong.
func reservedOpcodes() (scenes []scene) {
	for kind, from := range []byte{0x3, 0xb} {
		for i := range byte(5) {
			op, payload := from+i, ""
			if i == 1 || i > 2 {
				payload = "reserved opcode payload"
			}
			title := fmt.Sprintf("opcode %#x with %d octets", op, len(payload))
			if i > 1 {
				title = "text, " + title + ", ping"
			}
			scenes = append(scenes, scene{id: fmt.Sprintf("4.%d.%d", kind+1, i+1), title: title, play: func(c *client) {
				bad := frame{op: op, payload: payload}
				if i > 1 {
					c.send(text(hello), bad, ping(""))
					c.want(opText, hello)
				} else {
					c.send(bad)
				}
				c.failed(codeProtocol)
			}})
		}
	}
	return scenes
}

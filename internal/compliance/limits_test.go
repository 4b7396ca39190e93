package compliance

import (
	"fmt"
	"strings"
)

// limits is section 9, large messages, and 10, one that a client's library has cut.
func limits() (scenes []scene) {
	for kind, m := range []struct {
		op         byte
		name, fill string
	}{{opText, "text", "BAsd7&jh23"}, {opBinary, "binary", "\x00\xfe\x00BAsd7\xff"}} {
		add := func(part, n, size int, title string, play func(c *client)) {
			// The suite has text in its odd parts and binary in the even ones.
			scenes = append(scenes, scene{id: fmt.Sprintf("9.%d.%d", part+kind, n+1), title: m.name + " " + title, large: size >= 4<<20, play: play})
		}
		payload := func(size int) string { return strings.Repeat(m.fill, size/len(m.fill)+1)[:size] }
		for i, size := range []int{64 << 10, 256 << 10, 1 << 20, 4 << 20, 8 << 20, 16 << 20} {
			add(1, i, size, fmt.Sprintf("of %d KiB", size>>10), func(c *client) {
				c.echoed(frame{op: m.op, payload: payload(size)})
				c.leave()
			})
		}
		for i, size := range []int{64, 256, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20} {
			add(3, i, 4<<20, fmt.Sprintf("of 4 MiB in frames of %d octets", size), func(c *client) {
				long := payload(4 << 20)
				c.send(fragments(m.op, long, size)...)
				c.want(m.op, long)
				c.leave()
			})
		}
		for i, size := range []int{64, 128, 256, 512, 1024, 2048} {
			add(5, i, 1<<20, fmt.Sprintf("of 1 MiB in pieces of %d octets", size), func(c *client) {
				long := payload(1 << 20)
				c.pieces(encode(frame{op: m.op, payload: long}), size)
				c.want(m.op, long)
				c.leave()
			})
		}
		for i, size := range []int{0, 16, 64, 256, 1024, 4096} {
			add(7, i, size, fmt.Sprintf("of %d octets, many times there and back", size), func(c *client) {
				times := 100
				if c.way.octets {
					times = 20
				}
				for range times {
					c.echoed(frame{op: m.op, payload: payload(size)})
				}
				c.leave()
			})
		}
	}
	return append(scenes, scene{id: "10.1.1", title: "text of 64 KiB in frames of 1300 octets", play: func(c *client) {
		long := strings.Repeat("*", 65536)
		c.send(fragments(opText, long, 1300)...)
		c.want(opText, long)
		c.leave()
	}})
}

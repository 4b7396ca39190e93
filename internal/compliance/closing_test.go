package compliance

import (
	"fmt"
	"strings"
)

// closings is section 7.
func closings() []scene {
	clean := func(f frame, code uint16) func(*client) {
		return func(c *client) {
			c.send(f)
			c.closed(code)
			c.ended()
		}
	}
	// What comes behind the close frame is dropped.
	behind := func(frames ...frame) func(*client) {
		return func(c *client) {
			c.send(frames...)
			c.closed(codeNormal)
			c.cut()
		}
	}
	normal := closeWith(codeNormal, "")
	scenes := []scene{
		{id: "7.1.1", title: "text, then close", play: func(c *client) {
			c.send(text(hello), normal)
			c.want(opText, hello)
			c.closed(codeNormal)
			c.ended()
		}},
		{id: "7.1.2", title: "close twice", play: behind(normal, closing(""))},
		{id: "7.1.3", title: "ping after close", play: behind(normal, ping(""))},
		{id: "7.1.4", title: "text after close", play: behind(normal, text(hello))},
		{id: "7.1.5", title: "close between two fragments", play: behind(firstText("fragment1"), normal, last("fragment2"))},
		{id: "7.1.6", title: "text of 256 KiB, text, close, ping", play: func(c *client) {
			long := strings.Repeat("BAsd7&jh23", 256<<10)[:256<<10]
			c.send(text(long), text(hello), normal, ping(""))
			c.want(opText, long)
			c.want(opText, hello)
			c.closed(codeNormal)
			c.cut()
		}},
		{id: "7.3.1", title: "close without payload", play: clean(closing(""), codeNormal)},
		{id: "7.3.2", title: "close with one octet", play: clean(closing("a"), codeProtocol)},
		{id: "7.3.3", title: "close with a code", play: clean(normal, codeNormal)},
		{id: "7.3.4", title: "close with a code and a reason", play: clean(closeWith(codeNormal, hello), codeNormal)},
		{id: "7.3.5", title: "close with the longest reason, 123 octets", play: clean(closeWith(codeNormal, strings.Repeat("*", 123)), codeNormal)},
		{id: "7.3.6", title: "close with a reason of 124 octets", play: func(c *client) {
			c.send(closeWith(codeNormal, strings.Repeat("*", 124)))
			c.failed(codeProtocol)
		}},
		{id: "7.5.1", title: "close with a reason that is no text", play: clean(closeWith(codeNormal, kosme+"\xed\xa0\x80edited"), codeProtocol)},
	}
	for i, code := range []uint16{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999} {
		scenes = append(scenes, scene{id: fmt.Sprintf("7.7.%d", i+1), title: fmt.Sprintf("close with code %d", code), play: clean(closeWith(code, ""), code)})
	}
	for i, code := range []uint16{0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999} {
		scenes = append(scenes, scene{id: fmt.Sprintf("7.9.%d", i+1), title: fmt.Sprintf("close with code %d, which is none", code), play: clean(closeWith(code, ""), codeProtocol)})
	}
	for i, code := range []uint16{5000, 65535} {
		scenes = append(scenes, scene{id: fmt.Sprintf("7.13.%d", i+1), title: fmt.Sprintf("close with code %d, which is undefined", code), play: clean(closeWith(code, ""), codeProtocol)})
	}
	return scenes
}

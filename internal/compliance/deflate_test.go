package compliance

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// sizes are the messages of sections 12 and 13: characters or octets of each, and octets of the frames that it is
// cut into, if it is.
var sizes = []struct{ length, fragment int }{
	{16, 0}, {64, 0}, {256, 0}, {1024, 0}, {4096, 0}, {8192, 0}, {16384, 0}, {32768, 0}, {65536, 0}, {131072, 0},
	{8192, 256}, {16384, 256}, {32768, 256}, {65536, 256}, {131072, 256}, {131072, 1024}, {131072, 4096}, {131072, 32768},
}

// content is what messages of section 12 are cut from, again and again.
type content struct {
	name  string
	op    byte
	dense bool // it hardly gets shorter
	runes []rune
	bytes string
}

// cut returns a piece of it of the given length: in characters if it is text.
func (d *content) cut(from, length int) string {
	var b strings.Builder
	for length > 0 {
		var n int
		if d.op == opText {
			from %= len(d.runes)
			n = min(length, len(d.runes)-from)
			b.WriteString(string(d.runes[from : from+n]))
		} else {
			from %= len(d.bytes)
			n = min(length, len(d.bytes)-from)
			b.WriteString(d.bytes[from : from+n])
		}
		from, length = from+n, length-n
	}
	return b.String()
}

// kinds are like the suite's files: JSON, a picture, prose, HTML, and what is compressed already.
func kinds() []*content {
	r := rand.New(rand.NewPCG(7692, 6455))
	build := func(part func(i int) string) string {
		var b strings.Builder
		for i := 0; b.Len() < 64<<10; i++ {
			b.WriteString(part(i))
		}
		return b.String()
	}
	words := strings.Fields("habe nun ach Philosophie Juristerei und Medizin und leider auch Theologie durchaus studiert mit hei\u00dfem Bem\u00fchn")
	json := build(func(i int) string {
		return fmt.Sprintf(`{"id":%d,"name":"%s","price":%.2f,"tags":["%s","\u20ac"]},`, i, words[r.IntN(len(words))], r.Float64()*100, words[r.IntN(len(words))])
	})
	html := build(func(i int) string {
		return fmt.Sprintf("<tr class=\"row\"><td>%d</td><td>%s</td></tr>\n", i, words[r.IntN(len(words))])
	})
	return []*content{
		{name: "JSON", op: opText, runes: []rune(json)},
		{name: "picture", op: opBinary, bytes: build(func(i int) string { return string([]byte{byte(i >> 8), byte(i >> 9), byte(r.IntN(8))}) })},
		{name: "prose", op: opBinary, bytes: build(func(int) string { return words[r.IntN(len(words))] + " " })},
		{name: "HTML", op: opText, runes: []rune(html)},
		{name: "noise", op: opBinary, dense: true, bytes: build(func(int) string { return string([]byte{byte(r.Uint32())}) })},
	}
}

// messages sends compressed messages one after the other, as many as make a sensible amount, and expects each back.
func messages(c *client, d *content, length, fragment int) {
	c.t.Helper()
	const amount = 64 << 10
	count := min(20, max(1, amount/length))
	compresses := c.extension != ""
	for i := range count {
		payload := d.cut(i*length, length)
		sent := payload
		if compresses {
			sent = deflate(payload)
		}
		size := fragment
		if size == 0 {
			size = len(sent)
		}
		frames := fragments(d.op, sent, size)
		if compresses {
			frames[0].rsv = 4
		}
		c.send(frames...)
		c.want(d.op, payload)
	}
	if want := compresses && !d.dense && length >= 256; want && c.compressed != count {
		c.failf("%d of %d messages came compressed", c.compressed, count)
	}
	c.leave()
}

const deflateAnswer = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

// contents is section 12: messages of five kinds.
func contents() (scenes []scene) {
	for k, d := range kinds() {
		for i, size := range sizes {
			scenes = append(scenes, scene{id: fmt.Sprintf("12.%d.%d", k+1, i+1), title: fmt.Sprintf("%s, messages of %d in frames of %d", d.name, size.length, size.fragment),
				offer: "permessage-deflate; client_max_window_bits", play: func(c *client) {
					if c.extension != deflateAnswer {
						c.failf("the answer is %q", c.extension)
					}
					messages(c, d, size.length, size.fragment)
				}})
		}
	}
	return scenes
}

// parameters is section 13: what is offered. The server keeps no context, which it says, and has the full window only.
func parameters() (scenes []scene) {
	const offer = "permessage-deflate; client_no_context_takeover; client_max_window_bits"
	json := kinds()[0]
	for k, p := range []struct{ title, offer, answer string }{
		{"nothing asked for", offer, deflateAnswer},
		{"no context takeover", offer + "; server_no_context_takeover", deflateAnswer},
		{"window of 9 bits", offer + "; server_max_window_bits=9", ""},
		{"window of 15 bits", offer + "; server_max_window_bits=15", deflateAnswer + "; server_max_window_bits=15"},
		{"no context takeover, window of 9 bits", offer + "; server_no_context_takeover; server_max_window_bits=9", ""},
		{"no context takeover, window of 15 bits", offer + "; server_no_context_takeover; server_max_window_bits=15", deflateAnswer + "; server_max_window_bits=15"},
		{"three offers, of which the second is the first that can be kept",
			offer + "; server_no_context_takeover; server_max_window_bits=9, " + offer + "; server_no_context_takeover, " + offer, deflateAnswer},
	} {
		for i, size := range sizes {
			scenes = append(scenes, scene{id: fmt.Sprintf("13.%d.%d", k+1, i+1), title: fmt.Sprintf("%s, messages of %d in frames of %d", p.title, size.length, size.fragment),
				offer: p.offer, play: func(c *client) {
					if c.extension != p.answer {
						c.failf("the answer is %q", c.extension)
					}
					messages(c, json, size.length, size.fragment)
				}})
		}
	}
	return scenes
}

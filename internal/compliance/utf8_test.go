package compliance

import (
	"fmt"
	"strings"
)

// kosme is a Greek word, of characters of two and of three octets.
const kosme = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"

// family is a part of section 6: sequences of octets that are all text, or none of which is.
type family struct {
	title string
	valid bool
	texts []string
}

// families are parts 5 to 23, after the stress test of Markus Kuhn. What is valid is said here, by RFC 3629, and asked of no
// library; a part that has both is written as two families in order.
func families() [][]family {
	var prefixes []family
	for n := 1; n <= len(kosme); n++ {
		border := n == 2 || n == 5 || n == 7 || n == 9 || n == 11
		prefixes = append(prefixes, family{"prefix of a word", border, []string{kosme[:n]}})
	}
	starts := func(from, to byte) string {
		var b strings.Builder
		for c := from; c < to; c++ {
			b.WriteByte(c)
			b.WriteByte(' ')
		}
		return b.String()
	}
	var continuations strings.Builder
	for c := byte(0x80); c < 0xbf; c++ {
		continuations.WriteByte(c)
	}
	cut := []string{"\xc0", "\xe0\x80", "\xf0\x80\x80", "\xf8\x80\x80\x80", "\xfc\x80\x80\x80\x80",
		"\xdf", "\xef\xbf", "\xf7\xbf\xbf", "\xfb\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf"}
	// The last two code points of each plane, which stand for no character and are valid all the same.
	var noCharacters []string
	for plane := range rune(0x11) {
		for _, end := range []rune{0xfffe, 0xffff} {
			noCharacters = append(noCharacters, string(plane<<16|end))
		}
	}
	one := func(title string, valid bool, texts ...string) []family { return []family{{title, valid, texts}} }
	return [][]family{
		one("text with characters of each length", true, "hello$world", "hello\xc2\xa2world", "hello\xe2\x82\xacworld", "hello\xf0\xa4\xad\xa2world", kosme),
		prefixes,
		one("first character of each length", true, "\x00", "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80"),
		one("first sequence of five and six octets", false, "\xf8\x88\x80\x80\x80", "\xfc\x84\x80\x80\x80\x80"),
		one("last character of each length", true, "\x7f", "\xdf\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"),
		one("last sequence of four, five and six octets", false, "\xf7\xbf\xbf\xbf", "\xfb\xbf\xbf\xbf\xbf", "\xfd\xbf\xbf\xbf\xbf\xbf"),
		{
			{"beside the surrogates, and the last code point", true, []string{"\xed\x9f\xbf", "\xee\x80\x80", "\xef\xbf\xbd", "\xf4\x8f\xbf\xbf"}},
			{"behind the last code point", false, []string{"\xf4\x90\x80\x80"}},
		},
		one("continuation octets alone", false, "\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80", "\x80\xbf\x80\xbf", "\x80\xbf\x80\xbf\x80", "\x80\xbf\x80\xbf\x80\xbf", continuations.String()),
		one("first octets alone", false, starts(0xc0, 0xdf), starts(0xe0, 0xef), starts(0xf0, 0xf7), starts(0xf8, 0xfb), starts(0xfc, 0xfd)),
		one("sequence without its last octet", false, cut...),
		one("sequences without their last octets", false, strings.Join(cut, "")),
		one("octets that are in no text", false, "\xfe", "\xff", "\xfe\xfe\xff\xff"),
		one("slash, too long", false, "\xc0\xaf", "\xe0\x80\xaf", "\xf0\x80\x80\xaf", "\xf8\x80\x80\x80\xaf", "\xfc\x80\x80\x80\x80\xaf"),
		one("last that is too long", false, "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xf8\x87\xbf\xbf\xbf", "\xfc\x83\xbf\xbf\xbf\xbf"),
		one("zero, too long", false, "\xc0\x80", "\xe0\x80\x80", "\xf0\x80\x80\x80", "\xf8\x80\x80\x80\x80", "\xfc\x80\x80\x80\x80\x80"),
		one("surrogate alone", false, "\xed\xa0\x80", "\xed\xad\xbf", "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbe\x80", "\xed\xbf\xbf"),
		one("pair of surrogates", false, "\xed\xa0\x80\xed\xb0\x80", "\xed\xa0\x80\xed\xbf\xbf", "\xed\xad\xbf\xed\xb0\x80", "\xed\xad\xbf\xed\xbf\xbf",
			"\xed\xae\x80\xed\xb0\x80", "\xed\xae\x80\xed\xbf\xbf", "\xed\xaf\xbf\xed\xb0\x80", "\xed\xaf\xbf\xed\xbf\xbf"),
		one("code point that is no character", true, noCharacters...),
		one("special code point", true, "\ufff9", "\ufffa", "\ufffb", "\ufffc", "\ufffd", "\ufffe", "\uffff"),
	}
}

// unicode is section 6.
func unicode() []scene {
	const word = "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!"
	good := func(payload string, frames ...frame) func(*client) {
		return func(c *client) {
			c.send(frames...)
			c.want(opText, payload)
			c.leave()
		}
	}
	bad := func(frames ...frame) func(*client) {
		return func(c *client) {
			c.send(frames...)
			c.failed(codeInvalid)
		}
	}
	const surrogate = kosme + "\xed\xa0\x80edited"
	// A code point over the last begins like a valid one: its second octet, which is the fourteenth, is one too many.
	const tooHigh = kosme + "\xf4\x90\x80\x80edited"
	const fatal = len(kosme) + 2
	// The rest of the message is never sent.
	inFrames := func(before, bad string) func(*client) {
		return func(c *client) {
			c.send(firstText(before), ping("?"))
			c.want(opPong, "?")
			c.send(more(bad))
			c.failed(codeInvalid)
		}
	}
	inPieces := func(before, to int) func(*client) {
		return func(c *client) {
			b := encode(text(tooHigh))
			head := len(b) - len(tooHigh)
			c.write(b[:head+before])
			c.write(b[head+before : head+to])
			c.failed(codeInvalid)
		}
	}
	scenes := []scene{
		{id: "6.1.1", title: "empty text", play: good("", text(""))},
		{id: "6.1.2", title: "empty text in three fragments", play: good("", firstText(""), more(""), last(""))},
		{id: "6.1.3", title: "text between empty fragments", play: good("middle", firstText(""), more("middle"), last(""))},
		{id: "6.2.1", title: "text in one frame", play: good(word, text(word))},
		{id: "6.2.2", title: "text in two frames, cut between characters", play: good(word, firstText(word[:13]), last(word[13:]))},
		{id: "6.2.3", title: "text in frames of one octet", play: good(word, fragments(opText, word, 1)...)},
		{id: "6.2.4", title: "Greek in frames of one octet", play: good(kosme, fragments(opText, kosme, 1)...)},
		{id: "6.3.1", title: "surrogate in one frame", play: bad(text(surrogate))},
		{id: "6.3.2", title: "surrogate in frames of one octet", play: bad(fragments(opText, surrogate, 1)...)},
		{id: "6.4.1", title: "fails at the frame that is invalid", play: inFrames(kosme, "\xf4\x90\x80\x80")},
		{id: "6.4.2", title: "fails at the frame with the octet that is invalid", play: inFrames(tooHigh[:fatal-1], tooHigh[fatal-1:fatal])},
		{id: "6.4.3", title: "fails within a frame", play: inPieces(len(kosme), len(kosme)+4)},
		{id: "6.4.4", title: "fails within a frame, at the octet that is invalid", play: inPieces(fatal-1, fatal)},
	}
	for i, part := range families() {
		n := 0
		for _, f := range part {
			for _, s := range f.texts {
				n++
				scenes = append(scenes, scene{id: fmt.Sprintf("6.%d.%d", i+5, n), title: fmt.Sprintf("%s: %.24x", f.title, s), play: func(c *client) {
					for _, frames := range [][]frame{{text(s)}, fragments(opText, s, 1)} {
						c.send(frames...)
						if f.valid {
							c.want(opText, s)
							c.leave()
						} else {
							c.failed(codeInvalid)
						}
						c.again()
					}
				}})
			}
		}
	}
	return scenes
}

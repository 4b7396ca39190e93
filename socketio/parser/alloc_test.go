package parser

import (
	"testing"
)

// Performance targets: what the path of an event and its ack may allocate.
// Not parallel, because AllocsPerRun counts everybody's.
func TestAllocations(t *testing.T) {
	dst := make([]byte, 0, 4096)
	p := new(Packet)
	parse := func(text string) func() {
		raw := []byte(text)
		return func() {
			if err := Parse(raw, p, Limits{}); err != nil {
				t.Fatal(err)
			}
		}
	}
	ack := func(args ...any) func() {
		return func() {
			if _, _, err := AppendAck(dst, "/chat", 17, args); err != nil {
				t.Fatal(err)
			}
		}
	}
	decode := func(raw string, v any) func() {
		text := []byte(raw)
		return func() {
			if err := Decode(text, nil, v); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name string
		max  float64
		run  func()
	}{
		{"parse echo", 0, parse(string(echo32))},
		{"parse a kilobyte", 0, parse(string(echo1k))},
		{"parse seven arguments", 0, parse(`2/chat,17["e",1,"2",[3],{"4":[5]},null,true,7]`)},
		{"parse twenty arguments, again", 0, parse(`31[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]`)},
		{"parse an escaped name, again", 0, parse(`2["\u00e9v\u00e9nement"]`)},
		{"parse connect", 0, parse(`0/admin,{"token":"x"}`)},
		{"parse binary", 0, parse(`51-["upload",{"data":{"_placeholder":true,"num":0}}]`)},
		{"refuse", 1, func() { _ = Parse(echo32[:20], p, Limits{}) }},
		{"ack nothing", 0, ack()},
		{"ack string", 0, ack("a string of some length, with é")},
		{"ack scalars", 0, ack(1, true, nil, 1.5, int64(7))},
		{"ack map", 0, ack(map[string]any{"a": 1, "b": []any{"x"}})},
		{"ack bytes", 1, ack([]byte("x"))},
		{"event", 0, func() { _, _, _ = AppendEvent(dst, "/", 0, false, "message", nil) }},
		{"disconnect", 0, func() { AppendDisconnect(dst, "/chat") }},
		{"decode string", 1, decode(`"a string of some length"`, new(string))},
		{"decode int", 0, decode(`1767225600000`, new(int))},
		{"decode bool", 0, decode(`true`, new(bool))},
	} {
		if got := testing.AllocsPerRun(100, test.run); got > test.max {
			t.Errorf("%s: %v allocations, at most %v wanted", test.name, got, test.max)
		}
	}
	if raceEnabled {
		return // json/v2's pools then drop things at random
	}
	for _, test := range []struct {
		name string
		max  float64
		run  func()
	}{
		{"ack struct", 0, ack(&aMessage)},
		{"ack struct with bytes", 1, ack(&upload{"a", []byte("x")})},
		{"ack raw", 0, ack(echoRaw)},
		{"decode struct, again", 0, decode(`{"room":"general","sent":1767225600000}`, new(chatMessage))},
	} {
		if got := testing.AllocsPerRun(100, test.run); got > test.max {
			t.Errorf("%s: %v allocations, at most %v wanted", test.name, got, test.max)
		}
	}
}

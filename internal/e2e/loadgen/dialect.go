//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// dialect is what is said to a server and what it has to answer.
type dialect struct {
	path     string
	engine   bool     // Engine.IO is below it
	connect  []byte   // the packet that joins the namespace
	pong     []byte   // frame
	echoes   [][]byte // frames, by slot: the events that are acked
	trigger  []byte   // frame that makes the server broadcast, to the room if there is one
	join     []byte   // frame that joins the room whose name is the payload; acked in slot 0
	posted   string   // packet of the event that is acked, over polling
	ackHead  string   // begins an ack; the slot follows
	ackTail  string   // and then this
	news     string   // what a broadcast looks like
	answered string   // the packet that acks it
}

const (
	slotDigits = 4
	mostSlots  = 9999
)

var dialects = map[string]func(p *plan) *dialect{
	"sio": func(p *plan) *dialect {
		namespace, pad := "", padding(p.size)
		if p.namespace != "/" {
			namespace = p.namespace + ","
		}
		d := &dialect{
			path:     "/socket.io/?EIO=4&transport=websocket",
			engine:   true,
			connect:  frame(opText, "40"+namespace),
			pong:     frame(opText, "3"),
			trigger:  frame(opText, `42`+namespace+`["`+p.event()+`","`+pad+`"]`),
			join:     frame(opText, `42`+namespace+`0["join","`+pad+`"]`),
			posted:   `420["echo","` + pad + `"]`,
			answered: `430["` + pad + `"]`,
			ackHead:  `43` + namespace,
			ackTail:  `["` + pad + `"]`,
			news:     `42` + namespace + `["bcast","` + pad + `"]`,
		}
		for slot := range p.window {
			d.echoes = append(d.echoes, frame(opText, fmt.Sprintf(`42%s%d["echo","%s"]`, namespace, slot, pad)))
		}
		return d
	},
	"plain": func(p *plan) *dialect {
		pad := padding(p.size)
		d := &dialect{
			path:    "/ws",
			trigger: frame(opText, `{"event":"`+p.event()+`","data":"`+pad+`"}`),
			join:    frame(opText, `{"event":"join","data":"`+pad+`","id":0}`),
			ackHead: `{"id":`,
			ackTail: `,"data":"` + pad + `"}`,
			news:    `{"event":"bcast","data":"` + pad + `"}`,
		}
		for slot := range p.window {
			d.echoes = append(d.echoes, frame(opText, fmt.Sprintf(`{"event":"echo","data":"%s","id":%d}`, pad, slot)))
		}
		return d
	},
	"raw": func(p *plan) *dialect {
		pad := padding(p.size)
		d := &dialect{
			path:    "/",
			ackHead: "E",
			ackTail: pad[:p.size-slotDigits-1],
			news:    "B" + pad[:p.size-1],
		}
		d.trigger = frame(opText, d.news)
		for slot := range p.window {
			d.echoes = append(d.echoes, frame(opText, fmt.Sprintf("E%0*d%s", slotDigits, slot, d.ackTail)))
		}
		return d
	},
}

// event is the one that makes the server broadcast.
func (p *plan) event() string {
	if p.members > 0 {
		return "room"
	}
	return "bcast"
}

// receivers is how many connections get a broadcast.
func (p *plan) receivers() int {
	if p.members > 0 {
		return p.members
	}
	return p.connections
}

func padding(size int) string {
	const some = "abcdefghijklmnopqrstuvwxyz012345"
	return strings.Repeat(some, size/len(some)+1)[:size]
}

// slot reads what an ack is for; ok is false for anything but an ack as it should be.
func (d *dialect) slot(message []byte) (slot int, ok bool) {
	n := len(d.ackHead)
	if len(message) <= n || string(message[:n]) != d.ackHead {
		return 0, false
	}
	i := n
	for ; i < len(message) && message[i]-'0' <= 9 && i-n < slotDigits; i++ {
		slot = slot*10 + int(message[i]-'0')
	}
	return slot, i > n && string(message[i:]) == d.ackTail
}

const (
	opContinuation = 0
	opText         = 1
	opClose        = 8
	opPing         = 9
	opPong         = 10
	final          = 0x80
	masked         = 0x80
)

// frame is a client's frame.
func frame(op byte, payload string) []byte {
	b := []byte{final | op}
	switch n := len(payload); {
	case n < 126:
		b = append(b, masked|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, masked|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, masked|127), uint64(n))
	}
	mask := [4]byte{0x37, 0xfa, 0x21, 0x3d}
	b = append(b, mask[:]...)
	for i := range len(payload) {
		b = append(b, payload[i]^mask[i&3])
	}
	return b
}

// upgrade is the request that opens a WebSocket connection.
func (p *plan) upgrade(d *dialect) []byte {
	path := p.path
	if path == "" {
		path = d.path
	}
	return []byte("GET " + path + " HTTP/1.1\r\nHost: " + p.server.String() + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: http://" + p.server.String() + "\r\n" +
		p.moreHeaders() + "\r\n")
}

// moreHeaders are what a desktop browser behind a reverse proxy sends along.
func (p *plan) moreHeaders() string {
	if p.headers != "browser" {
		return ""
	}
	return "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9,de;q=0.8\r\nCache-Control: no-cache\r\nPragma: no-cache\r\n" +
		"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark; _ga=GA1.1.1234567890.1700000000\r\n" +
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" +
		"X-Forwarded-For: 203.0.113.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: chat.example.com\r\nX-Request-Id: 0b5e8a5e-7f1f-4c35-9d0b-2f3f6b1f6a11\r\n"
}

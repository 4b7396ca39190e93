package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// peer is the server's side of a WebSocket on the loopback. It allocates nothing once the client is connected, so that what a
// benchmark counts is the client's.
type peer struct {
	conn  net.Conn
	in    *bufio.Reader
	head  [4]byte
	frame []byte // what read returned
	out   []byte // what flush writes
}

// benchPeer connects a client to a peer that then does what serve says until the connection ends.
func benchPeer(b *testing.B, serve func(*peer) error) *Socket {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		conn, err := l.Accept()
		if err != nil {
			b.Error(err)
			return
		}
		defer conn.Close()
		p := &peer{conn: conn, in: bufio.NewReaderSize(conn, 64<<10)}
		if err := p.handshake(); err != nil {
			b.Error(err)
			return
		}
		_ = serve(p) // it ends with the connection
	}()
	s, err := Dial(b.Context(), "http://"+l.Addr().String(), Options{Transports: []Transport{WebSocket}, NoReconnection: true, Logger: quiet})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = s.Close()
		<-s.Manager().Done()
		_ = l.Close()
		<-served
	})
	return s
}

func (p *peer) handshake() error {
	r, err := http.ReadRequest(p.in)
	if err != nil {
		return err
	}
	key := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_, err = fmt.Fprintf(p.conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(key[:]))
	if err != nil {
		return err
	}
	p.add(`0{"sid":"a","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`)
	if err := p.flush(); err != nil {
		return err
	}
	if packet, err := p.read(); err != nil || string(packet) != "40" {
		return fmt.Errorf("%q, %v", packet, err)
	}
	p.add(`40{"sid":"b"}`)
	return p.flush()
}

// read returns the next message, one that is not fragmented. A close frame is answered and the end.
func (p *peer) read() ([]byte, error) {
	head := p.head[:]
	if _, err := io.ReadFull(p.in, head[:2]); err != nil {
		return nil, err
	}
	opcode, size := head[0]&0xf, int(head[1]&0x7f)
	switch size {
	case 126:
		if _, err := io.ReadFull(p.in, head[:2]); err != nil {
			return nil, err
		}
		size = int(binary.BigEndian.Uint16(head))
	case 127:
		return nil, errors.New("too large for a benchmark")
	}
	if cap(p.frame) < size+4 {
		p.frame = make([]byte, size+4)
	}
	p.frame = p.frame[:size+4]
	if _, err := io.ReadFull(p.in, p.frame); err != nil {
		return nil, err
	}
	mask, data := p.frame[:4], p.frame[4:]
	for i := range data {
		data[i] ^= mask[i%4]
	}
	if opcode == 8 {
		p.out = append(append(p.out[:0], 0x88, byte(size)), data...)
		return nil, errors.Join(p.flush(), io.EOF)
	}
	return data, nil
}

// add has flush write a text message.
func (p *peer) add(packet string) {
	p.out = append(append(p.out, 0x81, byte(len(packet))), packet...)
}

func (p *peer) flush() error {
	_, err := p.conn.Write(p.out)
	p.out = p.out[:0]
	return err
}

// acknowledge answers each event that wants it with the event's argument.
func (p *peer) acknowledge() error {
	for {
		packet, err := p.read()
		if err != nil {
			return err
		}
		// 42<id>["echo","…"]
		bracket := bytes.IndexByte(packet, '[')
		comma := bytes.IndexByte(packet, ',')
		if bracket > 2 {
			p.out = append(p.out, 0x81, byte(len(packet)-comma-1+bracket+1), '4', '3')
			p.out = append(p.out, packet[2:bracket+1]...)
			p.out = append(p.out, packet[comma+1:]...)
		}
		if p.in.Buffered() == 0 {
			if err := p.flush(); err != nil {
				return err
			}
		}
	}
}

var benchText = strings.Repeat("x", 32)

// BenchmarkEmit is an event from the call to the network.
func BenchmarkEmit(b *testing.B) {
	read := func(p *peer) error {
		for {
			if _, err := p.read(); err != nil {
				return err
			}
		}
	}
	for name, emit := range map[string]func(s *Socket) error{
		"text":  func(s *Socket) error { return s.Send(b.Context(), "count", benchText) },
		"bytes": func(s *Socket) error { return s.Send(b.Context(), "count", []byte(benchText)) },
	} {
		b.Run(name, func(b *testing.B) {
			s := benchPeer(b, read)
			b.ReportAllocs()
			for b.Loop() {
				if err := emit(s); err != nil {
					b.Fatal(err)
				}
			}
			if err := s.Manager().Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// BenchmarkEmitWithAck is an event, its acknowledgement, and the decoding of that, with that many calls at once.
func BenchmarkEmitWithAck(b *testing.B) {
	for _, inFlight := range []int{1, 16} {
		b.Run(fmt.Sprint(inFlight), func(b *testing.B) {
			s := benchPeer(b, (*peer).acknowledge)
			b.ReportAllocs()
			b.ResetTimer()
			var callers sync.WaitGroup
			for i := range inFlight {
				callers.Go(func() {
					for range (b.N + i) / inFlight {
						reply, err := s.EmitWithAck(b.Context(), "echo", benchText)
						var back string
						if err == nil {
							err = reply.Decode(0, &back)
						}
						if err != nil || back != benchText {
							b.Errorf("%q, %v", back, err)
							return
						}
					}
				})
			}
			callers.Wait()
		})
	}
}

// BenchmarkReceive is an event from the network to its handler, which decodes it.
func BenchmarkReceive(b *testing.B) {
	const batch = 64
	ticks := func(p *peer) error {
		packet, err := p.read() // the first says that the benchmark begins
		for i := 0; err == nil; i++ {
			p.add(`42["tick","` + benchText + `"]`)
			if i%batch == 0 {
				err = p.flush()
			}
		}
		_ = packet
		return err
	}
	s := benchPeer(b, ticks)
	done := make(chan struct{})
	n := 0
	s.On("tick", func(_ context.Context, e *Event) {
		var text string
		if err := e.Decode(0, &text); err != nil || text != benchText {
			b.Errorf("%q, %v", text, err)
		}
		if n++; n == b.N {
			close(done)
		}
	})
	b.ReportAllocs()
	b.ResetTimer()
	if err := s.Emit("begin"); err != nil {
		b.Fatal(err)
	}
	<-done
}

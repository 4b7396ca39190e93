package parser

import (
	"bytes"
	"encoding/base64"
	"strconv"

	"github.com/perch-go/perch/internal/jsonscan"
)

// This file is for parsers of formats that know neither namespaces nor attachments, and have one value where an event of
// Socket.IO has any number of arguments: the frames of plain WebSocket clients.

// AssembleData makes p an event or ack with data, JSON text, as its argument; nil is none. It checks what
// [Parse] checks. The packet keeps all it is given.
//
// The error is an [*Error] whose offset is one into data.
func (p *Packet) AssembleData(h Header, event, data []byte, l Limits) error {
	p.reset(data)
	p.Header = h
	i, err := p.checkHeader(l)
	switch {
	case err != nil:
	case h.Type != Event && h.Type != Ack:
		err = ErrType
	case h.Type == Event && reserved(event):
		err = ErrReserved
	case data != nil:
		i, err = p.only(l.withDefaults())
	}
	if err != nil {
		p.count = 0
		return &Error{Offset: i, Err: err}
	}
	p.Event = event
	return nil
}

// only takes the text for the one argument.
func (p *Packet) only(l Limits) (int, error) {
	start := jsonscan.SkipSpace(p.text, 0)
	end, err := jsonscan.Value(p.text, start, 0, l.MaxDepth)
	if err != nil {
		return end, err
	}
	if i := jsonscan.SkipSpace(p.text, end); i < len(p.text) {
		return i, ErrJSON
	}
	p.addSpan(start, end)
	return end, nil
}

// Spread makes the elements of an array that is the only argument the arguments. It does nothing to any other packet.
func (p *Packet) Spread() {
	if p.NumArgs() != 1 || p.Arg(0)[0] != '[' {
		return
	}
	b := p.Arg(0)
	offset := int(p.spans[p.first].start)
	p.count = p.first
	for i := jsonscan.SkipSpace(b, 1); b[i] != ']'; {
		end, _ := jsonscan.Value(b, i, 0, HighestMaxDepth) // it was checked
		p.addSpan(offset+i, offset+end)
		if i = jsonscan.SkipSpace(b, end); b[i] == ',' {
			i = jsonscan.SkipSpace(b, i+1)
		}
	}
}

// AppendData appends the JSON of an event's or ack's arguments as one value: nothing if there are none, the only one as it is,
// several as an array. Bytes in them are base64 text.
//
// The error is an [*EncodeError]; dst is then as it was.
func (o Outgoing) AppendData(dst []byte) ([]byte, error) {
	var e encoder
	start := len(dst)
	var err error
	if len(o.Args) == 1 {
		if dst, err = e.append(dst, o.Args[0], 0); err != nil {
			return dst[:start], &EncodeError{Err: err}
		}
	} else if len(o.Args) > 1 {
		if dst, err = e.args(append(dst, '['), start, &Outgoing{Type: Ack, Args: o.Args}); err != nil {
			return dst, err
		}
	}
	return inline(dst, start, e.attachments), nil
}

// inline puts base64 text in the place of the placeholders behind dst[:start]. All of them are [appendPlaceholder]'s, and
// none can be within a string, where a quote is escaped.
func inline(dst []byte, start int, attachments [][]byte) []byte {
	if len(attachments) == 0 {
		return dst
	}
	const mark = `{"` + placeholderKey + `":true,"` + indexKey + `":`
	text := bytes.Clone(dst[start:])
	dst = dst[:start]
	for {
		before, rest, found := bytes.Cut(text, []byte(mark))
		dst = append(dst, before...)
		if !found {
			return dst
		}
		index, rest, _ := bytes.Cut(rest, []byte{'}'})
		text = rest
		n, err := strconv.Atoi(string(index))
		if err != nil || n >= len(attachments) { // the program's own data looks like a placeholder
			dst = append(append(append(dst, mark...), index...), '}')
			continue
		}
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, attachments[n])
		dst = append(dst, '"')
	}
}

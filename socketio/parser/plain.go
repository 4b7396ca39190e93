package parser

import "github.com/perch-go/perch/internal/jsonscan"

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

// Spread makes the elements of an array that is the only argument the arguments, until Gather. It does nothing to any other packet.
func (p *Packet) Spread() {
	if p.spread || p.NumArgs() != 1 || p.Arg(0)[0] != '[' {
		return
	}
	b := p.Arg(0)
	p.spread, p.whole = true, p.spans[p.first]
	offset := int(p.whole.start)
	p.count = p.first
	for i := jsonscan.SkipSpace(b, 1); b[i] != ']'; {
		end, _ := jsonscan.Value(b, i, 0, HighestMaxDepth) // it was checked
		p.addSpan(offset+i, offset+end)
		if i = jsonscan.SkipSpace(b, end); b[i] == ',' {
			i = jsonscan.SkipSpace(b, i+1)
		}
	}
}

// Gather undoes Spread.
func (p *Packet) Gather() {
	if p.spread {
		p.spread, p.count, p.more = false, p.first, p.more[:0]
		p.addSpan(int(p.whole.start), int(p.whole.end))
	}
}

// AppendData appends the JSON of an event's or ack's arguments as one value: nothing if there are none, the only one as it is,
// several as an array. Bytes in them are base64 text.
//
// The error is an [*EncodeError]; dst is then as it was.
func (o Outgoing) AppendData(dst []byte) ([]byte, error) {
	e := encoder{inline: true}
	start := len(dst)
	var err error
	if len(o.Args) == 1 {
		if dst, err = e.append(dst, o.Args[0], 0); err != nil {
			return dst[:start], &EncodeError{Err: err}
		}
	} else if len(o.Args) > 1 {
		if dst, err = e.args(append(dst, '['), start, 0, &Outgoing{Type: Ack, Args: o.Args}); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

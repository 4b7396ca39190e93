package parser

import "unicode/utf8"

// Assemble makes p the packet that h and payload say, payload being JSON text
// and embedded the attachments that came with it. It is for parsers of other
// formats: it checks what [Parse] checks of a payload, and finds the arguments.
// A packet without payload, as DISCONNECT must be, has an empty one. The packet
// keeps all it is given.
//
// The error is an [*Error] whose offset is one into payload.
func (p *Packet) Assemble(h Header, payload []byte, embedded [][]byte, l Limits) error {
	p.reset(payload)
	p.Header, p.Embedded = h, embedded
	i, err := p.checkHeader(l)
	if err == nil {
		i, err = p.payload(0, l.withDefaults())
	}
	if err != nil {
		p.count, p.first = 0, 0
		return &Error{Offset: i, Err: err}
	}
	return nil
}

func (p *Packet) checkHeader(l Limits) (int, error) {
	l = l.withDefaults()
	switch {
	case p.Type > BinaryAck || uint64(len(p.text)) > maxText:
		return 0, ErrType
	case len(p.Namespace) > 0 && (p.Namespace[0] != '/' || !utf8.Valid(p.Namespace)):
		return 0, ErrNamespace
	case p.HasID && p.ID > MaxID:
		return 0, ErrID
	case (p.Type == Connect || p.Type == ConnectError) && len(p.Embedded)+p.Attachments > 0:
		return 0, ErrPayload
	case p.Attachments < 0:
		return 0, ErrAttachments
	case p.Attachments > max(l.MaxAttachments, 0):
		return 0, ErrTooManyAttachments
	}
	if len(p.Namespace) <= 1 {
		p.Namespace = nil
	}
	return 0, nil
}

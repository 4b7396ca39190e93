package socketio

import (
	"fmt"

	"github.com/perch-go/perch/engineio"
	"github.com/perch-go/perch/socketio/adapter"
	"github.com/perch-go/perch/socketio/parser"
)

// format is immutable: how packets look to some of the clients. A server has one for those of Socket.IO, and one for each path
// of plain ones.
type format struct {
	parser parser.Parser
	text   bool                               // it is parser.Text, which is called past the interface, because that is the path of most
	name   string                             // the parser's, under which a broadcast keeps its encoding
	encode func(*adapter.Packet) (any, error) // encodeBroadcast
	plain  bool
}

func newFormat(p parser.Parser, plain bool) *format {
	f := &format{parser: p, name: p.Format(), plain: plain}
	_, text := p.(parser.Text)
	f.text = text && !plain
	f.encode = f.encodeBroadcast
	return f
}

// frame makes messages of a packet, which leave together.
func (f *format) frame(out parser.Encoded, fl flags) *engineio.Message {
	m := &engineio.Message{NoCompress: fl.noCompress, Plain: f.plain}
	if out.Binary {
		m.AppendBinary(out.Data)
	} else {
		m.AppendText(out.Data)
	}
	for _, a := range out.Attachments {
		m.AppendBinary(a)
	}
	return m
}

// message encodes and frames a packet.
func (f *format) message(o parser.Outgoing) (*engineio.Message, error) {
	b := scratches.Get().(*scratch)
	defer b.release()
	out, err := f.parser.Append(b.text, o)
	if err != nil {
		return nil, err
	}
	b.text = out.Data
	return f.frame(out, flags{}), nil
}

// encoding returns a broadcast in the format; only the first call for a packet makes it.
func (f *format) encoding(p *adapter.Packet) (any, error) { return p.Encoding(f.name, f.encode) }

func (f *format) encodeBroadcast(p *adapter.Packet) (any, error) {
	m, err := f.message(parser.Outgoing{
		Type: parser.Event, Namespace: p.Namespace, ID: p.ID, HasID: p.HasID, Event: p.Event, Args: p.Args,
	})
	if err != nil {
		return nil, encodeError{fmt.Sprintf("event %q", p.Event), err}
	}
	m.NoCompress = p.NoCompress
	return m, nil
}

package parser

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/perch-go/perch/internal/jsonscan"
)

var (
	errNotObject         = errors.New("the payload must be an object")
	errNotStringOrObject = errors.New("the payload must be a string or an object")
	errBytesInConnect    = errors.New("a CONNECT or CONNECT_ERROR packet carries no attachments")
)

// AppendEvent appends an EVENT packet, or a BINARY_EVENT if an argument holds
// bytes, and returns the extended buffer and the attachments, which are to be
// sent as binary messages right behind it. The attachments alias the
// arguments' own bytes. The ack id is written if hasID.
//
// namespace begins with a slash and holds no comma; "" and "/" mean the root.
// Whether the name is reserved, and how many attachments the peer takes, is
// the caller's to know.
//
// The error is an [*EncodeError]; out is then dst as it was.
func AppendEvent(dst []byte, namespace string, id uint64, hasID bool, event string, args []any) (out []byte, attachments [][]byte, err error) {
	e, err := Text{}.Append(dst, Outgoing{Type: Event, Namespace: namespace, ID: id, HasID: hasID, Event: event, Args: args})
	return e.Data, e.Attachments, err
}

// AppendAck appends an ACK packet, or a BINARY_ACK, as [AppendEvent] does.
func AppendAck(dst []byte, namespace string, id uint64, args []any) (out []byte, attachments [][]byte, err error) {
	var e encoder
	start := len(dst)
	dst = append(appendHeader(dst, Ack, namespace, id, true), '[')
	if dst, err = e.list(dst, args, 0); err != nil {
		return dst[:start], nil, err
	}
	dst = append(dst, ']')
	if n := len(e.attachments); n > 0 {
		dst = makeBinary(dst, start, n)
	}
	return dst, e.attachments, nil
}

// AppendConnect appends a CONNECT packet. The payload must be encoded as an
// object, and may not hold bytes; if it is nil there is none.
func AppendConnect(dst []byte, namespace string, payload any) ([]byte, error) {
	e, err := Text{}.Append(dst, Outgoing{Type: Connect, Namespace: namespace, Data: payload})
	return e.Data, err
}

// AppendConnectError appends a CONNECT_ERROR packet. The payload must be
// encoded as an object or a string, and may not hold bytes.
func AppendConnectError(dst []byte, namespace string, payload any) ([]byte, error) {
	e, err := Text{}.Append(dst, Outgoing{Type: ConnectError, Namespace: namespace, Data: payload})
	return e.Data, err
}

// AppendDisconnect appends a DISCONNECT packet.
func AppendDisconnect(dst []byte, namespace string) []byte {
	return appendHeader(dst, Disconnect, namespace, 0, false)
}

func appendHeader(dst []byte, t Type, namespace string, id uint64, hasID bool) []byte {
	dst = append(dst, '0'+byte(t))
	if len(namespace) > 1 {
		dst = append(dst, namespace...)
		dst = append(dst, ',')
	}
	if hasID {
		dst = strconv.AppendUint(dst, id, 10)
	}
	return dst
}

// AppendPayload appends the JSON of o's payload, in which placeholders stand
// for the attachments: the array of an event or ack, the object of a CONNECT,
// the object or string of a CONNECT_ERROR, nothing for a DISCONNECT. It is what
// the parsers of all formats begin with, and what all of them refuse.
//
// The error is an [*EncodeError]; dst is then as it was.
func (o Outgoing) AppendPayload(dst []byte) (Encoded, error) {
	var e encoder
	out, err := e.payload(dst, &o)
	return Encoded{Data: out, Attachments: e.attachments, Offset: e.offset}, err
}

// payload is AppendPayload.
func (e *encoder) payload(dst []byte, o *Outgoing) ([]byte, error) {
	start := len(dst)
	switch o.Type {
	case Event:
		dst = append(dst, '[')
		dst = jsonscan.AppendString(dst, o.Event)
		return e.args(dst, start, 1, o)
	case Ack:
		return e.args(append(dst, '['), start, 0, o)
	case Connect, ConnectError:
		if o.Data == nil && o.Type == Connect {
			return dst, nil
		}
		return e.data(dst, o)
	case Disconnect:
		return dst, nil
	}
	return dst, &EncodeError{Err: ErrType}
}

// list appends arguments, as elements of an array that has some already.
func (e *encoder) list(dst []byte, args []any, before int) ([]byte, error) {
	for i, arg := range args {
		if before+i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = e.append(dst, arg, 0); err != nil {
			e.attachments = nil
			return dst, &EncodeError{Argument: i, Err: err}
		}
	}
	return dst, nil
}

// args completes the array that was opened at dst[start] and has some elements already.
func (e *encoder) args(dst []byte, start, before int, o *Outgoing) ([]byte, error) {
	dst, err := e.list(dst, o.Args, before)
	if err != nil {
		return dst[:start], err
	}
	if o.Type == Event && o.Offset != "" && (!o.OffsetAfterString || endsInString(dst)) {
		dst = append(dst, ',', '"')
		e.offset = len(dst)
		dst = append(dst, o.Offset...)
		dst = append(dst, '"')
	}
	return append(dst, ']'), nil
}

// endsInString reports whether the last element of an open array is a string.
func endsInString(dst []byte) bool {
	return bytes.HasSuffix(bytes.TrimRight(dst, " \t\r\n"), []byte{'"'})
}

// makeBinary turns the finished packet at dst[start] into its binary kind:
// only now it is known how many attachments there are.
func makeBinary(dst []byte, start, attachments int) []byte {
	var digits [20]byte
	count := append(strconv.AppendInt(digits[:0], int64(attachments), 10), '-')
	rest := start + 1
	dst = append(dst, count...)
	copy(dst[rest+len(count):], dst[rest:])
	copy(dst[rest:], count)
	dst[start] += byte(BinaryEvent - Event)
	return dst
}

// data appends the payload of a CONNECT or CONNECT_ERROR.
func (e *encoder) data(dst []byte, o *Outgoing) ([]byte, error) {
	at := len(dst)
	dst, err := e.append(dst, o.Data, 0)
	if err == nil {
		// Raw JSON of the caller's may begin with space, which must not
		// follow the namespace.
		dst = append(dst[:at], bytes.TrimLeft(dst[at:], " \t\r\n")...)
		switch {
		case len(e.attachments) > 0:
			err = errBytesInConnect
		case dst[at] == '{':
		case o.Type == Connect:
			err = errNotObject
		case dst[at] != '"':
			err = errNotStringOrObject
		}
	}
	if err != nil {
		e.attachments = nil
		return dst[:at], &EncodeError{Err: err}
	}
	return dst, nil
}

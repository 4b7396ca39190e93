package parser

import (
	"bytes"
	"errors"
	"strconv"
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
	start := len(dst)
	dst = appendHeader(dst, Event, namespace, id, hasID)
	dst = append(dst, '[')
	dst = appendString(dst, event)
	return appendArgs(dst, start, true, args)
}

// AppendAck appends an ACK packet, or a BINARY_ACK, as [AppendEvent] does.
func AppendAck(dst []byte, namespace string, id uint64, args []any) (out []byte, attachments [][]byte, err error) {
	start := len(dst)
	dst = appendHeader(dst, Ack, namespace, id, true)
	dst = append(dst, '[')
	return appendArgs(dst, start, false, args)
}

// AppendConnect appends a CONNECT packet. The payload must be encoded as an
// object, and may not hold bytes; if it is nil there is none.
func AppendConnect(dst []byte, namespace string, payload any) ([]byte, error) {
	start := len(dst)
	dst = appendHeader(dst, Connect, namespace, 0, false)
	if payload == nil {
		return dst, nil
	}
	at := len(dst)
	dst, err := appendPayload(dst, payload)
	if err == nil && dst[at] != '{' {
		err = &EncodeError{Err: errNotObject}
	}
	if err != nil {
		return dst[:start], err
	}
	return dst, nil
}

// AppendConnectError appends a CONNECT_ERROR packet. The payload must be
// encoded as an object or a string, and may not hold bytes.
func AppendConnectError(dst []byte, namespace string, payload any) ([]byte, error) {
	start := len(dst)
	dst = appendHeader(dst, ConnectError, namespace, 0, false)
	at := len(dst)
	dst, err := appendPayload(dst, payload)
	if err == nil && dst[at] != '{' && dst[at] != '"' {
		err = &EncodeError{Err: errNotStringOrObject}
	}
	if err != nil {
		return dst[:start], err
	}
	return dst, nil
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

// appendArgs completes the packet that begins at dst[start] and whose array is
// open; follows says that an element stands in it already.
func appendArgs(dst []byte, start int, follows bool, args []any) ([]byte, [][]byte, error) {
	var e encoder
	for i, arg := range args {
		if follows {
			dst = append(dst, ',')
		}
		follows = true
		var err error
		if dst, err = e.append(dst, arg, 0); err != nil {
			return dst[:start], nil, &EncodeError{Argument: i, Err: err}
		}
	}
	dst = append(dst, ']')
	if len(e.attachments) > 0 {
		dst = makeBinary(dst, start, len(e.attachments))
	}
	return dst, e.attachments, nil
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

func appendPayload(dst []byte, payload any) ([]byte, error) {
	var e encoder
	at := len(dst)
	dst, err := e.append(dst, payload, 0)
	if err == nil && len(e.attachments) > 0 {
		err = errBytesInConnect
	}
	if err != nil {
		return dst, &EncodeError{Err: err}
	}
	// Raw JSON of the caller's may begin with space, which must not follow
	// the namespace.
	return append(dst[:at], bytes.TrimLeft(dst[at:], " \t\r\n")...), nil
}

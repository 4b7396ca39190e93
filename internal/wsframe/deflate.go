package wsframe

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"sync"
)

// rsv1 marks a compressed message in the first byte of its first frame (RFC 7692, section 6).
const rsv1 = 0x40

// emptyBlock ends what a flush of deflate writes, and is not sent.
const emptyBlock = "\x00\x00\xff\xff"

// deflaters are compressors by level. One costs hundreds of kilobytes and is needed for a moment.
var deflaters [10]sync.Pool

// Deflate returns frames with those data messages compressed whose payload has at least threshold
// bytes and gets shorter. frames must be a sequence of whole frames built by AppendHeader; level is
// one of compress/flate, from 1 to 9.
func Deflate(frames []byte, threshold, level int) []byte {
	var dst []byte
	for len(frames) > 0 {
		op, payload, rest := Cut(frames)
		frame := frames[:len(frames)-len(rest)]
		frames = rest
		if op.IsData() && len(payload) >= threshold {
			if short := deflate(payload, level); len(short) < len(payload) {
				start := len(dst)
				dst = AppendHeader(dst, op, len(short))
				dst[start] |= rsv1
				dst = append(dst, short...)
				continue
			}
		}
		dst = append(dst, frame...)
	}
	return dst
}

func deflate(payload []byte, level int) []byte {
	out := bytes.NewBuffer(make([]byte, 0, len(payload)/2))
	w, ok := deflaters[level].Get().(*flate.Writer)
	if ok {
		w.Reset(out)
	} else {
		w, _ = flate.NewWriter(out, level) // the level is a valid one
	}
	_, _ = w.Write(payload) // to memory: it cannot fail
	_ = w.Flush()
	w.Reset(nil)
	deflaters[level].Put(w)
	return bytes.TrimSuffix(out.Bytes(), []byte(emptyBlock))
}

// inflater undoes deflate.
type inflater struct {
	in     source
	reader io.ReadCloser
}

var inflaters = sync.Pool{New: func() any {
	f := new(inflater)
	f.reader = flate.NewReader(&f.in)
	return f
}}

// inflate decompresses the payload of a message. More than limit bytes are an error before they are
// there, so that a bomb costs no more than a message of that size.
func inflate(payload []byte, limit int64) ([]byte, error) {
	f := inflaters.Get().(*inflater)
	f.in = source{payload: payload}
	_ = f.reader.(flate.Resetter).Reset(&f.in, nil) // it fails only with a dictionary
	out := make([]byte, 0, min(limit, max(512, 4*int64(len(payload))))+1)
	var err error
	for err == nil && int64(len(out)) <= limit {
		if len(out) == cap(out) {
			out = append(out, 0)[:len(out)]
		}
		var n int
		n, err = f.reader.Read(out[len(out):min(int64(cap(out)), limit+1)])
		out = out[:len(out)+n]
	}
	rest := f.in.payload
	f.in = source{}
	inflaters.Put(f)
	switch {
	case int64(len(out)) > limit:
		return nil, &Error{StatusTooBig, fmt.Sprintf("message exceeds the limit of %d bytes when decompressed", limit)}
	case err != io.EOF:
		return nil, &Error{StatusInvalid, "compressed message is invalid: " + err.Error()}
	case len(rest) > 1 || len(rest) == 1 && rest[0] != 0:
		// A sender may end with a final block and then a zero byte (RFC 7692, section 7.2.3.4).
		return nil, &Error{StatusInvalid, "compressed message goes on behind its final block"}
	}
	return out, nil
}

// source is a payload, the empty block that was not sent, and one that is the last.
type source struct {
	payload []byte
	tail    int
}

const sourceTail = emptyBlock + "\x01" + emptyBlock

func (s *source) ReadByte() (byte, error) {
	if len(s.payload) > 0 {
		b := s.payload[0]
		s.payload = s.payload[1:]
		return b, nil
	}
	if s.tail == len(sourceTail) {
		return 0, io.ErrUnexpectedEOF
	}
	s.tail++
	return sourceTail[s.tail-1], nil
}

func (s *source) Read(p []byte) (int, error) {
	if len(s.payload) > 0 {
		n := copy(p, s.payload)
		s.payload = s.payload[n:]
		return n, nil
	}
	if s.tail == len(sourceTail) {
		return 0, io.ErrUnexpectedEOF
	}
	n := copy(p, sourceTail[s.tail:])
	s.tail += n
	return n, nil
}

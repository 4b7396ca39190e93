package adapter

import (
	"encoding/binary"
	"errors"
	"strings"
	"time"
)

// stateWriter is for one goroutine. It appends numbers and texts so that a stateReader finds them again.
type stateWriter struct{ b []byte }

func (w *stateWriter) number(n uint64) { w.b = binary.AppendUvarint(w.b, n) }

func (w *stateWriter) bytes(p []byte) {
	w.number(uint64(len(p)))
	w.b = append(w.b, p...)
}

func (w *stateWriter) text(s string) {
	w.number(uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *stateWriter) texts(list []string) {
	w.number(uint64(len(list)))
	for _, s := range list {
		w.text(s)
	}
}

func (w *stateWriter) flag(on bool) {
	n := uint64(0)
	if on {
		n = 1
	}
	w.number(n)
}

// time is exact to the millisecond, and what is before 1970 is then.
func (w *stateWriter) time(t time.Time) { w.number(uint64(max(0, t.UnixMilli()))) }

// stateReader is for one goroutine. It reads until the first error; what it returns from then on is nothing. It takes no more memory
// than there is to read.
type stateReader struct {
	b   []byte
	err error
}

var errDamaged = errors.New("it is damaged")

func (d *stateReader) check(ok bool) {
	if !ok && d.err == nil {
		d.err, d.b = errDamaged, nil
	}
}

func (d *stateReader) expect(prefix string) {
	rest, ok := strings.CutPrefix(string(d.b[:min(len(prefix), len(d.b))]), prefix)
	if !ok || rest != "" {
		d.err, d.b = errors.New("it is of something else, or of another version"), nil
		return
	}
	d.b = d.b[len(prefix):]
}

func (d *stateReader) number() uint64 {
	if d.err != nil {
		return 0
	}
	n, size := binary.Uvarint(d.b)
	if d.check(size > 0); d.err != nil {
		return 0
	}
	d.b = d.b[size:]
	return n
}

// count is a number of things that take a byte each, at least.
func (d *stateReader) count() int {
	n := d.number()
	if d.check(n <= uint64(len(d.b))); d.err != nil {
		return 0
	}
	return int(n)
}

// bytes are those of the input, and not copied.
func (d *stateReader) bytes() []byte {
	n := d.count()
	p := d.b[:n:n]
	d.b = d.b[n:]
	return p
}

func (d *stateReader) text() string { return string(d.bytes()) }

func (d *stateReader) texts() (list []string) {
	for range d.count() {
		list = append(list, d.text())
	}
	return list
}

func (d *stateReader) flag() bool {
	n := d.number()
	d.check(n <= 1)
	return n == 1
}

func (d *stateReader) time() time.Time {
	n := d.number()
	d.check(n < 1<<50)
	if d.err != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(n))
}

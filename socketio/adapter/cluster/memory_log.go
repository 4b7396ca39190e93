package cluster

import (
	"context"
	"encoding/binary"
	"iter"
	"sync"
	"time"
)

// memoryLog is safe for concurrent use. It is what a broker keeps of a namespace.
type memoryLog struct {
	max       int
	appending sync.Mutex

	logMu    sync.Mutex
	entries  [][]byte
	gone     uint64 // how many are not kept any more
	sessions map[string]memorySession
	crowd    int // how many sessions there may be before those that are too old are looked for
}

type memorySession struct {
	data    []byte
	expires time.Time
}

var _ Log = (*memoryBus)(nil)

// add appends an entry.
func (l *memoryLog) add(data []byte) Offset {
	l.logMu.Lock()
	defer l.logMu.Unlock()
	l.entries = append(l.entries, data)
	if over := len(l.entries) - l.max; over > 0 {
		clear(l.entries[:over])
		l.entries = l.entries[over:]
		l.gone += uint64(over)
	}
	return memoryOffset(l.gone + uint64(len(l.entries)))
}

// memoryOffset is that of the n-th entry, counted from 1.
func memoryOffset(n uint64) (o Offset) {
	binary.BigEndian.PutUint64(o[len(o)-8:], n)
	return o
}

func (o Offset) number() uint64 { return binary.BigEndian.Uint64(o[len(o)-8:]) }

// at is the n-th entry.
func (l *memoryLog) at(n uint64) ([]byte, error) {
	l.logMu.Lock()
	defer l.logMu.Unlock()
	switch {
	case n <= l.gone:
		return nil, ErrNotKept
	case n > l.gone+uint64(len(l.entries)):
		return nil, nil
	}
	return l.entries[n-l.gone-1], nil
}

func (l *memoryLog) Entries(ctx context.Context, after, upto Offset) iter.Seq2[*Message, error] {
	return func(yield func(*Message, error) bool) {
		for n := after.number() + 1; n <= upto.number(); n++ {
			data, err := l.at(n)
			if err == nil && data == nil {
				return
			}
			if err == nil {
				err = context.Cause(ctx)
			}
			var m *Message
			if err == nil {
				m, err = Decode(data)
			}
			if err == nil {
				m.Offset = memoryOffset(n)
			}
			if !yield(m, err) || err != nil {
				return
			}
		}
	}
}

func (l *memoryLog) SaveSession(ctx context.Context, pid string, data []byte, ttl time.Duration) error {
	l.logMu.Lock()
	defer l.logMu.Unlock()
	now := time.Now()
	if len(l.sessions) > l.crowd {
		for pid, s := range l.sessions {
			if !now.Before(s.expires) {
				delete(l.sessions, pid)
			}
		}
		l.crowd = 2*len(l.sessions) + 64
	}
	l.sessions[pid] = memorySession{data, now.Add(ttl)}
	return context.Cause(ctx)
}

func (l *memoryLog) TakeSession(ctx context.Context, pid string) ([]byte, error) {
	l.logMu.Lock()
	defer l.logMu.Unlock()
	s, ok := l.sessions[pid]
	delete(l.sessions, pid)
	if !ok || !time.Now().Before(s.expires) {
		return nil, context.Cause(ctx)
	}
	return s.data, nil
}

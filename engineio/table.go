package engineio

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
)

// table holds the sessions by id, in shards so that connections do not wait for each other.
type table struct {
	shards [64]struct {
		mu       sync.Mutex
		sessions map[string]*Session // nil for an id that is reserved
		_        [40]byte            // a cache line each
	}
	count atomic.Int64
	zero  notifier // count has reached zero
}

// shard picks by the id's last character, which is random unless the user makes the ids.
func (t *table) shard(id string) int { return int(id[len(id)-1]) & 63 }

func (t *table) add(s *Session) {
	shard := &t.shards[t.shard(s.id)]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if shard.sessions == nil {
		shard.sessions = make(map[string]*Session)
	}
	shard.sessions[s.id] = s
	t.count.Add(1)
}

// reserve keeps an id for a session to come, unless it is taken.
func (t *table) reserve(id string) bool {
	shard := &t.shards[t.shard(id)]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if _, taken := shard.sessions[id]; taken {
		return false
	}
	if shard.sessions == nil {
		shard.sessions = make(map[string]*Session)
	}
	shard.sessions[id] = nil
	return true
}

// free gives up an id that was reserved, unless its session has come.
func (t *table) free(id string) {
	shard := &t.shards[t.shard(id)]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if s, ok := shard.sessions[id]; ok && s == nil {
		delete(shard.sessions, id)
	}
}

func (t *table) find(id string) *Session {
	if id == "" {
		return nil
	}
	shard := &t.shards[t.shard(id)]
	shard.mu.Lock()
	defer shard.mu.Unlock()
	return shard.sessions[id]
}

// remove reports whether the session was there, which its id may be reserved for.
func (t *table) remove(s *Session) bool {
	shard := &t.shards[t.shard(s.id)]
	shard.mu.Lock()
	ok := shard.sessions[s.id] == s
	if ok {
		delete(shard.sessions, s.id)
	}
	shard.mu.Unlock()
	if ok && t.count.Add(-1) == 0 {
		t.zero.notify()
	}
	return ok
}

func (t *table) len() int { return int(t.count.Load()) }

// all yields the sessions there are, without holding a lock meanwhile.
func (t *table) all() iter.Seq[*Session] {
	return func(yield func(*Session) bool) {
		for i := range t.shards {
			shard := &t.shards[i]
			shard.mu.Lock()
			sessions := make([]*Session, 0, len(shard.sessions))
			for _, s := range shard.sessions {
				if s != nil {
					sessions = append(sessions, s)
				}
			}
			shard.mu.Unlock()
			for _, s := range sessions {
				if !yield(s) {
					return
				}
			}
		}
	}
}

func (t *table) waitEmpty(ctx context.Context) error {
	return t.zero.wait(ctx, func() bool { return t.count.Load() == 0 })
}

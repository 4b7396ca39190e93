package socketio

import "sync"

// conns is safe for concurrent use. It holds the connections that Shutdown drains, in shards so that those that come and go do
// not wait for each other.
type conns struct {
	shards [16]connShard
}

type connShard struct {
	mu    sync.Mutex
	first *conn    // linked by conn.next
	_     [48]byte // a cache line each
}

// shard picks by the session id's last character, which is random unless the user makes the ids.
func (l *conns) shard(c *conn) *connShard {
	id := c.session.ID()
	return &l.shards[int(id[len(id)-1])%len(l.shards)]
}

// all are those that are there when their shard is looked at.
func (l *conns) all() (all []*conn) {
	for i := range l.shards {
		shard := &l.shards[i]
		shard.mu.Lock()
		for c := shard.first; c != nil; c = c.next {
			all = append(all, c)
		}
		shard.mu.Unlock()
	}
	return all
}

// enlist puts a connection on the list of those that Shutdown drains. One that has a socket already is refused once that has
// begun, because nobody would wait for it.
func (s *Server) enlist(c *conn) (ok bool) {
	shard := s.conns.shard(c)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	closing := s.closing.Load() // under the lock: who misses it is found by Drain, which looks later
	if c.live > 0 {
		if closing {
			return false
		}
		s.live.Add(int64(c.live))
	}
	if c.next = shard.first; c.next != nil {
		c.next.prev = c
	}
	shard.first = c
	c.draining = closing
	return true
}

// forget takes a connection that has ended off the list.
func (s *Server) forget(c *conn) {
	shard := s.conns.shard(c)
	shard.mu.Lock()
	defer shard.mu.Unlock()
	if c.prev != nil {
		c.prev.next = c.next
	} else if shard.first == c {
		shard.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}

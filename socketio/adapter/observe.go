package adapter

// Observe reports the rooms from now on.
func (m *Memory) Observe(e RoomEvents) {
	m.observing.Lock()
	defer m.observing.Unlock()
	var list []RoomEvents
	if old := m.observers.Load(); old != nil {
		list = append(list, *old...)
	}
	list = append(list, e)
	m.observers.Store(&list)
}

// joined tells that a member has joined a room. Called with the lock of the room's shard held.
func (m *Memory) joined(s *shard, room, id string) {
	list := m.observers.Load()
	if list == nil {
		return
	}
	created := s.count(room) == 1
	for _, o := range *list {
		if created && o.Create != nil {
			o.Create(room)
		}
		if o.Join != nil {
			o.Join(room, id)
		}
	}
}

// left tells that a member has left a room. Called with the lock of the room's shard held.
func (m *Memory) left(s *shard, room, id string) {
	list := m.observers.Load()
	if list == nil {
		return
	}
	deleted := s.count(room) == 0
	for _, o := range *list {
		if o.Leave != nil {
			o.Leave(room, id)
		}
		if deleted && o.Delete != nil {
			o.Delete(room)
		}
	}
}

// count is how many members the room has, counting the one whose own room it is.
func (s *shard) count(room string) int {
	n := len(s.rooms[room])
	if s.members[room] != nil {
		n++
	}
	return n
}

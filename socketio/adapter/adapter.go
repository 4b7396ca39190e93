package adapter

import "context"

// Member is implemented by the sockets of a namespace. Its methods are called concurrently.
type Member interface {
	// ID names the member in its namespace. It is also the name of a room that nobody else is in.
	ID() string
	// Prepare makes the encoding of p that the member needs. It is called before the ordering lock is
	// taken; an error ends the broadcast before anybody got anything.
	Prepare(p *Packet) error
	// Append queues p. It is called under the ordering lock, so it must neither block nor write.
	Append(p *Packet)
	// Flush writes what is queued. It is called after the ordering lock was released.
	Flush()
	// Expect announces a packet with that ID, which is appended next. answer is called at most once, with
	// what the member acknowledges, or with [ErrLeft] when it leaves or has left; it does not block.
	Expect(id uint64, answer func(Arguments, error))
	// Forget takes back Expect: nobody waits for the answer any more.
	Forget(id uint64)
	// Info describes the member to other processes.
	Info() Info
	// Disconnect makes the member leave its namespace, or with closeConn its client altogether (S-56).
	Disconnect(closeConn bool)
}

// Selection is a value that says which members a call is about.
type Selection struct {
	// Rooms are the rooms whose members are meant, each member once however many of them it is in.
	// A member's id is the name of a room of its own. Without rooms every member is meant.
	Rooms []string
	// Except are rooms whose members are not meant after all.
	Except []string
	// Local keeps the call to this process.
	Local bool
}

// Adapter is safe for concurrent use. It keeps the members of one namespace and the rooms they are in, and
// does what concerns all of them, wherever in the cluster they are. Other implementations embed [Memory] for
// the members of this process. What goes beyond this, an implementation offers by further, optional interfaces.
type Adapter interface {
	// Add makes m a member. Its id is not that of another member.
	Add(m Member)
	// Remove takes a member out of its rooms and out of the namespace. A member that is not there is
	// no error; neither is it below.
	Remove(id string)
	// Member finds a member of this process.
	Member(id string) (Member, bool)
	// Len is the number of members of this process.
	Len() int
	// Join adds a member of this process to rooms. Joining a room for the first time creates it.
	Join(id string, rooms ...string)
	// Leave takes a member of this process out of rooms. A room ends with its last member.
	Leave(id string, rooms ...string)
	// Rooms are the rooms a member of this process is in, its own one first.
	Rooms(id string) []string
	// Members are the members of this process meant by sel.
	Members(sel Selection) []Member

	// Broadcast delivers p to the members meant by sel. All members of a process see all broadcasts in one
	// order; what one process broadcasts arrives everywhere in that order.
	Broadcast(p *Packet, sel Selection) error
	// Ask is Broadcast that asks each member for an acknowledgement (S-71). It draws the packet's ID. answer
	// is called by the goroutine that called Ask, once for each member that answers or leaves, as they do. Ask
	// returns nil when that were all of them, and an [*IncompleteError] if ctx ended before; answers that
	// come later are ignored.
	Ask(ctx context.Context, p *Packet, sel Selection, answer func(Answer)) error
	// JoinAll adds the members meant by sel to rooms (S-41), LeaveAll takes them out (S-42), and
	// DisconnectAll disconnects them (S-43). None of them waits for other processes.
	JoinAll(sel Selection, rooms ...string) error
	LeaveAll(sel Selection, rooms ...string) error
	DisconnectAll(sel Selection, closeConn bool) error
	// Fetch describes the members meant by sel (S-40). If ctx ends before every process has answered, it
	// returns those it knows of and an [*IncompleteError].
	Fetch(ctx context.Context, sel Selection) ([]Info, error)
	// ServerSideEmit sends an event to the namespace's other processes (S-44). With answer it waits until each
	// has answered or gone, or returns an [*IncompleteError] when ctx ends (S-45); answer is called as by Ask.
	ServerSideEmit(ctx context.Context, event string, args []any, answer func(ServerAnswer)) error
	// ServerCount is the number of processes that serve the namespace, this one included.
	ServerCount(ctx context.Context) (int, error)

	// Observe reports the rooms of this process from now on (S-73).
	Observe(e RoomEvents)
	// Close releases what the adapter holds outside the process. Calls that wait for others return.
	Close() error
}

// Pinger is an Adapter that knows whether it can reach what it stands on, such as a broker. It is optional.
type Pinger interface {
	// Ping returns why other processes cannot be reached now, or nil. It does not wait for longer than ctx, nor try to mend
	// anything.
	Ping(ctx context.Context) error
}

// Host is safe for concurrent use. It is the namespace that an adapter serves, in this process.
type Host interface {
	// Name is the namespace's name, with its leading slash.
	Name() string
	// NextID draws an id for an acknowledgement. A namespace has one counter for all of them (S-32).
	NextID() uint64
	// ServerSideEvent takes an event that another process has emitted (S-44). It does not block.
	ServerSideEvent(e ServerEvent)
	// Recovery says whether and how connection state is to be recovered (S-6).
	Recovery() (RecoveryOptions, bool)
}

// Factory is safe for concurrent use. It makes the adapter of a namespace, and does not wait for other processes.
type Factory func(Host) Adapter

// RoomEvents is a plain value: functions to be told what becomes of rooms (S-73), of which any may be nil. A
// member's own room counts. Those that concern one room come in the order in which things happened; they are
// called under a lock, so they must neither block nor call the adapter.
type RoomEvents struct {
	Create func(room string)
	Delete func(room string)
	Join   func(room, id string)
	Leave  func(room, id string)
}

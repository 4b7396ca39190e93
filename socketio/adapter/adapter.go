package adapter

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

// Adapter is safe for concurrent use. It keeps the members of one namespace and the rooms they are in.
// What goes beyond this, an implementation offers by further, optional interfaces.
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
	// Join adds a member to rooms. Joining a room for the first time creates it.
	Join(id string, rooms ...string)
	// Leave takes a member out of rooms. A room ends with its last member.
	Leave(id string, rooms ...string)
	// Rooms are the rooms a member is in, its own one first.
	Rooms(id string) []string
	// Broadcast delivers p to the members meant by sel. All members see all broadcasts in one order.
	Broadcast(p *Packet, sel Selection) error
	// Members are the members of this process meant by sel.
	Members(sel Selection) []Member
	// Close releases what the adapter holds outside the process.
	Close() error
}

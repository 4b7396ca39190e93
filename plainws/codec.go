package plainws

// Message is for one goroutine: what is in a frame, whatever its format. Its slices belong to whoever made them.
type Message struct {
	// Event is the event's name, as it is. Nil: the frame is an answer, and has an ID. An event without a name is not nil.
	Event []byte
	// ID is the JSON of the id, any value but an array or an object. Empty is none.
	ID []byte
	// Data is the JSON of the data. Empty is none.
	Data []byte
}

// Codec is called concurrently. It turns frames into messages and back. It keeps nothing between two calls, nor what it is
// given after it has returned.
type Codec interface {
	// Format names the format. What was encoded once is sent to all clients of the same format, so codecs that
	// write differently need different names.
	Format() string
	// Parse reads one frame into m, which is empty; binary says what kind it is. The message may refer to the
	// frame. An error ends the connection, with code 1003 if it is [ErrKind], 1007 if it is any other. What
	// is in ID and Data is checked by the caller.
	Parse(m *Message, frame []byte, binary bool) error
	// Append appends the frame of m to dst and says whether it is a binary one. An error loses the message, and is
	// what Emit returns.
	Append(dst []byte, m *Message) (frame []byte, binary bool, err error)
}

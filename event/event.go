package event

// Event is a value, safe for concurrent use: the name of an event that carries a T and
// is not answered.
//
//	const Posted event.Event[Message] = "posted"
//
//	err := client.Emit(socket, Posted, Message{Text: "hello"})
//	err := client.Emit(socket, "posted", Message{Text: "hello"}) // the plain name: T is the value's type
type Event[T any] string

// Request is a value, safe for concurrent use: the name of an event that carries an In
// and is acknowledged with an Out.
//
//	const Post event.Request[Message, Receipt] = "post"
//
//	receipt, err := client.Call(ctx, socket, Post, Message{Text: "hello"})
//	receipt, err := client.Call[Receipt](ctx, socket, "post", Message{Text: "hello"}) // the plain name: Out is given
type Request[In, Out any] string

// Stream is a value, safe for concurrent use: the name of an event that carries an In
// and is answered by any number of events of the same name, each with an Out, and then
// by an acknowledgement, which ends it.
//
//	const History event.Stream[Range, Message] = "history"
//
//	for m, err := range client.Stream(ctx, socket, History, Range{Last: 100}) { … }
//	for m, err := range client.Stream[Message](ctx, socket, "history", Range{Last: 100}) { … } // the plain name: Out is given
type Stream[In, Out any] string

// None stands where there is no value: no argument is sent or expected for it.
//
//	const Typing event.Event[event.None] = "typing"
type None struct{}

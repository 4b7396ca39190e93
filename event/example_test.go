package event_test

import (
	"fmt"

	"github.com/perch-go/perch/event"
)

// Message is what is posted.
type Message struct{ Text string }

// Receipt is the answer to it.
type Receipt struct{ ID int }

// Range is what is asked for.
type Range struct{ Last int }

// What both sides of a connection import.
const (
	Posted  event.Event[Message]            = "posted"
	Typing  event.Event[event.None]         = "typing"
	Post    event.Request[Message, Receipt] = "post"
	History event.Stream[Range, Message]    = "history"
)

func Example() {
	fmt.Println(Posted, Typing, Post, History)
	fmt.Printf("%T\n", Typing)
	// Output:
	// posted typing post history
	// event.Event[github.com/perch-go/perch/event.None]
}

// A function that asks for a description takes a plain name too: T comes from the
// handler.
func ExampleEvent() {
	on(Posted, func(m Message) { fmt.Println(m.Text) })
	on("posted", func(m Message) { fmt.Println(m.Text) })
	// Output:
	// posted carries event_test.Message
	// posted carries event_test.Message
}

func on[T any](e event.Event[T], _ func(T)) {
	var v T
	fmt.Printf("%s carries %T\n", e, v)
}

// The answer's type, which no argument tells, is given beside a plain name.
func ExampleRequest() {
	call(Post, Message{Text: "hello"})
	call[Receipt]("post", Message{Text: "hello"})
	// Output:
	// post: event_test.Message -> event_test.Receipt
	// post: event_test.Message -> event_test.Receipt
}

func call[Out, In any](e event.Request[In, Out], in In) (out Out) {
	fmt.Printf("%s: %T -> %T\n", e, in, out)
	return out
}

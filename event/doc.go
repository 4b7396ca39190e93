// Package event describes events: their names, and the types of what they carry. It
// imports nothing, so that the program that sends an event and the one that handles it
// can share its description.
//
// A description is a constant whose type is [Event], [Request] or [Stream]:
//
//	const (
//		Posted  event.Event[Message]            = "posted"  // sent, not answered
//		Post    event.Request[Message, Receipt] = "post"    // answered by an ack
//		History event.Stream[Range, Message]    = "history" // answered by many events, then an ack
//	)
//
// Gateways and package client take them:
//
//	perch.On(router, Post, gateway.Post)
//	client.On(socket, Posted, func(ctx context.Context, m Message) { … })
//	receipt, err := client.Call(ctx, socket, Post, Message{Text: "hello"})
//
// Their underlying type is string. So a plain name does as well wherever a description
// is asked for, and the types that its name does not tell are inferred from the other
// arguments, or written down:
//
//	client.On(socket, "posted", func(ctx context.Context, m Message) { … })
//	receipt, err := client.Call[Receipt](ctx, socket, "post", Message{Text: "hello"})
//
// A name in a variable of type string has to be converted: event.Event[Message](name).
package event

// Package parser turns packets of Socket.IO protocol 5 into messages and back. It
// knows nothing of sockets, namespaces or transports; an Engine.IO message goes
// in, or comes out.
//
// # Packets
//
// A packet is a line of text:
//
//	type [attachments "-"] [namespace ","] [ack id] [JSON]
//
// such as 2/chat,17["message","hello"], an EVENT in /chat that wants an ack,
// and 3/chat,17["received"], the ack. Bytes inside the JSON are cut out and
// follow as binary messages of their own, in order; a placeholder keeps their
// place, and the type becomes BINARY_EVENT or BINARY_ACK.
//
// # Reading
//
// [Parse] looks at each byte of a packet once, and builds nothing: it checks
// grammar and JSON and notes where each argument begins and ends. The packet
// then is fit to be dispatched, its arguments still being raw bytes. [Decode]
// makes an argument a value of the type a handler asks for, and only here does
// a type error show. So malformed packets, which end a connection, and wrong
// arguments, which are answered with an error, never get mixed up.
//
// Parse is stricter than the reference where that is lax by accident (an event
// without payload, a space as ack id 0) or careless (nesting, ack ids); the
// tests hold the list.
//
// # Writing
//
// [AppendEvent], [AppendAck], [AppendConnect], [AppendConnectError] and
// [AppendDisconnect] append a packet to a buffer. An error means that nothing
// was appended: there is no packet of half a value, and none without payload.
//
// # Values
//
// JSON is json/v2's, with its struct tags and methods, and with these settings:
//
//   - A []byte, or any named slice of bytes, is an attachment wherever it
//     stands: as an argument, in a field, a slice, a map, an any. Nil is null.
//     Types with methods of their own, like net.IP or raw JSON, are what their
//     methods say; an array of bytes is base64 text.
//   - Where bytes are wanted, an attachment or base64 text is taken. In an any
//     an attachment becomes a []byte.
//   - Names of objects match those of fields whatever their case, also but for
//     "_" and "-"; an exact match goes first.
//   - A time.Duration is a number of nanoseconds.
//   - Invalid UTF-8 that is sent, and lone surrogates that are received, become
//     U+FFFD. Invalid UTF-8 that is received is refused by Parse.
//   - NaN and the infinities are errors. HTML is not escaped.
//
// [Encodable] and [Decodable] tell at start-up whether a type can work at all.
//
// # Other formats
//
// A server may speak another format than this text: a [Parser] says how packets
// become messages. [Text] is the one described above, package msgpack is for
// clients with socket.io-msgpack-parser, and a program may bring its own. Each
// of them reads a message into the same [Packet], whose arguments are JSON, by
// [Packet.Assemble], and writes an [Outgoing] packet beginning with its JSON,
// which [Outgoing.AppendPayload] makes: a format is about packets, and never
// about values.
//
// All functions may be called concurrently; a [Packet] belongs to one goroutine
// at a time.
package parser

// Package msgpack is the parser for clients that speak MessagePack: those of npm's socket.io-msgpack-parser 3, and of the
// socket.io.msgpack.min.js of the official client bundle.
//
//	server, err := socketio.New(socketio.Options{Parser: msgpack.Parser{}})
//
// and in the client:
//
//	import parser from "socket.io-msgpack-parser";
//	const socket = io(url, { parser });
//
// A server speaks to all its clients in one format.
//
// # Packets
//
// A packet is one binary message, whatever it holds: a MessagePack map with type (0 to 4), nsp, data, and id if it is an ack or
// asks for one. Bytes are part of it, so no attachment follows; over polling it travels as base64 altogether, so this format pays
// where much is binary, and where clients use WebSocket.
//
// # Values
//
// Types, tags and errors are those of package parser, because the MessagePack is made from JSON and read into it: a handler
// does not notice which parser a server has. Integers are exact up to 64 bits both ways, while JavaScript rounds beyond 2^53.
// What comes from a client and JSON does not have is what JSON.stringify makes of it: a Date is a string, NaN and the infinities
// are null, undefined is null in an array and missing in an object. Buffers and ArrayBuffers are bytes; of a typed array the clients'
// encoder makes bytes in Node and, in a browser, an object with its indexes, so a page should send its buffer. A MessagePack
// extension of another type is an array of its type and its bytes.
//
// # What is refused
//
// Anything that is not such a map, to its last byte, ends the connection, as do the packets that package parser refuses.
// Deliberately stricter than the reference are: a namespace without its slash, an ack id that is negative or beyond 2^53, an
// event without a name or with a reserved one, bytes in the auth of a CONNECT, nesting beyond the server's limit, more byte sequences than
// [Parser.MaxAttachments], and text that is not UTF-8. Keys of the map that the protocol does not have are ignored, as are the
// options that official clients send along.
package msgpack

// Package plainws is the platform of WebSocket clients that do not speak Socket.IO: a browser's own
// WebSocket, a device, another service. A gateway lists it beside Socket.IO, or instead of it, and the
// same handlers serve both, in the same namespace and the same rooms:
//
//	func (g *ChatGateway) Options() perch.Options {
//		return perch.Options{
//			Namespace: "chat",
//			Platforms: []perch.Platform{perch.SocketIO(), plainws.At("/ws/{room}")},
//		}
//	}
//
// # Frames
//
// A frame is a JSON object. What a client sends is an event, with an id if it wants an answer:
//
//	{"event": "message", "data": {"text": "hello"}, "id": 1}
//
// What it gets is one of
//
//	{"id": 1, "data": …}                         the answer to the event with that id
//	{"id": 1, "event": "exception", "data": …}   the error that became of it; without id if it had none
//	{"event": "message", "data": …}              an event sent to it
//	{"event": "ask", "data": …, "id": 7}         the same, and an answer is wanted: {"id": 7, "data": …}
//
// An id is any JSON value but an array or an object, and comes back as it was. One argument is the data,
// several are an array of them, none leaves it out; bytes are base64 text. A frame that is none of this
// ends the connection with code 1007, or 1003 if it is a binary one. A [Codec] of the program's own
// makes it another format.
//
// # Connecting
//
// A client connects to the path of [At], a pattern like those of http.ServeMux whose values
// [perch.Socket.PathValue] tells. The page's origin has to be allowed by the gateway's CORS, as for
// Socket.IO. Connection guards run before the handshake is answered: who is refused gets an HTTP
// status (403, or what fits the error's code) and {"message", "data"} as JSON. HandleConnection runs after it: who
// is refused then gets the event "connect_error" with the same, and close code 1008. There is no auth
// packet, so [perch.Auth] decodes the parameters of the URL's query.
//
// The server pings every client (engine options PingInterval and PingTimeout) and closes with 1001 when
// it shuts down, 1000 when the socket is disconnected by the program.
package plainws

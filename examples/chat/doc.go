// Chat is the main job of Perch in one program: a NestJS-style gateway on the
// namespace /chat, and a page that talks to it.
//
//	go run ./examples/chat
//
// serves both on port 3000; -addr takes another. The page uses the official Socket.IO
// client, which comes from the directory -client, from where npm put socket.io-client, or
// from the official CDN. Where none of these can be reached it uses the browser's own
// WebSocket, for which the gateway has the plain platform at /ws; both meet in the same rooms.
package main

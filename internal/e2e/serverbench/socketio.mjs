// The server node of serverbench: npm's socket.io, all defaults, GET /gc and GET /stats.
import { createServer } from "node:http";
import { Server } from "socket.io";

const http = createServer((request, response) => {
  if (request.url === "/stats") {
    response.end(JSON.stringify({ sockets: io.engine.clientsCount }));
    return;
  }
  if (request.url !== "/gc") {
    response.statusCode = 404;
    response.end();
    return;
  }
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  response.end(JSON.stringify({ heap_used: heapUsed, external }));
});
const io = new Server(http);
io.on("connection", (socket) => {
  socket.on("echo", (payload, ack) => ack(payload));
  socket.on("bcast", (payload) => io.emit("bcast", payload));
  socket.on("join", (room, ack) => {
    socket.join(room);
    ack(room);
  });
  socket.on("room", (room) => io.to(room).emit("bcast", room));
});
// Ours has the system's backlog too, which is no less.
http.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => console.log(`listening on 127.0.0.1:${http.address().port}`));

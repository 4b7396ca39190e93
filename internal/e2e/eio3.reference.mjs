// The reference server with the events of the protocol 3 lab (eio3_test.go), so that the two are asked the same.
import http from "node:http";
import { Server } from "socket.io";
import { listen } from "./support.mjs";

/** Serves until close is called. */
export async function reference({ pingInterval, pingTimeout }) {
  const web = http.createServer();
  const io = new Server(web, {
    allowEIO3: true, pingInterval, pingTimeout, cors: { origin: true, credentials: true }, maxHttpBufferSize: 1_000_000,
  });
  const journal = io.of("/journal");
  io.use((socket, next) => {
    if (socket.handshake.query.root !== "closed") return next();
    next(new Error("no root for you"));
  });
  for (const name of ["/", "/chat"]) {
    const ns = io.of(name);
    ns.on("connection", (socket) => {
      socket.emit("hello", {
        id: socket.id, engine: socket.conn.id, protocol: socket.conn.protocol,
        auth: socket.handshake.auth, query: socket.handshake.query.team ?? "", rooms: [...socket.rooms],
      });
      socket.on("echo", (...args) => args.pop()(...args));
      socket.on("back", (...args) => socket.emit("back", ...args));
      socket.on("ask", (value, ack) => socket.emit("question", value, (answer) => ack(answer)));
      socket.on("kick", (close) => socket.disconnect(close));
      socket.on("join", (room, ack) => {
        socket.join(room);
        ack();
      });
      socket.on("say", (rooms, value, ack) => {
        ns.to(rooms).emit("said", value);
        ack();
      });
      socket.on("burst", (n, ack) => {
        for (let i = 0; i < n; i++) socket.emit("tick", i, i % 3 ? `text ${i}` : Buffer.from([i & 255, i >> 8]));
        ack(n);
      });
      socket.on("disconnect", (reason) => journal.emit("gone", { id: socket.id, reason }));
    });
  }
  io.of("/guarded").use((socket, next) => {
    const { token } = socket.handshake.auth;
    if (token === "secret") return next();
    const error = new Error("not authorized");
    if (token === "wrong") error.data = { code: 401 };
    next(error);
  });
  return {
    url: await listen(web),
    close: () => new Promise((resolve) => io.close(resolve)),
  };
}

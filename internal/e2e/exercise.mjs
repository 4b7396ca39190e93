/**
 * What a client sees of the conformance profile "gateway", over Socket.IO or plain WebSocket, as JSON: the same function
 * runs in Node and in a page, so it sees nothing of the file it stands in. way is the client's options, or "plain".
 */
export async function exercise({ base, way, token, io, WebSocket }) {
  const heard = [];
  let ask, emit, close;
  if (way === "plain") {
    const socket = new WebSocket(`${base.replace("http", "ws")}/ws${token ? `?token=${token}` : ""}`);
    const waiting = new Map();
    socket.addEventListener("message", ({ data }) => {
      const frame = JSON.parse(data);
      if (waiting.has(frame.id)) {
        waiting.get(frame.id)(frame.data);
        waiting.delete(frame.id);
      } else {
        heard.push([frame.event, frame.data]);
      }
    });
    await new Promise((resolve, reject) => {
      socket.addEventListener("open", resolve);
      socket.addEventListener("error", () => reject(new Error("no connection")));
    });
    let id = 0;
    emit = (event, data) => socket.send(JSON.stringify({ event, data }));
    ask = (event, data) => new Promise((resolve) => {
      waiting.set(++id, resolve);
      socket.send(JSON.stringify({ event, data, id }));
    });
    close = () => socket.close();
  } else {
    const socket = io(base, { forceNew: true, ...way, ...(token && { auth: { token } }) });
    socket.onAny((event, data) => heard.push([event, data]));
    await new Promise((resolve, reject) => {
      socket.on("connect", resolve);
      socket.on("connect_error", reject);
    });
    emit = (event, ...data) => socket.emit(event, ...data);
    ask = (event, ...data) => socket.timeout(5000).emitWithAck(event, ...data);
    close = () => socket.disconnect();
  }

  const seen = { echo: [] };
  for (const value of [0, "", false, null, "héllo", [1, [2]], { a: { event: "not a reply" } }]) {
    seen.echo.push(await ask("echo", value));
  }
  seen.void = (await ask("void")) ?? "nothing";
  seen.reply = [(await ask("reply", "hi")) ?? "nothing", heard.splice(0)];
  seen.fail = await ask("fail");
  seen.boom = await ask("boom");
  seen.valid = [];
  for (const person of [{ id: 1, name: "x" }, { id: 0, name: "x" }, { id: 1, name: "12345678901" }, { id: "1", name: "x" }]) {
    seen.valid.push(await ask("valid", person));
  }
  seen.missing = await ask("valid");
  seen.secret = await ask("secret");
  seen.count = [(await ask("count", { n: 4 })) ?? "nothing", heard.splice(0)];
  const order = [];
  await Promise.all([ask("slow", { ms: 50 }).then(() => order.push("slow")), ask("echo", 1).then(() => order.push("echo"))]);
  seen.order = order;
  const { id, rooms } = await ask("whoami");
  seen.whoami = [typeof id, id.length, rooms.length === 1 && rooms[0] === id];
  seen.unknown = await ask("nobody", 1);
  emit("fail");
  emit("nobody");
  await ask("echo", "the last");
  seen.exception = heard.splice(0);
  close();
  return seen;
}

// Starts the page: finds the gateway, connects to it, asks who is there, and shows the chat.
import { Chat } from "./chat.js";
import { gateway, open } from "./client.js";
import { $, say } from "./dom.js";
import { View } from "./view.js";

/** What the browser remembers. It may refuse to; then nothing is. */
const memory = {
  read(storage, key) {
    try {
      return JSON.parse(storage().getItem(`perch.${key}`));
    } catch {
      return null;
    }
  },
  write(storage, key, value) {
    try {
      storage().setItem(`perch.${key}`, JSON.stringify(value));
    } catch {
      // A page without storage works as well.
    }
  },
};
const tab = () => sessionStorage; // a reload stays in its rooms, a second window is somebody else
const browser = () => localStorage;

function colours() {
  const button = $("theme"), system = matchMedia("(prefers-color-scheme: dark)");
  let chosen = memory.read(browser, "theme");
  const apply = () => {
    const dark = chosen ? chosen === "dark" : system.matches;
    if (chosen) document.documentElement.dataset.theme = chosen;
    button.setAttribute("aria-pressed", String(dark));
    button.title = dark ? "Switch to light colours" : "Switch to dark colours";
  };
  button.addEventListener("click", () => {
    chosen = button.getAttribute("aria-pressed") === "true" ? "light" : "dark";
    memory.write(browser, "theme", chosen);
    apply();
  });
  system.addEventListener("change", apply);
  apply();
}

/** Asks for a name, and for a room unless it is only the name that changes. */
function ask(chat, { renaming }) {
  const dialog = $("welcome"), form = dialog.querySelector("form"), error = form.querySelector(".error");
  const { name, room } = form.elements;
  name.value = chat.name || memory.read(browser, "name") || "";
  room.value = renaming ? "" : wanted() || "lobby";
  room.required = !renaming;
  room.hidden = $("room-label").hidden = renaming;
  form.querySelector("h1").textContent = renaming ? "Change your name" : "Welcome to Perch";
  form.querySelector(".lead").hidden = renaming;
  const submit = form.querySelector("button");
  submit.textContent = renaming ? "Change" : "Start talking";
  say(error, "");

  return new Promise((resolve) => {
    // Without a name there is nothing to go back to.
    dialog.oncancel = (event) => {
      if (!renaming) event.preventDefault();
    };
    dialog.onclose = () => resolve();
    form.onsubmit = async (event) => {
      event.preventDefault();
      const who = name.value.trim(), where = room.value.trim();
      if (!who || (!renaming && !where)) {
        say(error, who ? "Which room?" : "What is your name?");
        (who ? room : name).focus();
        return;
      }
      submit.disabled = true;
      try {
        if (renaming) await chat.rename(who);
        else {
          chat.name = who;
          await chat.join(where);
        }
        dialog.close();
      } catch (problem) {
        say(error, problem.message);
        (problem.details?.field === "room" ? room : name).focus();
      } finally {
        submit.disabled = false;
      }
    };
    dialog.showModal();
  });
}

/** A link may name a room: …/#garden. */
function wanted() {
  try {
    return decodeURIComponent(location.hash.slice(1));
  } catch {
    return "";
  }
}

function help(lead) {
  const place = $("help");
  place.querySelector(".lead").textContent = lead;
  place.querySelector("button").addEventListener("click", () => location.reload());
  place.hidden = false;
}

async function start() {
  colours();
  const app = $("app");
  let socket;
  try {
    const server = gateway();
    app.inert = true; // until there is something behind it
    app.hidden = false;
    socket = await open(server);
  } catch (problem) {
    app.hidden = true;
    help(problem.message);
    return;
  }

  const chat = new Chat(socket);
  chat.name = memory.read(tab, "name") ?? "";
  chat.mine = new Set(memory.read(tab, "mine") ?? []);
  const remember = () => {
    memory.write(tab, "name", chat.name);
    memory.write(tab, "mine", [...chat.mine].slice(-1000)); // as many as the server remembers
    memory.write(tab, "rooms", { names: [...chat.rooms.keys()], current: chat.current?.name });
    memory.write(browser, "name", chat.name);
  };
  const before = memory.read(tab, "rooms"); // the view remembers anew as it is made
  let begun = false;
  chat.addEventListener("change", () => begun && remember());
  const view = new View(chat, {
    onRename: async () => {
      await ask(chat, { renaming: true });
      remember();
      chat.show(chat.current?.name);
    },
    onRooms: () => begun && remember(),
  });
  app.inert = false;

  if (chat.name && before?.names?.length) {
    for (const name of before.names) await chat.join(name).catch(() => {});
    if (before.current) chat.show(before.current);
  }
  if (chat.rooms.size === 0) await ask(chat, { renaming: false });
  begun = true;
  remember();
  chat.show(chat.current?.name);
  view.composer.focus();
}

start();

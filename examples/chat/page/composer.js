// Where one writes: a field that grows, a tray of images to go with it, and three ways to put images there.
import { $, make, say } from "./dom.js";
import { filesOf, objectURL, prepare } from "./images.js";

const LONGEST = 2000; // characters, as the server counts them
const MOST = 8; // images at a time

export class Composer {
  #tray = []; // {picture, url, element}

  /** send(text, pictures) takes what was written; typing() hears that somebody is. */
  constructor({ send, typing }) {
    this.form = $("composer");
    this.text = $("text");
    this.error = $("composer-error");
    this.note = $("composer-note");
    this.send = send;
    this.typing = typing;
    this.#listen();
  }

  focus() {
    // On a phone the keyboard would come up and cover half the page.
    if (!matchMedia("(pointer: coarse)").matches) this.text.focus();
  }

  enable(on) {
    for (const control of this.form.elements) control.disabled = !on;
  }

  complain(message) {
    say(this.error, message);
  }

  #listen() {
    const { form, text } = this;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    text.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
      event.preventDefault();
      this.#submit();
    });
    text.addEventListener("input", () => {
      this.#measure();
      this.complain("");
      if (text.value.trim()) this.typing();
    });
    text.addEventListener("paste", (event) => {
      const files = filesOf(event.clipboardData);
      if (files.length === 0) return;
      event.preventDefault();
      this.#take(files);
    });

    const files = $("files");
    $("attach").addEventListener("click", () => files.click());
    files.addEventListener("change", () => {
      this.#take([...files.files]);
      files.value = "";
    });

    const place = document.querySelector("main"), drop = $("drop");
    const carries = (event) => event.dataTransfer?.types.includes("Files") && !this.text.disabled;
    let depth = 0; // enter and leave come for every child
    place.addEventListener("dragenter", (event) => {
      if (carries(event)) drop.hidden = ++depth === 0;
    });
    place.addEventListener("dragleave", (event) => {
      if (carries(event)) drop.hidden = --depth <= 0;
    });
    place.addEventListener("dragover", (event) => {
      if (carries(event)) event.preventDefault();
    });
    place.addEventListener("drop", (event) => {
      depth = 0;
      drop.hidden = true;
      if (!carries(event)) return;
      event.preventDefault();
      this.#take(filesOf(event.dataTransfer));
    });
  }

  #submit() {
    const text = this.text.value.trim();
    const length = [...text].length;
    if (length > LONGEST) {
      this.complain(`A message may have ${LONGEST} characters, this one has ${length}.`);
      return;
    }
    if (!text && this.#tray.length === 0) {
      this.text.focus();
      return;
    }
    const pictures = this.#tray.map(({ picture }) => picture);
    for (const { url } of this.#tray) URL.revokeObjectURL(url);
    this.#tray = [];
    this.#layTray();
    this.text.value = "";
    this.#measure();
    this.complain("");
    this.send(text, pictures);
    this.text.focus();
  }

  /** Lets the field grow with its text, and tells when the room for it comes to an end. */
  #measure() {
    const { text } = this;
    text.style.height = "auto";
    text.style.height = `${text.scrollHeight}px`;
    const left = LONGEST - [...text.value].length;
    this.note.textContent = left < 200 ? `${left} characters left` : "";
    this.note.classList.toggle("over", left < 0);
  }

  async #take(files) {
    this.complain("");
    for (const file of files) {
      if (this.#tray.length >= MOST) {
        this.complain(`${MOST} images at a time are the most.`);
        return;
      }
      try {
        const picture = await prepare(file);
        this.#tray.push({ picture, url: objectURL(picture.data, picture.type) });
        this.#layTray();
      } catch (error) {
        this.complain(error.message);
      }
    }
    this.focus();
  }

  #layTray() {
    const tray = $("tray");
    tray.hidden = this.#tray.length === 0;
    tray.replaceChildren(...this.#tray.map((item) => {
      const remove = make("button", { type: "button", ariaLabel: `Remove ${item.picture.name}` }, "×");
      remove.addEventListener("click", () => {
        URL.revokeObjectURL(item.url);
        this.#tray = this.#tray.filter((other) => other !== item);
        this.#layTray();
        this.text.focus();
      });
      return make("li", {}, make("img", { src: item.url, alt: item.picture.name }), remove);
    }));
  }
}

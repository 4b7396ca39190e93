// The few things a page needs from the document. Text from elsewhere becomes text, never markup.

export const $ = (id) => document.getElementById(id);

/** An element with properties, attributes and children; strings are text. */
export function make(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined) continue;
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** Shows a message where one belongs, and hides the place while there is none. */
export function say(place, message) {
  place.textContent = message;
  place.hidden = !message;
}

/** A person's colour and letters, the same wherever the name is seen. */
export function dress(avatar, name) {
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + letter.codePointAt(0)) >>> 0;
  avatar.style.setProperty("--hue", hash % 360);
  const words = name.trim().split(/\s+/u).slice(0, 2);
  avatar.textContent = words.map((word) => [...word][0] ?? "").join("").toUpperCase();
  return avatar;
}

export const avatar = (name) => dress(make("span", { className: "avatar", ariaHidden: "true" }), name);

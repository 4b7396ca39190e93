// What a script saw of one server, as lines of text that can be compared with what it saw of another.

const ESCAPED = /[\u0000-\u001f\u007f]/g;

/** A value as text: bytes in hexadecimal, keys in order, long text by its ends and length. */
export function show(value) {
  if (value === undefined) return "undefined";
  if (typeof value === "function") return "(ack)";
  if (value instanceof ArrayBuffer) return show(Buffer.from(value));
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    const hex = bytes.subarray(0, 32).toString("hex");
    return bytes.length > 32 ? `<${hex}… ${bytes.length} bytes>` : `<${hex}>`;
  }
  if (typeof value === "string") {
    const text = value.length > 400 ? `${value.slice(0, 40)}…${value.slice(-40)} (${value.length})` : value;
    return JSON.stringify(text);
  }
  if (value instanceof Date) return `Date(${value.toISOString()})`;
  if (value instanceof Error) return `Error(${show(value.message)})`;
  if (Array.isArray(value)) return `[${value.map(show).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    return `{${Object.keys(value).sort().map((key) => `${key}:${show(value[key])}`).join(",")}}`;
  }
  return String(value);
}

/** Raw text in one line. */
export const line = (text) => {
  const short = text.length > 400 ? `${text.slice(0, 60)}…${text.slice(-40)} (${text.length})` : text;
  return short.replace(ESCAPED, (char) => `\\x${char.charCodeAt(0).toString(16).padStart(2, "0")}`);
};

/** Lines by actor: what one of them saw is in order, what two of them saw is not. */
export class Record {
  actors = new Map();
  names = new Map();

  write(actor, text) {
    if (!this.actors.has(actor)) this.actors.set(actor, []);
    this.actors.get(actor).push(text);
  }

  /** Gives something that is random (an id) a name, under which it is shown wherever it appears. */
  name(secret, name) {
    if (!secret || this.names.has(secret)) return;
    let free = name;
    for (let i = 2; [...this.names.values()].includes(`<${free}>`); i++) free = `${name} ${i}`;
    this.names.set(secret, `<${free}>`);
  }

  masked(text) {
    // The longest first: one may begin as another does.
    for (const [secret, name] of [...this.names].sort(([a], [b]) => b.length - a.length)) text = text.replaceAll(secret, name);
    return text;
  }

  lines() {
    return [...this.actors].sort(([a], [b]) => (a < b ? -1 : 1)).flatMap(([actor, texts]) => texts.map((text) => `${actor} ${this.masked(text)}`));
  }
}

/** The lines only one of two lists has, by their longest common subsequence. */
export function difference(a, b) {
  const common = Array.from({ length: a.length + 1 }, () => new Uint32Array(b.length + 1));
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      common[i][j] = a[i] === b[j] ? common[i + 1][j + 1] + 1 : Math.max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const reference = [], ours = [];
  let i = 0, j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) i++, j++;
    else if (j === b.length || (i < a.length && common[i + 1][j] >= common[i][j + 1])) reference.push(a[i++]);
    else ours.push(b[j++]);
  }
  return { reference, ours };
}

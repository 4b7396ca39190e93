// Pictures on their way out and in. The server takes 512 KiB, a phone's photograph is ten times that: what is too
// large is drawn again, smaller. What comes in is bytes from a stranger and shown only if they begin as a picture's do.

export const LIMIT = 512 * 1024;

const sides = [2048, 1600, 1200, 900, 640];
const qualities = [0.85, 0.7];

const signatures = [
  ["image/png", (b) => starts(b, 0, [0x89, 0x50, 0x4e, 0x47])],
  ["image/jpeg", (b) => starts(b, 0, [0xff, 0xd8, 0xff])],
  ["image/gif", (b) => starts(b, 0, [0x47, 0x49, 0x46, 0x38])],
  ["image/webp", (b) => starts(b, 0, [0x52, 0x49, 0x46, 0x46]) && starts(b, 8, [0x57, 0x45, 0x42, 0x50])],
  ["image/avif", (b) => starts(b, 4, [0x66, 0x74, 0x79, 0x70, 0x61, 0x76, 0x69])],
];

function starts(bytes, at, wanted) {
  return wanted.every((byte, i) => bytes[at + i] === byte);
}

/** The type of a picture by its first bytes, or undefined. */
export function pictureType(bytes) {
  return signatures.find(([, matches]) => matches(bytes))?.[0];
}

/** A picture ready to send: {name, data, type}. It throws what a person can read. */
export async function prepare(file) {
  const name = file.name || "picture.png";
  const bytes = new Uint8Array(await file.arrayBuffer());
  const type = pictureType(bytes);
  if (!type) throw new Error(`“${name}” is not a PNG, JPEG, GIF, WebP or AVIF image.`);
  if (bytes.length <= LIMIT) return { name, type, data: bytes };
  if (type === "image/gif") throw new Error(`“${name}” is larger than 512 KiB, and an animation cannot be made smaller here.`);
  return shrink(file, name);
}

async function shrink(file, name) {
  let picture;
  try {
    picture = await createImageBitmap(file);
  } catch {
    throw new Error(`“${name}” cannot be read as an image.`);
  }
  try {
    for (const side of sides) {
      const scale = Math.min(1, side / Math.max(picture.width, picture.height));
      const canvas = document.createElement("canvas");
      canvas.width = Math.max(1, Math.round(picture.width * scale));
      canvas.height = Math.max(1, Math.round(picture.height * scale));
      canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
      for (const quality of qualities) {
        const blob = await new Promise((done) => canvas.toBlob(done, "image/webp", quality));
        if (blob && blob.size <= LIMIT) {
          const data = new Uint8Array(await blob.arrayBuffer());
          return { name, type: pictureType(data), data };
        }
      }
    }
  } finally {
    picture.close();
  }
  throw new Error(`“${name}” is too large: 512 KiB is the most.`);
}

/** An address for bytes, to be given back with URL.revokeObjectURL when nothing shows them any more. */
export function objectURL(data, type) {
  return URL.createObjectURL(new Blob([data], { type: type ?? "application/octet-stream" }));
}

/** The images of a paste or a drop. */
export function filesOf(transfer) {
  return [...(transfer?.files ?? [])];
}

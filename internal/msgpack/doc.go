// Package msgpack turns JSON text into MessagePack and back. It builds no values: whoever has JSON, the encoders of
// arguments and of the messages between servers, needs no second set of types, tags and rules for MessagePack.
//
// # Bytes
//
// MessagePack has bytes, which JSON has not. As in a Socket.IO packet, the object {"_placeholder":true,"num":i} stands in the
// JSON for the bytes attachments[i]; they become bin, and bin becomes the placeholder of an attachment. An object with another
// member, or whose number names no attachment, is an object like any other.
//
// # From JSON
//
// [Pack] writes integers that fit 64 bits as integers, in their shortest form, and all other numbers as float 64; strings as
// str, where invalid UTF-8 and lone surrogates become U+FFFD.
//
// # To JSON
//
// [Unpack] reads all of MessagePack and what the JavaScript encoders make of values that it does not have:
//
//   - Integers are exact. NaN and the infinities, which JSON has not, are null, as JSON.stringify makes them.
//   - A timestamp (extension -1) and notepack's date (extension 0 of 8 bytes) are a string, 2026-01-02T15:04:05.678Z, with
//     nine digits if they are finer than a millisecond, and null if JavaScript has no such date.
//   - undefined (extension 0 of one byte) is null; a member whose value it is, is left out.
//   - An ArrayBuffer (extension 0 with a length) is bytes. Any other extension is an array of its type and its bytes.
//   - A key may be a string, an integer, a boolean or nil; as a JavaScript object would, all become strings.
//   - Invalid UTF-8 is refused, and so are bytes behind the value.
//
// Lengths are believed only where the bytes for them are there, nothing is allocated ahead, and the time both ways grows with
// the length of the input alone.
package msgpack

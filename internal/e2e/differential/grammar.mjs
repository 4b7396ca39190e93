// The grammar of packets: what is accepted and what ends the connection (3.4, S-93). Each packet is sent by a client that
// has joined "/", which then asks for an echo: it hears it, or that it is over.
import { differs } from "./compare.mjs";

const after = (...packets) => async (x) => {
  const w = await x.ws("w");
  await w.join();
  w.send(...packets);
  await w.fate();
};

const placeholder = (num) => `{"_placeholder":true,"num":${num}}`;
const one = Buffer.from([1]);

const table = {
  // events
  "an event without arguments": ['421["rooms"]'],
  "an event with blanks inside its JSON": ['421[ "echo" ,\t1 ] '],
  "an event with blanks before its JSON": ['421 ["echo"]'],
  "an event named by a number": ["42[5,1]"],
  "an event named by a fraction": ["42[1.5]"],
  "an event with an empty name": ['42["",1]'],
  "an event with an empty list": ["42[]"],
  "an event that is an object": ["42{}"],
  "an event that is text": ['42"echo"'],
  "an event without anything": ["42"],
  "an event named by null": ["42[null]"],
  "an event named by true": ["42[true]"],
  "an event named by an object": ['42[{"toString":"x"}]'],
  "an event named by a list": ['42[["echo"]]'],
  "an event whose JSON breaks off": ['42["echo",1'],
  "an event with something behind its JSON": ['42["echo"]x'],
  "an event with two lists": ['42["echo"]["echo"]'],
  "an event with a trailing comma": ['42["echo",1,]'],
  "an event in single quotes": ["42['echo']"],
  "an event with NaN": ['42["echo",NaN]'],
  "an event with a leading zero": ['42["echo",01]'],
  "an event with a bad escape": ['42["echo","\\x"]'],
  "an event with a raw line break in text": ['42["echo","a\nb"]'],
  "an event with half a surrogate pair": ['421["echo","\\ud83d"]'],
  "an event with an escaped name": ['421["\\u0065cho",1]'],
  "an event with duplicate keys": ['421["echo",{"a":1,"a":2}]'],
  "an event with a huge number": ['421["echo",1e400]'],
  "an event named connect": ['42["connect"]'],
  "an event named connect_error": ['42["connect_error"]'],
  "an event named disconnect": ['42["disconnect"]'],
  "an event named disconnecting": ['42["disconnecting"]'],
  "an event named newListener": ['42["newListener"]'],
  "an event named removeListener": ['42["removeListener"]'],
  "an event named error": ['42["error","harmless"]'],
  "an event named constructor": ['42["constructor",1]'],
  // types and namespaces
  "an unknown type": ["47"],
  "a type that is a letter": ["4a"],
  "an empty message": ["4"],
  "a CONNECT_ERROR from a client": ['44{"message":"no"}'],
  "an event for the main namespace by name": ['42/,1["echo"]'],
  "an event for a namespace not joined": ['42/one,["echo"]'],
  "an event for a namespace that does not exist": ['42/nowhere,["echo"]'],
  "an event whose namespace has no comma": ['42/one["echo"]'],
  "an ack for a namespace not joined": ["43/one,1[]"],
  // connect and disconnect
  "CONNECT with text": ['40/one,"text"'],
  "CONNECT with a list": ["40/one,[1]"],
  "CONNECT with null": ["40/one,null"],
  "CONNECT with broken JSON": ["40/one,{"],
  "DISCONNECT with an object": ["41{}"],
  "DISCONNECT with text": ['41"bye"'],
  "DISCONNECT from a namespace not joined": ["41/one,"],
  // acks
  "an ack without a list": ["431"],
  "an ack that is an object": ["431{}"],
  "an ack that is text": ['431"a"'],
  "an ack without an id": ["43[]"],
  "an ack with an empty list": ["431[]"],
  // binary
  "bytes nobody announced": [one],
  "an event with one attachment": [`451-1["echo",${placeholder(0)}]`, one],
  "an event with an attachment not referred to": ['451-1["echo","no placeholder"]', one],
  "an attachment referred to twice": [`451-1["echo",${placeholder(0)},${placeholder(0)}]`, one],
  "placeholders out of order": [`452-1["echo",${placeholder(1)},${placeholder(0)}]`, one, Buffer.from([2])],
  "a placeholder beyond the attachments": [`451-1["echo",${placeholder(1)}]`, one],
  "a placeholder with a negative number": [`451-1["echo",${placeholder(-1)}]`, one],
  "a placeholder with a fraction": [`451-1["echo",${placeholder(0.5)}]`, one],
  "a placeholder with text as its number": ['451-1["echo",{"_placeholder":true,"num":"0"}]', one],
  "a placeholder without a number": ['451-1["echo",{"_placeholder":true}]', one],
  "a placeholder that says false": ['451-1["echo",{"_placeholder":false,"num":0}]', one],
  "a placeholder in an event without attachments": [`421["echo",${placeholder(0)}]`],
  "no attachments announced": ['450-1["echo"]'],
  "no number of attachments": ['45["echo"]'],
  "a number of attachments without its dash": ['451["echo"]'],
  "a negative number of attachments": ['45-1-["echo"]'],
  "eleven attachments": ['4511-1["echo"]'],
  "a million attachments": ['451000000-["echo"]'],
  "text where an attachment is due": [`451-1["echo",${placeholder(0)}]`, '421["echo"]'],
  "a binary event for another namespace not joined": [`451-/one,["echo",${placeholder(0)}]`, one],
  "a binary ack nobody waits for": [`461-1[${placeholder(0)}]`, one],
  "a binary event whose name is a placeholder": [`451-[${placeholder(0)}]`, one],
};

const alive = 'w < 42["echo","alive"]';

/** What is refused here and passes there, or looks otherwise. */
const why = {
  "an event with blanks before its JSON": ["3.4: packets have no blanks", { reference: ["w < 431[]", alive], ours: ["w closed"] }],
  "an event without anything": ["3.4: an event has a name", { reference: [alive], ours: ["w closed"] }],
  "an ack without a list": ["3.4: an ack has a list", { reference: [alive], ours: ["w closed"] }],
  "a placeholder with a fraction": ["3.4: there is no half attachment", { reference: ["w < 431[null]", alive], ours: ["w closed"] }],
  "an event with half a surrogate pair": [
    "3.4: text is Unicode in Go: half a pair is U+FFFD", { reference: [String.raw`w < 431["\ud83d"]`], ours: ['w < 431["\ufffd"]'] },
  ],
  "an event with a huge number": [
    "3.4: no number is infinite: it cannot be decoded", { reference: ["w < 431[null]"], ours: ['w < 431[{"error":"cannot be decoded"}]'] },
  ],
};

export const grammar = Object.fromEntries(
  Object.entries(table).map(([name, packets]) => [
    `3.4 ${name}`, why[name] ? differs(...why[name], after(...packets)) : after(...packets),
  ]),
);

const deep = (n) => `421["echo",${"[".repeat(n)}${"]".repeat(n)}]`;

export const limits = {
  "3.4 CONNECT with an id": async (x) => {
    const w = await x.ws("w");
    await w.join("/one,5");
    await w.join("/two,{}");
  },
  "3.4 an attachment too many": async (x) => {
    const w = await x.ws("w");
    await w.join();
    w.send(`451-1["echo",${placeholder(0)}]`, one);
    await w.several(2);
    w.send(one);
    await w.ended();
  },
  "3.4 sixty levels of lists": after(deep(60)),
  "3.4 a hundred levels of lists": differs(
    "3.4: nesting over 64 levels ends the connection",
    { reference: [`w < 431[${"[".repeat(100)}${"]".repeat(100)}]`, alive], ours: ["w closed"] },
    after(deep(100)),
  ),
  "3.4 a type with attachments in a packet without": after('421-["echo",1]'),
};

// The colours of a terminal, as data: a line becomes pieces of text, each with the classes it is shown in. All other
// codes of terminals are dropped; nothing here makes markup, so nothing in a log can.
import { plain } from "./plain.js";

// eslint-disable-next-line no-control-regex
const CODES = /\u001b(?:\[([0-?]*)[ -/]*([@-~])|\][^\u0007\u001b]*(?:\u0007|\u001b\\)?|[@-Z\\-_])/g;
const FACES = { 1: "bold", 2: "faint", 3: "italic", 4: "underline", 7: "inverse" };

/** Pieces of a line, `{text, classes}`, and the face with which the next line begins. */
export function pieces(line, face = {}) {
  const found = [];
  let now = face;
  let at = 0;
  for (const code of line.matchAll(CODES)) {
    push(found, line.slice(at, code.index), now);
    if (code[2] === "m") now = faced(now, code[1]);
    at = code.index + code[0].length;
  }
  push(found, line.slice(at), now);
  return { found, face: now };
}

/** The text of a line without any code. */
export const bare = (line) => plain(line.replace(CODES, "")).replace(/\\u\{9\}/g, "    ");

function push(found, text, face) {
  if (text) found.push({ text: plain(text.replace(/\t/g, "    ")), classes: classesOf(face) });
}

function classesOf(face) {
  return Object.values(face).filter(Boolean).join(" ");
}

/** A face after "select graphic rendition" with these numbers. */
function faced(face, text) {
  let next = { ...face };
  const numbers = text.split(/[;:]/).map(Number);
  for (let place = 0; place < numbers.length; place += 1) {
    const number = numbers[place];
    if (number === 0) next = {};
    else if (number in FACES) next[FACES[number]] = FACES[number];
    else if (number === 22) next.bold = next.faint = "";
    else if (number >= 23 && number <= 27) next[FACES[number - 20]] = "";
    else if (number === 38 || number === 48) place = extended(next, numbers, place);
    else coloured(next, number);
  }
  return next;
}

/** The colours with a number of their own. */
function coloured(face, number) {
  const kinds = { 3: ["front", ""], 4: ["back", ""], 9: ["front", "bright-"], 10: ["back", "bright-"] };
  const kind = kinds[Math.floor(number / 10)];
  if (!kind) return;
  const colour = number % 10;
  face[kind[0]] = colour <= 7 ? `${kind[0]}-${kind[1]}${colour}` : "";
}

/** One of 256 colours: the first sixteen are known, of the rest the nearest of them is shown. Returns the place after. */
function extended(face, numbers, place) {
  const which = numbers[place] === 38 ? "front" : "back";
  if (numbers[place + 1] === 5) {
    face[which] = `${which}-${near(numbers[place + 2])}`;
    return place + 2;
  }
  if (numbers[place + 1] === 2) {
    face[which] = `${which}-${nearest(...numbers.slice(place + 2, place + 5))}`;
    return place + 4;
  }
  return place;
}

function near(colour) {
  if (colour < 8) return String(colour);
  if (colour < 16) return `bright-${colour - 8}`;
  if (colour >= 232) return colour < 244 ? "bright-0" : "7";
  const cube = colour - 16;
  return nearest(...[Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((step) => step * 51));
}

function nearest(red = 0, green = 0, blue = 0) {
  const bits = (red > 100 ? 1 : 0) + (green > 100 ? 2 : 0) + (blue > 100 ? 4 : 0);
  return Math.max(red, green, blue) > 200 ? `bright-${bits}` : String(bits);
}

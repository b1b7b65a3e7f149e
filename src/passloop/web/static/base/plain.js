// Text that others wrote, made safe to read: what is invisible, turns the direction or controls a terminal is written out.

// eslint-disable-next-line no-control-regex
const UNSAFE = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;
const PLAIN_WORD = /^[A-Za-z0-9_@%+=:,./-]+$/;

/** One line or several of plain text. */
export function plain(text) {
  return String(text ?? "").replace(UNSAFE, (found) => `\\u{${found.charCodeAt(0).toString(16)}}`);
}

/** Text for one line. */
export const oneLine = (text) => plain(text).replace(/\n/g, "\\n");

/** A command as it would be typed into a shell. */
export function commandText(words) {
  return (words || []).map((word) => (PLAIN_WORD.test(word) ? word : `'${oneLine(word).replace(/'/g, "'\\''")}'`)).join(" ");
}

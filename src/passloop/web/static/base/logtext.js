// From the bytes of a log to its lines: text that comes in parts, progress bars folded to their last form, and a bound
// on what is kept in the browser, with the number of lines that were dropped at the front.

export const MOST_LINES = 20_000;

/** Lines of a log, added to piece by piece. `lines` holds finished lines, `open` the one that goes on. */
export function logText() {
  const decoder = new TextDecoder("utf-8", { fatal: false });
  const log = { lines: [], open: "", dropped: 0, folded: 0, add, end };

  function add(bytes) {
    const parts = (log.open + decoder.decode(bytes, { stream: true })).split("\n");
    log.open = folded(parts.pop(), false);
    for (const part of parts) log.lines.push(folded(part, true));
    if (log.lines.length > MOST_LINES) {
      log.dropped += log.lines.length - MOST_LINES;
      log.lines = log.lines.slice(-MOST_LINES);
    }
    return log;
  }

  function end() {
    return log.open ? [...log.lines, shown(log.open)] : log.lines;
  }

  /** A carriage return goes back to the start of the line: of what was written over, the last form is kept. */
  function folded(line, over) {
    const text = line.endsWith("\r") && over ? line.slice(0, -1) : line;
    const forms = text.split("\r");
    const kept = forms.filter(Boolean).slice(-1)[0] ?? "";
    log.folded += Math.max(0, forms.filter(Boolean).length - 1);
    return over ? kept : text.endsWith("\r") ? `${kept}\r` : kept;
  }

  return log;
}

const shown = (line) => (line.endsWith("\r") ? line.slice(0, -1) : line);

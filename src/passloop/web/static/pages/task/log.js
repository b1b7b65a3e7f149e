// The output of an attempt: live, with search, the colours of a terminal as text, and progress bars folded into one line.
import { bytesText, countText } from "../../base/amounts.js";
import { query } from "../../base/api.js";
import { bare } from "../../base/ansi.js";
import { html, useEffect, useMemo, useRef, useState } from "../../base/html.js";
import { useKeys } from "../../base/keys.js";
import { useRest } from "../../base/watch.js";
import { Empty } from "../../parts/empty.js";
import { Panel } from "../../parts/panel.js";
import { useFollowed } from "./follow.js";
import { LogScreen } from "./log_screen.js";

const FIRST = 512 * 1024;
const MOST = 8 * 1024 * 1024;

export function Log({ task, attempt }) {
  const [stream, setStream] = useState("stdout");
  const [bytes, setBytes] = useState(FIRST);
  const [words, setWords] = useState("");
  const [hit, setHit] = useState(0);
  const [following, setFollowing] = useState(true);
  const log = useFollowed(task, attempt, stream, bytes);
  const sought = useRest(words);
  const hits = useMemo(() => (sought ? found(log.lines, sought) : []), [log.lines, sought]);
  useEffect(() => setHit(0), [sought]);
  const step = (by) => {
    if (!hits.length) return;
    setFollowing(false);
    setHit((hit + by + hits.length) % hits.length);
  };
  const at = sought && hits.length ? hits[Math.min(hit, hits.length - 1)] : null;
  return html`<${Panel} title="Output" note=${noteOf(log)} bare label="Output"
    end=${html`<a href=${`/api/v1/tasks/${task}/log${query({ stream, attempt, limit: MOST })}`} download=${`task-${task}-${attempt}.${stream}.log`}>download</a>`}>
    <div class="log">
      <${Controls} ...${{ stream, setStream, words, setWords, hits, hit, step, following, setFollowing, log }} />
      ${log.from > 0 && html`<div class="bar"><span class="soft">${bytesText(log.from)} before this are not here</span>
        <button type="button" disabled=${bytes >= MOST} onClick=${() => setBytes(Math.min(MOST, bytes * 4))}>more of it</button></div>`}
      ${log.lines.length || log.state === "reading" || log.state === "following"
        ? html`<${LogScreen} lines=${log.lines} first=${log.dropped} words=${sought} at=${at} following=${following} onScrolled=${setFollowing} />`
        : html`<${Empty}>It wrote nothing to ${stream}.<//>`}
    </div>
  <//>`;
}

function Controls({ stream, setStream, words, setWords, hits, hit, step, following, setFollowing, log }) {
  const ref = useRef(null);
  useKeys([{ keys: "/", does: "look for words in the output", act: () => ref.current.focus() }]);
  const typed = (event) => {
    if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
    if (event.key === "Escape") ref.current.blur();
  };
  return html`<div class="bar">
    <span class="chips" role="group" aria-label="Stream">
      ${["stdout", "stderr"].map((name) => html`<button key=${name} class="chip" type="button" aria-pressed=${String(stream === name)} onClick=${() => setStream(name)}>${name}</button>`)}
    </span>
    <input ref=${ref} type="search" aria-label="Look for" placeholder="look for   ( / )" value=${words} onInput=${(event) => setWords(event.target.value)} onKeyDown=${typed} />
    ${words && html`<span class="soft" role="status">${hits.length ? `${hit + 1} of ${countText(hits.length)}` : "not found"}</span>
      <button class="quiet round" type="button" aria-label="Found before" onClick=${() => step(-1)}>↑</button>
      <button class="quiet round" type="button" aria-label="Next found" onClick=${() => step(1)}>↓</button>`}
    <label class="chips"><input type="checkbox" checked=${following} onChange=${(event) => setFollowing(event.target.checked)} /> follow</label>
    ${log.folded > 0 && html`<span class="soft">${countText(log.folded)} progress updates folded</span>`}
  </div>`;
}

function found(lines, words) {
  const low = words.toLowerCase();
  const places = [];
  for (let place = 0; place < lines.length; place += 1) if (bare(lines[place]).toLowerCase().includes(low)) places.push(place);
  return places;
}

function noteOf(log) {
  const size = `${countText(log.lines.length)} ${log.lines.length === 1 ? "line" : "lines"}, ${bytesText(log.size)}`;
  const words = { reading: "reading", following: `${size} · follows`, ended: size, broken: `${size} · waiting for the engine` };
  return words[log.state];
}

// The list of tasks: filter, groups, rows, and what can be done to those that are picked. Another filter picks none: nobody
// acts on what is no longer shown.
import { act, actsFor } from "../../base/acts.js";
import { countOf } from "../../base/amounts.js";
import { html, useCallback, useLayoutEffect, useMemo, useState } from "../../base/html.js";
import { useKeys } from "../../base/keys.js";
import { useLive } from "../../base/live.js";
import { usePaged } from "../../base/paged.js";
import { go, link } from "../../base/route.js";
import { touches } from "../../base/events.js";
import { Empty } from "../../parts/empty.js";
import { Failure } from "../../parts/failure.js";
import { Virtual } from "../../parts/virtual.js";
import { Bulk } from "./bulk.js";
import { FilterBar } from "./filter_bar.js";
import { filterOf, isFiltered, selectorsOf } from "./filter.js";
import { Groups } from "./groups.js";
import { HEIGHT, HeadLine, Row } from "./row.js";

export function TaskList({ params }) {
  const filter = filterOf(params);
  const list = usePaged("/table", filter);
  const [picked, setPicked] = useState(new Set());
  const [all, setAll] = useState(false);
  const [cursor, setCursor] = useState(null);
  const gpus = useLive("/gpus", {}, { concerns: (event) => event !== null && touches(event, "devices"), pause: 10_000 });
  const places = useMemo(() => new Map((gpus.data?.gpus || []).map((gpu) => [gpu.uuid, gpu.index])), [gpus.data]);
  const need = useCallback((first, last) => list.need(first, last), [list.ready, list.total]);
  const clear = () => {
    setPicked(new Set());
    setAll(false);
  };
  const pick = picker(list, picked, setPicked, setAll);
  const shown = JSON.stringify(filter);
  useLayoutEffect(() => {
    clear();
    setCursor(null);
  }, [shown]);
  useListKeys({ list, cursor, setCursor, pick, clear, select: () => chosen({ list, cursor, picked, all, filter }) });
  return html`
    <div class="head"><h1>Tasks</h1><span class="soft" role="status">${list.ready ? countOf(list.total, "task") : ""}</span></div>
    <div class="tasks-page">
      <${Groups} chosen=${filter.group || []} />
      <div>
        <${FilterBar} filter=${filter} states=${list.states} />
        <section class="panel" aria-label="Tasks">
          ${(picked.size > 0 || all) && html`<${Bulk} picked=${picked} total=${list.total} all=${all} setAll=${setAll} clear=${clear} selectors=${selectorsOf(filter)} />`}
          ${list.error && html`<${Failure} error=${list.error} again=${() => list.stale()} />`}
          ${list.ready && list.total === 0
            ? html`<${None} filtered=${isFiltered(filter)} />`
            : html`<${Virtual} total=${list.total} height=${HEIGHT} need=${need} label="List of tasks" at=${cursor} head=${html`<${HeadLine} />`}>
                ${(place) => {
                  const task = list.rowAt(place);
                  return html`<${Row} key=${place} task=${task} places=${places} picked=${task !== null && (all || picked.has(task.id))}
                    cursor=${cursor === place} onPick=${(event) => pick(place, event.shiftKey)} />`;
                }}
              <//>`}
        </section>
      </div>
    </div>
  `;
}

function None({ filtered }) {
  if (filtered) return html`<${Empty}>No task is like that. Take something from the filter away.<//>`;
  return html`<${Empty} command="passloop submit -- python train.py">Nothing was submitted yet. <a href=${link(["new"])}>Start something</a>, or on the command line:<//>`;
}

/** Picks one row; with shift all between it and the last one picked. */
function picker(list, picked, setPicked, setAll) {
  return (place, through) => {
    const next = new Set(picked);
    const task = list.rowAt(place);
    if (!task) return;
    const from = through && picker.last !== undefined ? picker.last : place;
    const adding = !picked.has(task.id);
    for (let at = Math.min(from, place); at <= Math.max(from, place); at += 1) {
      const each = list.rowAt(at);
      if (each) adding ? next.add(each.id) : next.delete(each.id);
    }
    picker.last = place;
    setAll(false);
    setPicked(next);
  };
}

/** The tasks a key acts on: those picked, else the one under the cursor. */
function chosen({ list, cursor, picked, all, filter }) {
  if (all) return { select: selectorsOf(filter), states: null };
  if (picked.size) return { select: [...picked].map(String), states: null };
  const task = cursor === null ? null : list.rowAt(cursor);
  return task && { select: [String(task.id)], states: [task.state] };
}

function useListKeys({ list, cursor, setCursor, pick, clear, select }) {
  const step = (by) => setCursor(Math.max(0, Math.min(list.total - 1, (cursor ?? (by > 0 ? -1 : list.total)) + by)));
  const open = () => {
    const task = cursor === null ? null : list.rowAt(cursor);
    if (task) go(link(["tasks", String(task.id)]));
  };
  const does = (name) => () => {
    const found = select();
    if (found?.select && (!found.states || actsFor(found.states[0]).includes(name))) act(name, found.select).then((answer) => answer && clear());
  };
  useKeys([
    { keys: "j", does: "next task", act: () => step(1) },
    { keys: "k", does: "task before", act: () => step(-1) },
    { keys: "x", does: "pick the task", act: () => cursor !== null && pick(cursor, false) },
    { keys: "Enter", does: "open the task", act: open },
    { keys: "r", does: "retry what is picked", act: does("retry") },
    { keys: "h", does: "hold what is picked", act: does("hold") },
    { keys: "u", does: "release what is picked", act: does("release") },
    { keys: "Escape", does: "pick none", act: clear },
  ]);
}

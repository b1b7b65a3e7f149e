// A spec in YAML: looked at while it is typed, planned before it is submitted.
import { post } from "../../base/api.js";
import { html, useRef, useState } from "../../base/html.js";
import { say } from "../../base/messages.js";
import { go, link } from "../../base/route.js";
import { Field } from "../../parts/field.js";
import { Panel } from "../../parts/panel.js";
import { useAsked } from "./asking.js";
import { EXAMPLES } from "./examples.js";
import { SchemaFields } from "./schema_fields.js";
import { SpecPlan } from "./spec_plan.js";

const KINDS = [["run", "sweep"], ["bench", "bench"], ["tune", "tune"], ["generate", "generate"]];
let kept = "";

export function SpecForm() {
  const [text, setText] = useState(kept);
  const [cwd, setCwd] = useState("");
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState(null);
  const editor = useRef(null);
  const body = { text, ...(cwd.trim() ? { cwd: cwd.trim() } : {}) };
  const asked = useAsked("/plan", text.trim() ? body : null);
  const kind = /^(run|bench|tune|generate)\s*:/m.exec(text)?.[1] || null;
  const type = (value) => {
    kept = value;
    setRefused(null);
    setText(value);
  };
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const done = await post("/specs", body);
      say(done.said || "submitted");
      kept = "";
      go(done.run ? link(["runs", String(done.run.id)]) : link(["runs"]));
    } catch (error) {
      setRefused(error);
    }
    setBusy(false);
  };
  const goTo = (line, column) => caret(editor.current, line, column);
  return html`<form class="editor" onSubmit=${submit}>
    <${Panel} title="Spec" note=${kind ? `of kind ${kind}` : "YAML; its first key names its kind"} end=${html`<span class="chips">
      <span class="soft">begin with</span>${KINDS.map(([name, words]) => html`<button key=${name} class="chip" type="button" onClick=${() => type(EXAMPLES[name])}>${words}</button>`)}</span>`}>
      <textarea ref=${editor} rows="24" name="spec" aria-label="Spec" spellcheck="false" autocomplete="off" value=${text} onInput=${(event) => type(event.target.value)} onKeyDown=${indent}></textarea>
      <${Field} label="Runs in, and what relative paths mean">
        <input name="cwd" placeholder="your home directory" value=${cwd} onInput=${(event) => setCwd(event.target.value)} autocomplete="off" spellcheck="false" />
      <//>
      <p></p>
      <button class="main" type="submit" disabled=${busy || asked.asking || !asked.answer?.valid}>Submit</button>
    <//>
    <div>
      <${SpecPlan} asked=${asked} refused=${refused} empty=${!text.trim()} goTo=${goTo} />
      ${kind && html`<${SchemaFields} key=${kind} kind=${kind} />`}
    </div>
  </form>`;
}

/** Two spaces where other editors write a tab; Escape leaves, so that the keyboard is not caught. */
function indent(event) {
  if (event.key === "Escape") event.target.blur();
  if (event.key !== "Tab" || event.shiftKey) return;
  event.preventDefault();
  const { selectionStart: at } = event.target;
  event.target.setRangeText("  ", at, event.target.selectionEnd, "end");
  event.target.dispatchEvent(new Event("input", { bubbles: true }));
}

function caret(area, line, column) {
  const lines = area.value.split("\n").slice(0, Math.max(0, line - 1));
  const at = lines.reduce((sum, each) => sum + each.length + 1, 0) + Math.max(0, (column || 1) - 1);
  area.focus();
  area.setSelectionRange(at, at);
}

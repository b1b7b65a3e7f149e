// One command, or an array of it, with what it asks for.
import { countOf } from "../../base/amounts.js";
import { post } from "../../base/api.js";
import { html, useState } from "../../base/html.js";
import { say } from "../../base/messages.js";
import { go, link } from "../../base/route.js";
import { shellSigns, splitWords } from "../../base/words.js";
import { Field } from "../../parts/field.js";
import { Panel } from "../../parts/panel.js";
import { useAsked } from "./asking.js";
import { CommandPlan } from "./command_plan.js";
import { FIELDS, optionsOf } from "./fields.js";

export function CommandForm() {
  const [text, setText] = useState("");
  const [cwd, setCwd] = useState("");
  const [values, setValues] = useState({ gpus: "1" });
  const [busy, setBusy] = useState(false);
  const { words, wrong } = splitWords(text);
  const signs = shellSigns(words);
  const body = { words, options: optionsOf({ ...values, cwd }) };
  const asked = useAsked("/commands", words.length && !wrong ? { ...body, dry: true } : null);
  const set = (name) => (event) => setValues({ ...values, [name]: event.target.value });
  const submit = async (event) => {
    event.preventDefault();
    setBusy(true);
    try {
      const done = await post("/commands", body);
      say(`submitted: ${countOf(done.tasks.length, "task")}`);
      go(done.tasks.length === 1 ? link(["tasks", String(done.tasks[0])]) : link(["runs", String(done.run.id)]));
    } catch (error) {
      say(error.message, { bad: true, hint: error.hint });
    }
    setBusy(false);
  };
  const good = words.length > 0 && !wrong && asked.answer && !asked.asking && !asked.answer.never_fits;
  return html`<form class="editor" onSubmit=${submit}>
    <${Panel} title="Command">
      <${Field} label="Words, as in a shell" wrong=${wrong} note=${signs.length ? `${signs.join(" ")} means nothing here: write sh -c '...' for a shell` : "quotes keep words together; nothing is expanded but {index}"}>
        <textarea rows="4" name="command" spellcheck="false" autocomplete="off" placeholder="python train.py --lr 3e-4" value=${text} onInput=${(event) => setText(event.target.value)}></textarea>
      <//>
      <div class="fields">
        ${FIELDS.map((field) => html`<${Field} key=${field.name} label=${field.label}>
          <input name=${field.name} placeholder=${field.hint} value=${values[field.name] || ""} onInput=${set(field.name)} autocomplete="off" />
        <//>`)}
      </div>
      <${Field} label="Runs in" note="the environment is the engine's">
        <input name="cwd" placeholder="your home directory" value=${cwd} onInput=${(event) => setCwd(event.target.value)} autocomplete="off" spellcheck="false" />
      <//>
      <p></p>
      <button class="main" type="submit" disabled=${!good || busy}>Submit</button>
    <//>
    <${CommandPlan} words=${words} asked=${asked} options=${body.options} onMost=${(most) => setValues({ ...values, max_parallel: String(most) })} />
  </form>`;
}

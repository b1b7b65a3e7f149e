// The fields that a spec of one kind may have, from the JSON Schema that the engine checks with.
import { html } from "../../base/html.js";
import { useLive } from "../../base/live.js";
import { oneLine, plain } from "../../base/plain.js";
import { Loaded } from "../../parts/loaded.js";
import { Panel } from "../../parts/panel.js";

export function SchemaFields({ kind }) {
  const found = useLive(`/schema/${kind}`, {}, { concerns: () => false });
  return html`<${Panel} title="Fields" note="as the schema has them">
    <${Loaded} of=${found}>${(schema) => html`<dl class="facts">${fieldsOf(schema).map((field) => html`
      <dt key=${field.name}><span class="mono">${oneLine(field.name)}</span>${field.must ? " *" : ""}</dt>
      <dd>${plain(field.words)} <span class="soft">${field.type}</span></dd>`)}</dl>`}<//>
  <//>`;
}

function fieldsOf(found) {
  const schema = found.schema || found;
  const top = resolved(schema, schema);
  const must = new Set(top.required || []);
  return Object.entries(top.properties || {}).map(([name, field]) => ({
    name, must: must.has(name), words: resolved(schema, field).description || field.description || "", type: typeOf(schema, field),
  }));
}

function resolved(root, part) {
  if (!part?.$ref) return part || {};
  return part.$ref.replace(/^#\//, "").split("/").reduce((at, name) => at?.[name], root) || {};
}

function typeOf(root, field) {
  const own = resolved(root, field);
  if (own.enum) return own.enum.map(String).join(" | ");
  if (own.const !== undefined) return String(own.const);
  const some = own.anyOf || own.oneOf;
  if (some) return [...new Set(some.map((each) => typeOf(root, each)))].filter((each) => each !== "null").join(" or ");
  return Array.isArray(own.type) ? own.type.join(" or ") : own.type || "";
}

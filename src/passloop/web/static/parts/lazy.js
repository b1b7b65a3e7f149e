// A component whose module is fetched when it is first shown.
import { html, useEffect, useState } from "../base/html.js";
import { Failure } from "./failure.js";

/** `load` gives a module whose `Page` is the component. */
export function lazy(load) {
  let known = null;
  return function Lazy(props) {
    const [found, setFound] = useState(() => known);
    const [error, setError] = useState(null);
    useEffect(() => {
      if (known) return;
      load().then(
        (module) => setFound(() => (known = module.Page)),
        (reason) => setError(reason),
      );
    }, []);
    if (error) {
      const told = { message: "this page could not be loaded", hint: "reload it once the engine answers again" };
      return html`<${Failure} error=${told} again=${() => location.reload()} />`;
    }
    return found ? html`<${found} ...${props} />` : null;
  };
}

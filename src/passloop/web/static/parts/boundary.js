// Keeps a mistake in one part of the page from taking all of it away.
import { Component } from "../vendor/preact.js";
import { html } from "../base/html.js";
import { Failure } from "./failure.js";

export class Boundary extends Component {
  constructor() {
    super();
    this.state = { error: null };
  }

  static getDerivedStateFromError(error) {
    return { error };
  }

  componentDidCatch(error) {
    console.error(error);
  }

  render({ children }, { error }) {
    if (!error) return children;
    const told = { message: `the page made a mistake: ${error.message}`, hint: "the browser's console has its story" };
    return html`<${Failure} error=${told} again=${() => this.setState({ error: null })} />`;
  }
}

// The pages there are, in the order of the navigation. Each is fetched when it is first shown.
import { lazy } from "../parts/lazy.js";

export const PAGES = [
  { name: "now", title: "Now", keys: "g n", component: lazy(() => import("../pages/now/now.js")) },
  { name: "tasks", title: "Tasks", keys: "g t", component: lazy(() => import("../pages/tasks/tasks.js")) },
  { name: "runs", title: "Runs", keys: "g r", component: lazy(() => import("../pages/runs/runs.js")) },
  { name: "new", title: "New", keys: "g s", component: lazy(() => import("../pages/new/new.js")) },
  { name: "devices", title: "Devices", keys: "g d", component: lazy(() => import("../pages/devices/devices.js")) },
];

const NOWHERE = { name: "", title: "Nothing here", component: lazy(() => import("../pages/nowhere.js")) };

/** The page that an address names. */
export const pageOf = (name) => PAGES.find((each) => each.name === name) || NOWHERE;

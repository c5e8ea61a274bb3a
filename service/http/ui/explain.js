// Why: the server's own explanation, a sentence and the causes behind it.

import { get } from "./api.js";
import { fill, h } from "./h.js";
import { contextLink, orchestrationLink } from "./parts.js";

// What a cause is about, as links. IDs with an @ in front are entities: their context is shown.
function links(cause) {
  const ids = new Set([cause.instance_id, cause.orchestration_id].filter(Boolean));
  return [...ids].map((id) => [" ", id.startsWith("@") ? contextLink(id) : orchestrationLink(id)]);
}

// Fills `node` with what the server says at `path`; with nothing if it says nothing.
export async function explain(node, path, page) {
  if (page.cannotExplain) return;
  let answer;
  try {
    answer = await get(path, {}, page.signal);
  } catch (error) {
    // Not every server can explain, and there may be nothing to say: the page is whole without.
    page.cannotExplain = error.status === 404 || error.status === 501;
    fill(node);
    return;
  }
  const causes = answer.causes ?? [];
  if (!answer.sentence) {
    fill(node);
    return;
  }
  fill(node, h("section", { class: "why", "aria-label": "Why" },
    h("h2", null, "Why"), h("p", { class: "sentence" }, answer.sentence),
    causes.length < 2 && !causes.some((cause) => links(cause).length) ? null
      : h("ul", null, causes.map((cause) => h("li", null, cause.text, links(cause)))),
    answer.more_causes ? h("p", { class: "quiet" }, `and ${answer.more_causes} more`) : null));
}

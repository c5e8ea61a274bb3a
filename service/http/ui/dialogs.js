// Dialogs: what a verb will do, and the command line that does the same.

import { fill, h } from "./h.js";
import { shellWord } from "./format.js";
import { copyButton } from "./parts.js";

// Shows `content` in a dialog until it is closed. Returns the <dialog>. A click beside it
// closes it, unless stays() says that it must not be closed by mistake.
export function dialog(title, content, stays = () => false) {
  const node = h("dialog", { "aria-labelledby": "dialog-title" },
    h("h2", { id: "dialog-title", tabindex: -1 }, title), content);
  node.addEventListener("close", () => node.remove());
  node.addEventListener("click", (event) => {
    if (event.target === node && !stays()) node.close();
  });
  document.body.append(node);
  node.showModal();
  return node;
}

function fieldNode(field, onChange) {
  const id = `field-${field.name}`;
  const common = {
    id, name: field.name, oninput: onChange, "aria-describedby": field.hint && `${id}-hint`,
    required: field.required,
  };
  let control;
  if (field.kind === "checkbox") {
    control = h("input", { ...common, type: "checkbox", checked: field.value });
    return h("p", { class: "field" }, h("label", { class: "check" }, control, field.label));
  }
  if (field.kind === "select") {
    control = h("select", common, field.options.map(([value, label]) =>
      h("option", { value, selected: value === field.value }, label)));
  } else if (field.kind === "textarea") {
    control = h("textarea", { ...common, rows: 4, spellcheck: "false" });
    control.value = field.value ?? "";
  } else {
    control = h("input", { ...common, type: "text", autocomplete: "off", spellcheck: "false" });
    control.value = field.value ?? "";
  }
  return h("p", { class: "field" }, h("label", { for: id }, field.label), control,
    field.hint ? h("span", { class: "hint", id: `${id}-hint` }, field.hint) : null);
}

function valuesOf(form, fields) {
  return Object.fromEntries(fields.map((field) => {
    const control = form.elements.namedItem(field.name);
    return [field.name, field.kind === "checkbox" ? control.checked : control.value];
  }));
}

// verb: {title, says: text or (values) -> text, more: nodes, fields, confirm, danger,
// command(values) -> words, or a text for a shell, check(values) -> what is wrong,
// run(values) -> promise, of what to call when the dialog is closed}. Returns the <dialog>.
export function ask(verb) {
  const fields = verb.fields ?? [];
  const says = h("p", { class: "says" });
  const command = h("div", { class: "command" });
  const error = h("p", { class: "error", role: "alert" });
  const confirm = h("button", { type: "submit", class: verb.danger ? "danger" : "primary" },
    verb.confirm ?? verb.title);
  const form = h("form", { method: "dialog", onsubmit: submit },
    says, verb.more,
    fields.map((field) => fieldNode(field, refresh)),
    h("p", { class: "label" }, "The same as a command line"), command, error,
    h("p", { class: "buttons" }, confirm,
      h("button", { type: "button", onclick: () => node.close() }, "Cancel")));
  const node = dialog(verb.title, form);
  refresh();
  // What there is to read comes first.
  const first = verb.more ? node.querySelector("h2") : form.querySelector("input, textarea, select");
  (first ?? confirm).focus();
  return node;

  function refresh() {
    const values = valuesOf(form, fields);
    fill(says, typeof verb.says === "function" ? verb.says(values) : verb.says);
    const said = verb.command(values);
    const line = Array.isArray(said) ? said.map(shellWord).join(" ") : said;
    fill(command, h("code", { tabindex: 0, "aria-label": "Command line" }, line),
      copyButton(line));
  }

  async function submit(event) {
    event.preventDefault();
    if (confirm.disabled) return;
    const values = valuesOf(form, fields);
    const wrong = verb.check?.(values);
    if (wrong) {
      fill(error, wrong);
      return;
    }
    confirm.disabled = true;
    fill(error);
    try {
      const next = await verb.run(values);
      node.close();
      next?.();
    } catch (failed) {
      fill(error, failed.message);
      confirm.disabled = false;
    }
  }
}

// The text if it is JSON or nothing; else what is wrong with it.
export function jsonProblem(text, label) {
  if (text.trim() === "") return "";
  try {
    JSON.parse(text);
    return "";
  } catch (error) {
    return `${label} is not valid JSON: ${error.message}`;
  }
}

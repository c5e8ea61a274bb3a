// h(tag, props, ...children) makes an element, s(...) one of SVG.
//
// What a user can name (IDs, events, failures) only ever becomes text: there is no way
// from here to HTML, to a style attribute, to a handler given as text, or to a URL that
// leaves this server. Characters that cannot be seen, or that turn the direction of
// what follows, are shown escaped.

const SVG = "http://www.w3.org/2000/svg";

const ATTRIBUTES = new Set([
  "class", "id", "type", "name", "value", "for", "role", "tabindex", "title", "lang",
  "href", "download", "datetime", "placeholder", "autocomplete", "spellcheck", "rows",
  "checked", "selected", "disabled", "hidden", "open", "required", "maxlength", "scope",
  "colspan", "label", "method", "enterkeyhint", "readonly",
  "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "rx", "width", "height", "points",
  "viewBox", "preserveAspectRatio", "d", "text-anchor", "vector-effect", "focusable",
  "patternUnits", "patternTransform", "fill", "max",
]);
const READ_OUT = new Set(["title", "aria-label", "placeholder"]);

// C0 and C1 but for tab and line feed, soft hyphen, joiners, marks and overrides of
// direction, fillers, tags, variation selectors beyond emoji, lone surrogates.
const UNSEEN = new RegExp(
  "[\\u0000-\\u0008\\u000B-\\u001F\\u007F-\\u009F\\u00AD\\u034F\\u061C\\u115F\\u1160\\u17B4" +
  "\\u17B5\\u180B-\\u180E\\u200B-\\u200F\\u2028-\\u202E\\u2060-\\u206F\\u3164\\uFEFF\\uFFA0" +
  "\\uFFF9-\\uFFFB\\u{E0000}-\\u{E0FFF}\\uD800-\\uDFFF]", "gu");

export function shown(text) {
  return String(text).replace(UNSEEN, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);
}

function setAttribute(node, name, value) {
  if (!ATTRIBUTES.has(name) && !/^(aria|data)-[a-z-]+$/.test(name))
    throw new TypeError(`h: no attribute ${name}`);
  if (name === "href" && !/^(\/(?!\/)|#|blob:)/.test(value))
    throw new TypeError("h: a link stays on this server");
  if (value === true) value = "";
  node.setAttribute(name, READ_OUT.has(name) ? shown(value) : String(value));
}

export function set(node, props) {
  for (const [name, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) {
      if (typeof value !== "function") throw new TypeError(`h: ${name} is not a function`);
      node.addEventListener(name.slice(2), value);
    } else if (name === "style") {
      for (const [property, to] of Object.entries(value)) node.style.setProperty(property, to);
    } else {
      setAttribute(node, name, value);
    }
  }
  return node;
}

function append(node, children) {
  for (const child of children) {
    if (child === undefined || child === null || child === false) continue;
    if (Array.isArray(child)) append(node, child);
    else node.append(child instanceof Node ? child : shown(child));
  }
  return node;
}

export function h(tag, props, ...children) {
  return append(set(document.createElement(tag), props), children);
}

export function s(tag, props, ...children) {
  return append(set(document.createElementNS(SVG, tag), props), children);
}

export function fill(node, ...children) {
  node.replaceChildren();
  return append(node, children);
}

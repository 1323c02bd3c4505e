// Builds DOM nodes. Text always goes in as text, never as HTML.

export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

// Keeps nodes whose content did not change, so that focus, selection and screen readers are left in peace.
export function keyed(parent, items, build) {
  const known = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  const nodes = items.map(([key, fingerprint, item]) => {
    const old = known.get(key);
    if (old && old.dataset.print === fingerprint) return old;
    const fresh = build(item);
    fresh.dataset.key = key;
    fresh.dataset.print = fingerprint;
    return fresh;
  });
  const kept = new Set(nodes);
  for (const node of [...parent.children]) if (!kept.has(node)) node.remove();
  nodes.forEach((node, index) => {
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
}

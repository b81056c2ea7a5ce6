// In: elements and what they are to say. Out: the least change of the page, so that nothing flickers.

export const $ = (id) => document.getElementById(id);

export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

export function put(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

// Keep one child for each row, in the rows' order; `make` builds a child, `fill` brings it up to date.
export function keyed(parent, rows, key, make, fill) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  rows.forEach((row, index) => {
    const id = String(key(row));
    let child = known.get(id);
    if (child === undefined) {
      child = make(row);
      child.dataset.key = id;
    }
    known.delete(id);
    if (parent.children[index] !== child) parent.insertBefore(child, parent.children[index] ?? null);
    fill(child, row, index);
  });
  for (const child of known.values()) child.remove();
}

export function element(tag, className = "", text = "") {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text) made.textContent = text;
  return made;
}

// The data of the page, with names for its numbers, and the one way in which elements are made.
// Text is only ever set as text: what a guest wrote never becomes markup.
const data = JSON.parse(document.getElementById("data").textContent);

function text(index) {
  return data.texts[index];
}

// One verdict, as html/cells.py packs it.
function cellOf(packed) {
  const [claim, column, status, reason, values, exits, log, erratum, again, seconds, level, confirmed] = packed;
  return { claim, column, status, reason, values, exits, log, erratum, again, seconds, level, confirmed };
}

// One claim, likewise.
function claimOf(packed) {
  const [name, family, dimensions, says, source, steps, expected, programs] = packed;
  return { name, family, dimensions, says, source, steps, expected, programs };
}

const claims = data.claims.map(claimOf);

// rows[claim][column] is the index of a cell in data.cells.
const rows = claims.map(() => new Map());
data.cells.forEach(([claim, column], index) => rows[claim].set(column, index));

const linesOf = (string) => (string ? string.split("\n") : []);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function badge(status) {
  return element("span", { class: "status", "data-status": status }, status);
}

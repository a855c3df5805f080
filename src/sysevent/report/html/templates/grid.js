// The matrix: rows of claims are made when their family is opened; arrow keys move in it.
const grid = document.getElementById("grid");
const opened = new Set();
let current = null;

function bodies() {
  return [...grid.tBodies];
}

function cellLink(claim, column) {
  return `${claims[claim].name}|${data.columns[column].name}`;
}

function claimRow(index, columns, cells) {
  const claim = claims[index];
  const head = element("th", { role: "rowheader", scope: "row" }, claim.name);
  const dimensions = text(claim.dimensions);
  if (dimensions) head.append(element("span", { class: "tag" }, dimensions));
  const row = element("tr", { role: "row", class: "claim" }, head);
  data.columns.forEach((column, place) => {
    if (!columns.has(place)) return;
    const cell = rows[index].get(place);
    const made = element("td", { role: "gridcell", tabindex: "-1", "data-column": column.name });
    if (cell === undefined) {
      made.className = "none";
      made.textContent = "·";
    } else {
      const status = data.statuses[data.cells[cell][2]];
      made.textContent = status;
      made.dataset.status = status;
      made.dataset.cell = cell;
      if (!cells.has(cell)) made.classList.add("other");
    }
    row.append(made);
  });
  return row;
}

// Draws what matches: columns, families and, in families that are open, claims.
function draw(state) {
  const { columns, shown } = matching(state);
  const byFamily = new Map();
  for (const claim of shown.keys()) {
    const family = claims[claim].family;
    if (!byFamily.has(family)) byFamily.set(family, []);
    byFamily.get(family).push(claim);
  }
  const headers = [...grid.tHead.rows[0].cells].slice(1);
  headers.forEach((header, place) => (header.hidden = !columns.has(place)));
  for (const body of bodies()) {
    const family = Number(body.dataset.family);
    const found = byFamily.get(family) ?? [];
    body.hidden = !found.length;
    [...body.rows[0].cells].slice(1).forEach((cell, place) => (cell.hidden = !columns.has(place)));
    const open = opened.has(family) || (narrowed(state) && shown.size <= 500);
    body.rows[0].querySelector("button").setAttribute("aria-expanded", String(open));
    const made = open ? found.map((claim) => claimRow(claim, columns, shown.get(claim))) : [];
    body.replaceChildren(body.rows[0], ...made);
  }
  const verdicts = [...shown.values()].reduce((sum, cells) => sum + cells.size, 0);
  const all = narrowed(state) || state.target ? ` of ${claims.length} claims, ${verdicts} verdicts` : ` claims, ${verdicts} verdicts`;
  document.getElementById("count").textContent = `${shown.size}${all}`;
  current = null;
  focusable(firstCell());
}

function visibleRows() {
  return bodies().filter((body) => !body.hidden).flatMap((body) => [...body.rows]);
}

function firstCell() {
  return visibleRows()[0]?.querySelector("button") ?? null;
}

// What is focused in a row at a position: the button of a family, or the cell.
function target(row, position) {
  const cells = [...row.cells].filter((cell) => !cell.hidden);
  const cell = cells[Math.max(0, Math.min(position, cells.length - 1))];
  return cell.querySelector("button") ?? cell;
}

// Only one element of the grid is in the order of the Tab key.
function focusable(item) {
  if (current) current.tabIndex = -1;
  current = item;
  if (current) current.tabIndex = 0;
}

const MOVES = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
  PageUp: [-15, 0],
  PageDown: [15, 0],
  Home: [0, -Infinity],
  End: [0, Infinity],
};

function move(event) {
  const cell = event.target.closest("td, th");
  const step = MOVES[event.key];
  if (!cell || !step || event.altKey || event.metaKey) return;
  event.preventDefault();
  const list = visibleRows();
  const cells = [...cell.parentElement.cells].filter((one) => !one.hidden);
  const at = event.ctrlKey && step[1] ? (step[1] < 0 ? 0 : list.length - 1) : list.indexOf(cell.parentElement) + step[0];
  const next = target(list[Math.max(0, Math.min(at, list.length - 1))], cells.indexOf(cell) + step[1]);
  if (next.tabIndex < 0 || next !== current) {
    next.tabIndex = 0;
    if (next !== current) focusable(next);
  }
  next.focus();
}

function toggle(family) {
  if (opened.has(family)) opened.delete(family);
  else opened.add(family);
}

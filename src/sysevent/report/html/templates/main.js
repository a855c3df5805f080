// Connects the page of a run: filters, grid and details.
function find(link) {
  const [name, place] = link.split("|");
  const claim = claims.findIndex((one) => one.name === name);
  const column = data.columns.findIndex((one) => one.name === place);
  return claim < 0 || column < 0 ? undefined : rows[claim].get(column);
}

let drawn = "";

// Shows what the address says. The grid is left alone if only the cell is another one: the focus is in it.
function follow() {
  const state = addressed();
  const filters = fragment({ ...state, cell: "" });
  if (filters !== drawn) {
    toForm(state);
    draw(state);
    drawn = filters;
  }
  const cell = state.cell ? find(state.cell) : undefined;
  if (cell !== undefined) show(cell);
  else if (detail.open) detail.close();
}

function open(index) {
  const cell = cellOf(data.cells[index]);
  address({ ...addressed(), cell: cellLink(cell.claim, cell.column) }, { step: true });
  show(index);
}

function labelled(expand) {
  expand.textContent = opened.size < data.families.length ? "Show all claims" : "Show families only";
}

function activate(event) {
  const button = event.target.closest("button");
  if (button) {
    toggle(Number(button.closest("tbody").dataset.family));
    labelled(document.getElementById("expand"));
    draw(addressed());
    focusable(button);
    button.focus();
    return;
  }
  const cell = event.target.closest("td[data-cell]");
  if (!cell) return;
  focusable(cell);
  cell.focus();
  open(Number(cell.dataset.cell));
}

if (grid) {
  fillChoices();
  form.hidden = false;
  for (const body of bodies()) {
    const button = body.rows[0].querySelector("button");
    button.disabled = false;
    button.tabIndex = -1;
    // What needs attention is open at once, unless it is too much for one look.
    const rowsOf = claims.filter((claim) => claim.family === Number(body.dataset.family)).length;
    if (body.querySelector("td[data-status=FAIL], td[data-status=ERROR], td[data-status=MISS]") && rowsOf * data.columns.length <= 3000) {
      opened.add(Number(body.dataset.family));
    }
  }
  grid.addEventListener("click", activate);
  grid.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.closest("td[data-cell]")) {
      // Without this, the same key would press the button that has the focus then.
      event.preventDefault();
      activate(event);
    } else {
      move(event);
    }
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  let timer = 0;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      address(fromForm());
      drawn = fragment({ ...addressed(), cell: "" });
      draw(addressed());
    }, 80);
  });
  form.addEventListener("reset", () => {
    setTimeout(() => {
      address({ ...addressed(), status: new Set(), target: "", family: "", q: "" });
      drawn = fragment({ ...addressed(), cell: "" });
      draw(addressed());
    });
  });
  const expand = document.getElementById("expand");
  expand.addEventListener("click", () => {
    const all = opened.size < data.families.length;
    opened.clear();
    if (all) data.families.forEach((_, family) => opened.add(family));
    labelled(expand);
    draw(addressed());
  });
  labelled(expand);
  detail.addEventListener("close", () => {
    address({ ...addressed(), cell: "" });
    detail.replaceChildren();
    current?.focus();
  });
  detail.addEventListener("click", (event) => {
    if (event.target === detail) detail.close();
  });
  addEventListener("hashchange", follow);
  addEventListener("popstate", follow);
  follow();
}

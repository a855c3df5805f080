// Filters, kept in the fragment of the address: #status=FAIL,MISS&target=arm64-tcg&family=psci&q=reset&cell=CLAIM|COLUMN
const form = document.getElementById("filters");

function addressed() {
  const given = new URLSearchParams(location.hash.slice(1));
  return {
    status: new Set((given.get("status") ?? "").split(",").filter(Boolean)),
    target: given.get("target") ?? "",
    family: given.get("family") ?? "",
    q: given.get("q") ?? "",
    cell: given.get("cell") ?? "",
  };
}

function fragment(state) {
  const words = new URLSearchParams();
  if (state.status.size) words.set("status", [...state.status].join(","));
  for (const name of ["target", "family", "q", "cell"]) {
    if (state[name]) words.set(name, state[name]);
  }
  return words.size ? `#${words}` : " ";
}

// Writes the state into the address. Opening a cell is a step of the history, so that Back closes it; typing is none.
function address(state, { step = false } = {}) {
  const url = new URL(fragment(state), location.href.replace(/#.*/, ""));
  url.hash = fragment(state).trim();
  if (step) history.pushState(null, "", url);
  else history.replaceState(null, "", url);
}

function fromForm() {
  const given = new FormData(form);
  return {
    ...addressed(),
    status: new Set(given.getAll("status")),
    target: given.get("target"),
    family: given.get("family"),
    q: given.get("q").trim(),
  };
}

function toForm(state) {
  for (const box of form.querySelectorAll("[name=status]")) box.checked = state.status.has(box.value);
  form.elements.target.value = state.target;
  form.elements.family.value = state.family;
  form.elements.q.value = state.q;
}

function fillChoices() {
  const choices = (select, names) => names.forEach((name) => select.append(element("option", { value: name }, name)));
  choices(form.elements.target, data.columns.map((column) => column.name));
  choices(form.elements.family, data.families.map(text));
}

// What a claim can be found by: its name, dimensions, and what is wrong with it anywhere.
function words(claim, columns) {
  const found = [claims[claim].name, text(claims[claim].dimensions)];
  for (const [column, index] of rows[claim]) {
    if (columns.has(column)) found.push(text(data.cells[index][3]));
  }
  return found.join("\n").toLowerCase();
}

// Returns the columns that are shown, and for each claim that is shown the cells that match.
function matching(state) {
  const columns = new Set();
  data.columns.forEach((column, index) => {
    if (!state.target || column.name === state.target) columns.add(index);
  });
  const wanted = state.q.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = new Map();
  claims.forEach((claim, index) => {
    if (state.family && text(data.families[claim.family]) !== state.family) return;
    const cells = [...rows[index]].filter(
      ([column, cell]) =>
        columns.has(column) && (!state.status.size || state.status.has(data.statuses[data.cells[cell][2]])),
    );
    if (!cells.length) return;
    if (wanted.length) {
      const found = words(index, columns);
      if (!wanted.every((word) => found.includes(word))) return;
    }
    shown.set(index, new Set(cells.map(([, cell]) => cell)));
  });
  return { columns, shown };
}

const narrowed = (state) => Boolean(state.status.size || state.q || state.family);

// The bytes of kvm_run after an exit, member by member. A byte's state is a letter: see html/evidence.py.
const STATES = {
  w: "written",
  s: "stale",
  p: "poison",
  x: "wrong",
  y: "wrong, stale",
  q: "wrong, not written",
};
const WRONG = "xyq";
const UNION = [32, 288];
const ROW = 8;

function unpackBytes(packed) {
  const found = [];
  for (const part of packed.split(" ")) {
    const [byte, count] = part.split("x");
    for (let n = 0; n < Number(count); n += 1) found.push(byte);
  }
  return found;
}

function unpackStates(packed) {
  return packed.replace(/([a-z])(\d+)/g, (_, state, count) => state.repeat(Number(count)));
}

// The members that an exit uses, in order, with the bytes between them as parts without a name. Outputs that no event
// has to do with are one part, unless one of them is wrong.
function parts(bytes, states) {
  const reason = parseInt([...bytes.slice(8, 12)].reverse().join(""), 16);
  const own = data.members[reason] ?? [];
  const [first, ...others] = data.members.before;
  const quiet = ["rest of the head", others[0][1], others.at(-1)[2]];
  const bad = [...states.slice(quiet[1], quiet[2])].some((state) => WRONG.includes(state));
  const named = [first, ...(bad ? others : [quiet]), ...own, ...data.members.after];
  const found = [];
  let at = first[1];
  for (const [name, start, end] of named) {
    if (start > at) found.push([at >= UNION[0] && at < UNION[1] ? "rest of the union" : "padding", at, start]);
    found.push([name, start, end]);
    at = Math.max(at, end);
  }
  return found;
}

function value(name, bytes, states) {
  if (bytes.length > 8 || [...states].some((state) => state === "p" || state === "q")) return "";
  const number = BigInt(`0x${[...bytes].reverse().join("")}`);
  const known = data.names[name]?.[number];
  if (known) return known;
  return number < 10n ? String(number) : `0x${number.toString(16)}`;
}

function span(start, stop) {
  return stop - start === 1 ? String(start) : `${start}..${stop - 1}`;
}

function byteRow(bytes, states) {
  const row = element("span", { class: "row" });
  bytes.forEach((byte, at) => row.append(element("span", { class: `byte ${states[at]}`, title: STATES[states[at]] }, byte)));
  return row;
}

function note(states) {
  const found = [...new Set(states)].map((state) => (state === "p" ? "not written" : state === "w" ? "" : STATES[state]));
  return found.filter(Boolean).join(", ");
}

// Rows of 8 bytes, as members are aligned. A row that repeats the one above is counted instead of drawn.
function byteRows(bytes, states) {
  const made = [];
  for (const [name, start, end] of parts(bytes, states)) {
    for (let at = start, stop; at < end; at = stop) {
      stop = Math.min(at - (at % ROW) + ROW, end);
      const row = { name: at === start ? name : "", at, stop, small: end - start <= 8, more: 0, until: stop, to: "" };
      row.bytes = bytes.slice(at, stop);
      row.states = states.slice(at, stop);
      const last = made.at(-1);
      const element = /^\w+\[/.test(name) && last?.name.startsWith(name.replace(/\d+\]$/, ""));
      const alike = last && last.states === row.states && last.bytes.join() === row.bytes.join() && last.until === at;
      if (alike && (element || (!row.name && stop - at === ROW))) {
        last.more += 1;
        last.until = stop;
        last.to = row.name;
      } else {
        made.push(row);
      }
    }
  }
  return made;
}

function meaning(row) {
  const alike = row.to ? `and ${row.more} like it, to ${row.to}` : row.more ? `and ${row.more} like it` : "";
  return [row.small ? value(row.name, row.bytes, row.states) : "", note(row.states), alike].filter(Boolean).join(" · ");
}

function drawBytes(packedBytes, packedStates, caption) {
  const bytes = unpackBytes(packedBytes);
  const states = unpackStates(packedStates);
  const head = element("tr", {}, ...["bytes", "member", "content", "meaning"].map((name) => element("th", { scope: "col" }, name)));
  const body = byteRows(bytes, states).map((row) => {
    const bad = [...row.states].some((state) => WRONG.includes(state));
    return element(
      "tr",
      { class: row.name ? "part" : "" },
      element("td", { class: "at" }, span(row.at, row.until)),
      row.name ? element("th", { class: "member", scope: "row" }, row.name) : element("td"),
      element("td", {}, byteRow(row.bytes, row.states)),
      element("td", { class: bad ? "note bad" : "note" }, meaning(row)),
    );
  });
  return element("table", { class: "bytes", "aria-label": caption }, element("thead", {}, head), element("tbody", {}, ...body));
}

function byteKey() {
  const items = [
    ["w", "written by the kernel, or an input"],
    ["x", "wrong: not as promised"],
    ["q", "wrong: not written, still poison"],
    ["s", "stale: as the exit before left it"],
    ["p", "poison: filled in before KVM_RUN, not written"],
  ];
  const entries = items.map(([state, words]) => element("li", {}, element("span", { class: `byte ${state}` }, "aa"), ` ${words}`));
  return element("ul", { class: "key", "aria-label": "how bytes are shown" }, ...entries);
}

// The sheet that a cell opens.
const detail = document.getElementById("detail");

function section(title, ...children) {
  return [element("h3", {}, title), ...children];
}

function folded(title, open, ...children) {
  const made = element("details", {}, element("summary", {}, title), ...children);
  made.open = open;
  return made;
}

function copyButton(words, name, label) {
  const button = element("button", { type: "button", "aria-label": label }, name);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(words);
    } catch {
      // A page from a file may have no clipboard: the old way works there.
      const area = element("textarea", { "aria-hidden": "true" });
      area.value = words;
      detail.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "Copied";
    setTimeout(() => (button.textContent = name), 1500);
  });
  return button;
}

function pre(words) {
  return element("pre", { tabindex: "0" }, words);
}

function valueTable(cell) {
  const names = ["what", "expected", "got"];
  const head = element("tr", {}, ...names.map((name) => element("th", { scope: "col" }, name)));
  const body = cell.values.map(([what, expected, got]) =>
    element(
      "tr",
      {},
      element("th", { scope: "row" }, text(what)),
      element("td", { "data-name": "expected" }, text(expected)),
      element("td", { "data-name": "got", class: "got" }, text(got)),
    ),
  );
  return element("table", { class: "values", "aria-label": "expected and got" }, element("thead", {}, head), element("tbody", {}, ...body));
}

function exitSection([label, words, bytes, states, wrong], open) {
  const name = `kvm_run at “${text(label)}”${wrong ? ": wrong bytes" : ""}`;
  const made = folded(name, open);
  const fill = () => {
    if (made.querySelector("table")) return;
    if (words) made.append(element("p", { class: "quiet" }, text(words)));
    made.append(drawBytes(text(bytes), text(states), name));
  };
  made.addEventListener("toggle", fill);
  if (open) fill();
  return made;
}

// Those with wrong bytes are drawn; the others can be opened. If none has, the one called "exit" is drawn.
function exitSections(cell) {
  const bad = cell.exits.filter((exit) => exit[4]);
  const main = cell.exits.find((exit) => text(exit[0]) === "exit") ?? cell.exits[0];
  const first = bad.length ? bad : [main];
  const rest = cell.exits.filter((exit) => !first.includes(exit)).map((exit) => exitSection(exit, false));
  const sections = first.map((exit) => exitSection(exit, true));
  if (!rest.length) return sections;
  return [...sections, folded(rest.length > 1 ? `${rest.length} other exits` : "1 other exit", false, ...rest)];
}

function erratum(cell) {
  const [says, source, fix] = data.errata[cell.erratum] ?? [0, 0, 0];
  const words = [text(says), text(source), text(fix)].filter(Boolean).join(". ");
  return element("p", {}, element("strong", {}, text(cell.erratum)), words ? `: ${words}` : "");
}

function why(cell, claim) {
  const made = [];
  if (claim.says) made.push(element("p", {}, text(claim.says)));
  if (claim.source) made.push(element("p", {}, "Source: ", element("code", {}, text(claim.source))));
  made.push(element("p", { class: "quiet" }, text(cell.level)));
  if (cell.confirmed) made.push(element("p", { class: "quiet" }, `Seen in ${cell.confirmed} guests.`));
  return made;
}

function logs(cell, column) {
  const made = [];
  if (cell.log) made.push(folded("Kernel's log while the scenario ran", true, pre(text(cell.log))));
  const found = data.incidents.filter(([target]) => text(target) === column.target).slice(0, 5);
  found.forEach(([, words]) => made.push(folded(`Incident: ${linesOf(text(words))[0] ?? ""}`, false, pre(text(words)))));
  if (Object.hasOwn(data.logs, column.target)) {
    made.push(folded("End of the guest's log", !cell.exits.length, pre(data.logs[column.target])));
  }
  return made.length ? section("Logs", ...made) : [];
}

function content(index) {
  const cell = cellOf(data.cells[index]);
  const [claim, column] = [claims[cell.claim], data.columns[cell.column]];
  const status = data.statuses[cell.status];
  const close = element("button", { type: "button", autofocus: "" }, "Close");
  close.addEventListener("click", () => detail.close());
  const kernel = text(column.kernel);
  const where = [column.name, kernel && `Linux ${kernel}`, column.abi && `VMM of ${column.abi}`, text(claim.dimensions), `${cell.seconds} s`];
  return [
    element("div", { class: "bar" }, badge(status), element("h2", { id: "detail-title" }, claim.name), copyButton(location.href, "Copy link", "Copy link to this cell"), close),
    element("p", { class: "where" }, where.filter(Boolean).join(" · ")),
    element("p", { class: "sentence" }, text(cell.reason)),
    ...(cell.values.length ? [valueTable(cell)] : []),
    ...(cell.erratum ? section("Known defect", erratum(cell)) : []),
    ...(cell.exits.length ? section("What the kernel left in kvm_run", byteKey(), ...exitSections(cell)) : []),
    ...section("Why it must hold", ...why(cell, claim)),
    ...(claim.steps
      ? section(
          "What was asked",
          folded("What the VMM does", true, pre(text(claim.steps))),
          folded("What must come back", false, pre(text(claim.expected))),
          ...claim.programs.map(([name, words]) => folded(`What the guest runs: ${text(name)}.S`, false, pre(text(words)))),
        )
      : []),
    ...logs(cell, column),
    ...section(
      "Run it again",
      element("div", { class: "paste" }, pre(text(cell.again)), copyButton(text(cell.again), "Copy", "Copy the command")),
      element("p", { class: "quiet" }, "In a checkout of sysevent. Everything about the claim: ", element("code", {}, `./sysevent explain ${claim.name}`)),
    ),
  ];
}

function show(index) {
  detail.replaceChildren(...content(index));
  if (!detail.open) detail.showModal();
  detail.scrollTop = 0;
}

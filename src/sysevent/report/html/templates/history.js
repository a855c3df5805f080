// Filters of the page of a history, kept in the fragment of the address: #q=reset2&now=1
const form = document.getElementById("filters");
const list = [...document.querySelectorAll(".trends tbody tr")];

function filter() {
  const wanted = form.elements.q.value.toLowerCase().split(/\s+/).filter(Boolean);
  const now = form.elements.now.checked;
  let shown = 0;
  for (const row of list) {
    const words = row.textContent.toLowerCase();
    row.hidden = (now && row.dataset.status !== "FAIL") || !wanted.every((word) => words.includes(word));
    shown += !row.hidden;
  }
  document.getElementById("count").textContent = `${shown} of ${list.length} shown`;
}

function remember() {
  const words = new URLSearchParams();
  if (form.elements.q.value.trim()) words.set("q", form.elements.q.value.trim());
  if (form.elements.now.checked) words.set("now", "1");
  const url = new URL(location.href);
  url.hash = words.toString();
  history.replaceState(null, "", url);
}

function follow() {
  const given = new URLSearchParams(location.hash.slice(1));
  form.elements.q.value = given.get("q") ?? "";
  form.elements.now.checked = given.get("now") === "1";
  filter();
}

if (form) {
  form.hidden = false;
  form.addEventListener("submit", (event) => event.preventDefault());
  form.addEventListener("input", () => {
    remember();
    filter();
  });
  addEventListener("hashchange", follow);
  follow();
}

// The colours: those of the system, until the reader chooses others.
const THEMES = ["system", "light", "dark"];
const themeButton = document.getElementById("theme");

function stored(value) {
  try {
    if (value !== undefined) localStorage.setItem("sysevent-theme", value);
    return localStorage.getItem("sysevent-theme");
  } catch {
    // Storage can be off; then the choice lasts as long as the page.
    return value ?? null;
  }
}

function setTheme(name) {
  if (name === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  themeButton.textContent = `Theme: ${name}`;
}

let theme = THEMES.includes(stored()) ? stored() : "system";
setTheme(theme);
themeButton.hidden = false;
themeButton.addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  stored(theme);
  setTheme(theme);
});

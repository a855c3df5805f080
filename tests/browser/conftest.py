"""A headless Chromium for tests of HTML pages: started by the test, with its own profile, and gone with it."""

import ctypes
import functools
import os
import shutil

import pytest

from sysevent.settings import from_environment

# Seconds for a page to load, for a script, and for one command of the driver.
PATIENCE = 60
WIDTH, HEIGHT = 1280, 900


def _programs():
    """The browser and its driver; skips, with what installs them, if one is missing."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not browser or not driver:
        pytest.skip("needs Chromium and its driver; on Debian: apt-get install chromium chromium-driver")
    return browser, driver


def _die_with_parent():
    # PR_SET_PDEATHSIG, SIGKILL: also if the tests are killed.
    ctypes.CDLL(None).prctl(1, 9)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory):
    """The driver of a browser that all tests share."""
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="needs selenium: pip install --group browser"
    )
    browser, driver = _programs()
    options = webdriver.ChromeOptions()
    options.binary_location = browser
    profile = tmp_path_factory.mktemp("profile")
    for word in (
        "--headless=new",
        # Chromium's own sandbox refuses to run as root, and needs namespaces that containers may lack.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        # The browser ends when the driver does, because its end of the pipe closes.
        "--remote-debugging-pipe",
        f"--user-data-dir={profile}",
        f"--window-size={WIDTH},{HEIGHT}",
    ):
        options.add_argument(word)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    # Without HOME, Chromium's configuration is in the profile, and the user's is left alone.
    environment = {**os.environ, "HOME": str(profile)}
    service = webdriver.ChromeService(driver, env=environment, popen_kw={"preexec_fn": _die_with_parent})
    found = webdriver.Chrome(options, service)
    try:
        found.command_executor.client_config.timeout = PATIENCE
        found.set_page_load_timeout(PATIENCE)
        found.set_script_timeout(PATIENCE)
        yield found
    finally:
        found.quit()


class Page:
    """One page in the browser, and what a user does with it."""

    def __init__(self, driver, folder):
        self.driver, self.folder = driver, folder

    def open(self, html, fragment=""):
        """Load a page from a file, as a user does."""
        file = self.folder / "page.html"
        file.write_text(html, encoding="utf-8")
        # Another fragment alone would not load it.
        self.driver.get("about:blank")
        self.driver.get(f"file://{file}{fragment}")
        return self

    def run(self, script, *arguments):
        """Return what a script returns."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def all(self, selector):
        return [one for one in self.driver.find_elements("css selector", selector) if one.is_displayed()]

    def until(self, condition):
        """Return what a function returns as soon as that is true."""
        from selenium.webdriver.support.wait import WebDriverWait

        return WebDriverWait(self.driver, 10, poll_frequency=0.05).until(lambda _: condition())

    def press(self, *keys):
        """Press keys where the focus is, by their names in selenium's Keys."""
        from selenium.webdriver.common.action_chains import ActionChains
        from selenium.webdriver.common.keys import Keys

        ActionChains(self.driver).send_keys(*(getattr(Keys, key, key) for key in keys)).perform()

    def emulate(self, width=WIDTH, height=HEIGHT, media="", **features):
        """Set the size of the window in CSS pixels, the medium, and media features such as prefers_color_scheme."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        found = [{"name": name.replace("_", "-"), "value": value} for name, value in features.items()]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": found})

    @property
    def focused(self):
        return self.driver.switch_to.active_element

    @property
    def fragment(self):
        return self.run("return decodeURIComponent(location.hash.replaceAll('+', ' '))")


@pytest.fixture
def page(chromium, tmp_path):
    """A page; afterwards nothing must be on the browser's console, and nothing must have been loaded."""
    found = Page(chromium, tmp_path)
    found.emulate()
    yield found
    if not chromium.current_url.startswith("file:"):
        return
    assert chromium.get_log("browser") == []
    assert found.run("return performance.getEntriesByType('resource').map((one) => one.name)") == []
    found.run("try { localStorage.clear() } catch {}")


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core; skips if it is not cached and cannot be downloaded."""
    from browser.axe import source

    return functools.partial(_violations, source(from_environment(offline=os.environ.get("CI", "") == "")))


def _violations(source, page):
    """What axe-core finds wrong with a page, one line each."""
    # Through the debugger: the page's policy lets no script in.
    page.driver.execute_cdp_cmd("Runtime.evaluate", {"expression": source})
    found = page.driver.execute_cdp_cmd(
        "Runtime.evaluate",
        {"expression": "axe.run({resultTypes: ['violations']})", "awaitPromise": True, "returnByValue": True},
    )
    violations = found["result"]["value"]["violations"]
    return [
        f"{one['id']} ({one['impact']}): {one['help']}: {node['html'][:160]}"
        for one in violations
        for node in one["nodes"]
    ]

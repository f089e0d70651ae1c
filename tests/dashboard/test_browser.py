"""The pages in a real Chromium, over the fake hub."""

import contextlib
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from access.service import Access, AccessConfig
from core.clock import SystemClock
from storage.metadata.database import Metadata
from tests.dashboard.conftest import NOW, serving
from tests.dashboard.fake_api import FakeHub, answer, build
from tests.dashboard.fake_data import HOSTILE

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
]
LAST_HOUR = {"from": "2026-11-20T11:00:00Z", "to": "2026-11-20T12:00:10Z"}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def url(hub: FakeHub) -> Iterator[str]:
    with serving(build(hub, gap=0.05)) as address:
        yield address


class Watched:
    """What a page must not do: write errors, ask other machines."""

    def __init__(self, page: Page) -> None:
        self.errors: list[str] = []
        self.hosts: set[str] = set()
        page.on(
            "console",
            lambda message: self.errors.append(message.text) if message.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self.hosts.add(urlsplit(request.url).hostname or ""))


@pytest.fixture
def context(chromium: Browser, url: str) -> Iterator[BrowserContext]:
    made = chromium.new_context(viewport={"width": 1440, "height": 900}, color_scheme="light", timezone_id="UTC")
    yield made
    made.close()


@pytest.fixture
def page(context: BrowserContext) -> Page:
    made = context.new_page()
    made.set_default_timeout(15_000)
    made.clock.set_fixed_time(NOW)
    return made


@pytest.fixture
def watched(page: Page) -> Watched:
    return Watched(page)


def tile(page: Page, name: str) -> str:
    return page.locator(f'[data-tile="{name}"] .tile-value').inner_text()


def whole(page: Page, name: str) -> int:
    """The figure behind a tile, with all its digits."""
    title = page.locator(f'[data-tile="{name}"]').get_attribute("title") or ""
    return int(title.split(": ")[1].split(";")[0].replace(",", ""))


def settled(page: Page) -> None:
    expect(page.locator('[data-tile="requests"] .tile-value')).to_have_text(re.compile(r"\d"))
    expect(page.locator(".skeleton")).to_have_count(0)


def test_the_overview_opens_without_errors_or_other_machines(page: Page, url: str, watched: Watched) -> None:
    page.goto(url)
    settled(page)
    expect(page.locator(".live-row").first).to_be_visible()
    expect(page.locator("[data-panel]")).to_have_count(8)
    assert page.locator(".chart canvas").count() == 5
    assert watched.errors == []
    assert watched.hosts == {"127.0.0.1"}


def test_figures_are_those_of_the_api(page: Page, url: str, hub: FakeHub) -> None:
    page.goto(url)
    settled(page)
    measures = ["requests", "errors", "error_rate", "unpriced_requests"]
    requests, errors, error_rate, unpriced = answer(hub, {"measures": measures, "time": LAST_HOUR})["rows"][0]
    assert whole(page, "requests") == requests
    assert tile(page, "error_rate") == f"{error_rate * 100:.1f}".rstrip("0").rstrip(".") + "%"
    assert f"{errors} errors" in page.locator('[data-panel="errors"]').inner_text()
    expect(page.locator('[data-notice="unpriced"]')).to_contain_text(f"{unpriced} requests have no price")
    expect(page.locator('[data-notice="unpriced"]')).to_contain_text("llama-3.3-70b")
    models = answer(hub, {"measures": ["requests"], "dimensions": ["model"], "time": LAST_HOUR})["rows"]
    shown = page.locator('[data-panel="models"] tbody tr').all_inner_texts()
    assert [row.split()[:2] for row in shown] == [[name, str(count)] for name, count in models]


def test_the_theme_turns_and_stays(page: Page, url: str) -> None:
    page.goto(url)
    settled(page)
    root = page.locator("html")
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.locator("[data-theme-toggle]").click()
    expect(root).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.reload()
    settled(page)
    expect(root).to_have_attribute("data-theme", "dark")
    page.keyboard.press("t")
    expect(root).to_have_attribute("data-theme", "light")


def test_a_drag_over_a_chart_zooms_and_back_returns(page: Page, url: str, hub: FakeHub) -> None:
    page.goto(url)
    settled(page)
    before, shown = whole(page, "requests"), tile(page, "requests")
    box = page.locator('[data-panel="traffic"] .u-over').bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 50, steps=6)
    page.mouse.up()
    page.wait_for_url(re.compile(r"range=\d+-\d+"))
    expect(page.locator('[data-live="off"]')).to_be_visible()
    expect(page.locator('[data-tile="requests"] .tile-value')).not_to_have_text(shown)
    assert whole(page, "requests") < before
    page.go_back()
    expect(page.locator('[data-tile="requests"] .tile-value')).to_have_text(shown)


def test_the_crosshair_reads_all_charts_at_once(page: Page, url: str) -> None:
    page.goto(url)
    settled(page)
    page.locator('[data-panel="traffic"] .u-over').hover(position={"x": 150, "y": 60})
    expect(page.locator('[data-panel="traffic"] .tip')).to_contain_text("ok")
    expect(page.locator(".tip")).to_have_count(1)
    lines = page.locator(".u-cursor-x").evaluate_all(
        "all => all.map(line => line.getBoundingClientRect().left % 1e6 > 0)"
    )
    assert lines == [True] * 5


def test_the_legend_hides_a_series(page: Page, url: str) -> None:
    page.goto(url)
    settled(page)
    legend = page.locator('[data-panel="traffic"] .legend button').first
    legend.click()
    expect(legend).to_have_attribute("aria-pressed", "false")


def test_a_chart_is_read_by_keyboard_and_as_a_table(page: Page, url: str) -> None:
    page.goto(url)
    settled(page)
    page.locator('[data-panel="latency"] .chart').focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    expect(page.locator('[data-panel="latency"] .tip')).to_contain_text("p95")
    page.get_by_role("button", name="Latency as a table").click()
    expect(page.locator('[data-panel="latency"] tbody tr')).to_have_count(61)


def test_filters_come_from_the_api_and_live_in_the_address(page: Page, url: str, hub: FakeHub) -> None:
    page.goto(url)
    settled(page)
    page.get_by_role("button", name="Filter by provider").click()
    page.get_by_role("menuitemcheckbox", name="openai").click()
    page.wait_for_url(re.compile("provider=openai"))
    page.keyboard.press("Escape")
    wanted = {"field": "provider", "op": "in", "values": ["openai"]}
    found = answer(hub, {"measures": ["requests"], "time": LAST_HOUR, "filters": [wanted]})["rows"][0][0]
    expect(page.locator('[data-tile="requests"] .tile-value')).to_have_text(str(found))
    expect(page.get_by_role("menuitemcheckbox")).to_have_count(0)


def test_ranges_change_the_question(page: Page, url: str, hub: FakeHub) -> None:
    page.goto(f"{url}/#/overview?range=24h")
    settled(page)
    time = {"from": "2026-11-19T12:00:00Z", "to": "2026-11-20T12:01:00Z"}
    found = answer(hub, {"measures": ["requests"], "time": time})["rows"][0][0]
    assert tile(page, "requests") == f"{found / 1000:.2f}".rstrip("0").rstrip(".") + "k"
    asked = [
        question
        for question in hub.questions
        if question.get("granularity") and "model" in question.get("dimensions", [])
    ]
    assert asked[-1]["granularity"] == "15m"


def test_pausing_closes_the_stream(page: Page, url: str) -> None:
    page.goto(url)
    settled(page)
    expect(page.locator(".live-row").first).to_be_visible()
    page.keyboard.press("p")
    expect(page.locator('[data-panel="live"]')).to_contain_text("paused")
    expect(page.locator('[data-live="off"]')).to_be_visible()


def test_an_empty_hub_says_how_to_send_the_first_event(page: Page) -> None:
    with serving(build(FakeHub(NOW, rows=10, empty=True))) as url:
        page.goto(url)
        expect(page.get_by_text("No requests in this range yet")).to_be_visible()
        expect(page.locator("pre")).to_contain_text(f"curl {url}/v1/events")


def test_a_hub_in_trouble_is_said_to_be_so_and_mends(page: Page, url: str, hub: FakeHub) -> None:
    hub.fail = True
    page.goto(url)
    expect(page.get_by_text("The warehouse does not answer.").first).to_be_visible()
    hub.fail = False
    page.get_by_role("button", name="Try again").first.click()
    page.get_by_role("button", name="Refresh").click()
    page.clock.set_fixed_time(NOW.timestamp() + 20)
    page.get_by_role("button", name="Refresh").click()
    settled(page)


def test_traces_are_walked_by_keys_and_open(page: Page, url: str, hub: FakeHub, watched: Watched) -> None:
    page.goto(f"{url}/#/traces")
    rows = page.locator(".trace-row")
    expect(rows.first).to_be_visible()
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("j")
    expect(rows.nth(1)).to_be_focused()
    trace_id = rows.nth(1).get_attribute("data-trace")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(f"traces/{trace_id}"))
    expect(page.locator(".wf-row")).to_have_count(10)
    assert watched.errors == []


def test_the_end_of_the_list_loads_more(page: Page, url: str) -> None:
    page.goto(f"{url}/#/traces")
    rows = page.locator(".trace-row")
    expect(rows).to_have_count(50)
    page.mouse.move(700, 500)
    page.mouse.wheel(0, 3000)
    expect(rows.nth(60)).to_be_attached()


def test_the_search_narrows_the_list(page: Page, url: str) -> None:
    page.goto(f"{url}/#/traces")
    expect(page.locator(".trace-row").first).to_be_visible()
    page.get_by_role("button", name="error", exact=True).click()
    page.wait_for_url(re.compile("status=error"))
    expect(page.locator(".trace-row .badge.ok")).to_have_count(0)
    page.get_by_role("button", name="Duration").click()
    page.wait_for_url(re.compile("order=duration_ms"))
    page.get_by_label("Name or trace id").fill("0" * 32)
    page.wait_for_url(re.compile("traces/0{32}"))
    expect(page.get_by_text("There is no such trace.")).to_be_visible()


def test_the_waterfall_folds_and_tells_about_spans(page: Page, url: str, hub: FakeHub) -> None:
    trace_id = next(row["trace_id"] for row in hub.traces() if row["status"] == "error")
    page.goto(f"{url}/#/traces/{trace_id}")
    details = page.locator(".details")
    expect(details).to_contain_text("HTTP 529")
    expect(page.locator(".mark-skew")).to_have_count(1)
    tree = page.get_by_role("tree")
    page.locator(".wf-row").first.click()
    expect(details).to_contain_text("agent.run")
    tree.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".wf-row")).to_have_count(1)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(details).to_contain_text("retrieval.query")
    expect(page.locator(".wf-row")).to_have_count(10)


def test_hostile_strings_are_only_text(page: Page, url: str, hub: FakeHub, watched: Watched) -> None:
    trace_id = next(row["trace_id"] for row in hub.traces() if row["user_id"] == HOSTILE)
    page.goto(url)
    settled(page)
    expect(page.locator('[data-panel="users"]')).to_contain_text("<img src=x")
    page.goto(f"{url}/#/traces?user_id=%3Cimg+src%3Dx%20onerror=1%3E&model=%3Cscript%3E")
    expect(page.get_by_text("No traces match.")).to_be_visible()
    page.goto(f"{url}/#/traces/{trace_id}")
    expect(page.locator(".details h2")).to_have_text(HOSTILE)
    for span in page.locator(".wf-row").all():
        span.click()
    expect(page.locator(".trace-name")).to_have_text(HOSTILE)
    assert page.evaluate("window.__pwned") is None
    assert page.locator("img[src='x']").count() == 0
    assert watched.errors == []


def test_a_phone_never_scrolls_sideways(chromium: Browser, url: str, hub: FakeHub) -> None:
    context = chromium.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    page = context.new_page()
    page.clock.set_fixed_time(NOW)
    for path in ("/#/overview", "/#/traces", f"/#/traces/{hub.traces()[0]['trace_id']}"):
        page.goto(url + path)
        expect(page.locator(".panel").first).to_be_visible()
        expect(page.locator(".skeleton")).to_have_count(0)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, path
    context.close()


def test_everything_that_can_be_pressed_has_a_name(page: Page, url: str) -> None:
    for path in ("/#/overview", "/#/traces"):
        page.goto(url + path)
        expect(page.locator(".skeleton")).to_have_count(0)
        nameless = page.locator("button, a, input").evaluate_all(
            "all => all.filter(e => !(e.innerText || e.ariaLabel || e.labels?.length || e.title)).map(e => e.outerHTML)"
        )
        assert nameless == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_live_update_moves_nothing(chromium: Browser, url: str, scheme: str, tmp_path: Path) -> None:
    context = chromium.new_context(viewport={"width": 1440, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    page.clock.set_fixed_time(NOW)
    page.goto(url)
    settled(page)
    places = (
        "[...document.querySelectorAll('[data-panel], [data-tile]')].map(e => e.getBoundingClientRect())"
        ".map(b => [b.x, b.y, b.width, b.height].join())"
    )
    before = page.evaluate(places)
    canvas = page.locator(".chart canvas").first.element_handle()
    page.clock.set_fixed_time(NOW.timestamp() + 30)
    page.get_by_role("button", name="Refresh").click()
    page.wait_for_timeout(300)
    assert page.evaluate(places) == before
    assert canvas is not None
    assert canvas.evaluate("e => e.isConnected"), "the chart was made anew instead of updated"
    context.close()


def test_signing_in_with_a_key_leads_to_the_pages(chromium: Browser, hub: FakeHub, tmp_path: Path) -> None:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        metadata = Metadata(f"sqlite:///{tmp_path}/hub.db")
        await metadata.start()
        await metadata.migrate()
        app.state.access = Access(metadata, SystemClock(), AccessConfig(tmp_path))
        await app.state.access.start()
        yield
        await app.state.access.stop()
        await metadata.stop()

    with serving(build(hub, services={"access": None}, lifespan=lifespan)) as url:
        page = chromium.new_page()
        page.clock.set_fixed_time(NOW)
        page.goto(f"{url}/#/overview?range=6h")
        page.wait_for_url(re.compile("/sign-in"))
        page.get_by_label("API key").fill("lh_wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_be_visible()
        page.get_by_label("API key").fill((tmp_path / "admin.key").read_text().strip())
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(re.compile("range=6h"))
        settled(page)
        assert page.evaluate("document.cookie") == "", "scripts can read the session"
        page.get_by_role("button", name="Sign out").click()
        page.wait_for_url(re.compile("/sign-in"))
        page.close()

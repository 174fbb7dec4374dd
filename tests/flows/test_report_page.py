"""The report in a browser: plots, filters, keys, both themes, hostile texts, no network."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from flows.report.command import write_report
from tests.browser import Page, opened
from tests.flows.reported import HOSTILE, make_run

pytestmark = pytest.mark.browser
VISIBLE = "[...document.querySelectorAll('details.row')].filter(one => !one.hidden)"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a run with hostile texts."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("page")
        patch.chdir(folder)
        return write_report(*make_run(folder))


async def choose(page: Page, filter_: str, value: str) -> list[str]:
    """Chooses a value of a filter, and returns the outcomes of the rows that are left."""
    await page.run(
        f"filters.{filter_}.value = '{value}';filters.{filter_}.dispatchEvent(new Event('change'))"
    )
    found: list[str] = await page.run(
        f"{VISIBLE}.map(one => one.querySelector('.badge').textContent)"
    )
    return found


CHAT = """({turns: [["user", "How warm is it?"], ["assistant", "weather()"], ["tool", "3"]],
  text: "Three degrees.", reason: ""})"""


async def look(file: Path, folder: Path) -> None:
    async with opened(file, folder) as page:
        titles = await page.run("[...document.querySelectorAll('h2')].map(one => one.textContent)")
        assert titles == [
            "Funnel",
            "Why rows were rejected",
            "Verdicts",
            "Tokens and cost",
            "Evolution",
            "Scores",
            "Lengths",
            "Diversity",
            "Contamination",
            "Teacher",
            "Settings",
            "Rows",
        ]
        assert await page.run("document.querySelectorAll('figure svg[aria-label]').length") >= 8

        rows = await page.run(f"{VISIBLE}.length")
        outcomes = await choose(page, "reason", "accepted")
        assert set(outcomes) == {"accepted"}
        assert 0 < len(outcomes) < rows
        assert set(await choose(page, "reason", "over_target")) == {"over_target"}
        await choose(page, "reason", "")
        assert set(await choose(page, "stage", "01-decontaminate")) == {"ngram_of_exam"}
        await choose(page, "stage", "")
        assert 0 < len(await choose(page, "operation", "evolve: persona")) < rows
        await choose(page, "operation", "")

        await page.run("document.activeElement.blur()")
        await page.press("/")
        for letter in "onerror":
            await page.press(letter)
        assert 0 < await page.run(f"{VISIBLE}.length") < rows
        await page.run(f"{VISIBLE}[0].querySelector('summary').focus()")
        await page.press("j")
        await page.press("Enter")
        async with asyncio.timeout(60):  # the browser reports an opened row when it has time
            while not await page.run("!!document.querySelector('details.row[open] .step')"):
                await asyncio.sleep(0.05)
        opened_row = await page.run("document.querySelector('details.row[open]').textContent")
        assert HOSTILE in opened_row
        assert "synth trace " in opened_row
        assert await page.run(f"{VISIBLE}[1].open")
        assert await page.run("document.images.length") == 0

        await page.run("measures.scores = []")
        assert await page.run("scores().filter(Boolean).length") == 0  # so there is no section

        title = await page.run(f"rowNode({CHAT}).textContent")
        assert title == "accepted How warm is it?"

        price = "document.querySelector('#cost ~ form input')"
        await page.run(f"{price}.value = '3'; {price}.dispatchEvent(new Event('input'))")
        cells = await page.run(
            "document.querySelector('#cost ~ div tbody tr:last-child').textContent"
        )
        assert not cells.endswith("–")

        colours = []
        for theme in ("light", "dark"):
            await page.theme(theme)
            colours.append(await page.run("getComputedStyle(document.body).backgroundColor"))
        assert colours == ["rgb(252, 252, 250)", "rgb(22, 22, 22)"]

        assert page.errors == []
        assert page.requests == [file.as_uri()]


def test_the_page_works_in_a_browser(page: Path, tmp_path: Path) -> None:
    asyncio.run(look(page, tmp_path))


def test_a_narrow_page_has_narrow_charts_and_nothing_outside(page: Path, tmp_path: Path) -> None:
    """Also after the window became narrow or wide, once it has kept its size for a moment."""
    svgs = "[...document.querySelectorAll('figure svg[aria-label]')]"
    scaled = "svg => svg.clientWidth && svg.clientWidth < Number(svg.getAttribute('width'))"
    widest = f"Math.max(...{svgs}.map(svg => Number(svg.getAttribute('width'))))"

    async def check(tab: Page) -> None:
        assert await tab.run(f"{svgs}.filter(svg => svg.clientWidth).length") > 5
        assert await tab.run(f"{svgs}.filter({scaled}).length") == 0
        assert await tab.run("document.documentElement.scrollWidth <= innerWidth")
        assert tab.errors == []

    async def work() -> None:
        async with opened(page, tmp_path, width=500) as tab:
            assert await tab.run("innerWidth") < 600
            await check(tab)
            count, captions = await tab.run(f"[{svgs}.length, document.body.innerText]")
            for width, drawn in ((1200, 940), (500, 500)):
                await tab.resize(width)
                async with asyncio.timeout(60):
                    while not (drawn - 60 <= await tab.run(widest) <= drawn):
                        await asyncio.sleep(0.05)
                await check(tab)
            assert await tab.run(f"[{svgs}.length, document.body.innerText]") == [count, captions]

    asyncio.run(work())


def test_a_text_that_became_markup_could_not_run(page: Path, tmp_path: Path) -> None:
    """The page's policy is the second fence, behind the text nodes."""
    broken = tmp_path / "broken.html"
    attack = "<img src=x onerror='window.ran=1'><script>window.ran=1</script></body>"
    broken.write_text(page.read_text(encoding="utf-8").replace("</body>", attack), encoding="utf-8")

    async def ran() -> bool:
        async with opened(broken, tmp_path / "browser") as tab:
            for _ in range(100):  # the browser reports it when it is done with the page
                if any("Content Security Policy" in error for error in tab.errors):
                    break
                await asyncio.sleep(0.1)
            else:
                pytest.fail(f"the page's policy stopped nothing: {tab.errors}")
            return bool(await tab.run("'ran' in window"))

    assert not asyncio.run(ran())

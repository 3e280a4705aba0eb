"""The report as a person gets it: one file, safe, small, the same twice, and alive in a browser."""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from report_demo import CROPS, demo_record

from relatask.report import RunRecord, render_html, render_markdown

VOID = {"meta", "input", "br", "img", "link", "hr"}
EVIL = (
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onload="x',
    "a & b $x_1^2$ \n c",
    "学校",
)


class Reader(HTMLParser):
    """Checks that elements nest, and gathers ids, what is fetched, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        for name, value in attrs:
            if name == "id" and value:
                self.ids.append(value)
            if name in {"src", "href", "xlink:href", "srcset", "action", "data"} and value:
                self.fetched.append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def record() -> RunRecord:
    return demo_record(12)


@pytest.fixture(scope="module")
def page(record: RunRecord) -> str:
    return render_html(record)


def test_nothing_is_loaded_from_elsewhere(page: str) -> None:
    reader = read(page)
    ids = set(reader.ids)
    assert len(ids) == len(reader.ids), "an id occurs twice"
    for target in reader.fetched:
        assert target.startswith("data:image/png;base64,") or target.removeprefix("#") in ids, target
    styles = re.findall(r"<style>(.*?)</style>", page, flags=re.DOTALL)
    assert "url(" not in styles[0]
    assert "@import" not in styles[0]
    assert set(re.findall(r"url\(#([^)]*)\)", page)) <= ids


@pytest.mark.parametrize(("tasks", "features", "limit"), [(5, 7, 500_000), (12, 14, 500_000), (139, 28, 1_000_000)])
def test_the_page_is_small(tasks: int, features: int, limit: int) -> None:
    page = render_html(demo_record(tasks, features))
    assert len(page.encode()) < limit
    script = page[page.rindex("<script>") : page.rindex("</script>")]
    assert len(script.encode()) < 10_000


def test_the_same_record_gives_the_same_bytes(record: RunRecord, page: str) -> None:
    assert render_html(RunRecord.from_json(record.to_json())) == page


def test_every_question_every_task_and_every_finding_is_there(record: RunRecord, page: str) -> None:
    reader = read(page)
    markdown = render_markdown(record)
    for question in (
        "Did sharing help?",
        "Who lost?",
        "Which tasks pull",
        "Who taught whom?",
        "How sure is it?",
        "What is shared?",
        "What did it cost?",
    ):
        assert question in reader.words
        assert question in markdown
    for paragraph in record.verdict:
        assert paragraph in reader.words
    for task in CROPS:
        assert task in reader.words
    for check in record.checks:
        assert check.remedy in reader.words
    for table in (
        "methods",
        "gains",
        "verdicts",
        "pairs",
        "teaching",
        "certainty",
        "features",
        "support",
        "costs",
        "checks",
    ):
        assert f"table-{table}" in reader.ids
    assert "table-strengths" in reader.ids
    for figure in ("differences", "relation", "transfer", "removal", "certainty", "shared", "tasks", "support"):
        assert f"figure-{figure}" in reader.ids


def test_it_can_be_read_without_seeing_it(page: str) -> None:
    reader = read(page)
    figures = [given for tag, given in reader.tags if tag == "svg"]
    assert all(given["role"] == "img" and len(given["aria-label"] or "") > 40 for given in figures)
    names = [tag for tag, _ in reader.tags]
    assert names.count("caption") == names.count("table")
    assert names.count("h1") == 1
    assert all(given.get("scope") in {"col", "row"} for tag, given in reader.tags if tag == "th")


def test_no_colour_in_a_figure_is_fixed_to_one_theme(page: str) -> None:
    for figure in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
        assert not re.findall(r"(?:fill|stroke): ?(?:#|black|white|rgb)", figure)


def test_the_worst_task_comes_first(record: RunRecord, page: str) -> None:
    found = record.comparison
    assert found is not None
    worst = min(found.tasks, key=lambda row: row.difference).task
    table = page[page.index('id="table-verdicts"') :]
    assert table[table.index("<tbody>") :].split("</th>", 1)[0].endswith(f">{worst}")


def test_names_are_text_whatever_they_hold() -> None:
    record = replace(demo_record(5, names=EVIL), title=EVIL[0], configuration="a: '</pre><b>'\n", unit="<b>")
    page = render_html(record)
    reader = read(page)
    assert [tag for tag, _ in reader.tags].count("script") == 2
    assert not any(name.startswith("on") for _, given in reader.tags for name in given)
    assert "img" not in {tag for tag, _ in reader.tags}
    for name in EVIL:
        assert name in reader.words
    assert "<script>" not in render_markdown(record)


def test_what_is_not_there_is_said() -> None:
    record = replace(
        demo_record(5),
        support=(),
        differences=(),
        overall=(),
        verdict=(),
        coefficients=None,
        relation=None,
        transfer=None,
        removal=None,
        certainty=(),
        strengths=(),
        costs=(),
        checks=(),
    )
    words = read(render_html(record)).words
    markdown = render_markdown(record)
    for said in (
        "Nothing was compared: this run has no baseline.",
        "This run holds no relation between tasks.",
        "This run does not say who taught whom: it takes some tasks, not too many, and a closed form.",
        "This run holds no coefficients.",
        "Nothing: every check passed.",
        "No times were kept.",
    ):
        assert said in words
        assert said in markdown


CLICKS = """
<script>
addEventListener("load", () => {
  const say = (key, value) => (document.documentElement.dataset[key] = value);
  const first = () => document.querySelector("#table-verdicts tbody th").textContent;
  const heads = [...document.querySelectorAll("#table-verdicts thead button")];
  say("before", first());
  heads[4].click(); heads[4].click();
  say("sorted", first());
  say("sort", heads[4].parentElement.getAttribute("aria-sort"));
  document.querySelector("#table-verdicts tbody tr").click();
  say("lit", document.querySelectorAll(".on").length);
  say("beams", document.querySelectorAll(".beam").length);
  const filter = document.getElementById("filter");
  filter.value = "WHEAT"; filter.dispatchEvent(new Event("input"));
  say("shown", document.querySelectorAll("#table-verdicts tbody tr:not([hidden])").length);
  for (const name of ["relation", "removal"]) {
    const heat = document.querySelector(`#figure-${name}`), box = heat.getBoundingClientRect();
    heat.dispatchEvent(new PointerEvent("pointermove", { clientX: box.left + box.width / 2, clientY: box.top + 200 }));
    say(name === "relation" ? "cell" : "taught", heat.closest("figure").querySelector(".readout").textContent);
  }
});
</script>
</body>"""


@pytest.mark.browser
def test_it_lives_in_a_browser(tmp_path: Path, record: RunRecord, page: str) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here: the report is not opened in a browser")
    path = tmp_path / "page.html"
    path.write_text(page.replace("</body>", CLICKS), encoding="utf-8")
    command = [
        browser,
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
        *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr", "--v=0"),
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1200,2000",
        "--virtual-time-budget=4000",
        "--dump-dom",
        path.as_uri(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, encoding="utf-8")
    found = dict(re.findall(r'data-(\w+)="([^"]*)"', re.search(r"<html[^>]*>", done.stdout).group()))  # type: ignore[union-attr]
    assert "CONSOLE" not in done.stderr, done.stderr
    assert found["ready"] == "yes"
    comparison = record.comparison
    assert comparison is not None
    ordered = sorted(comparison.tasks, key=lambda row: row.difference)
    assert found["before"] == ordered[0].task
    assert found["sorted"] == ordered[-1].task
    assert found["sort"] == "descending"
    assert int(found["lit"]) >= 6  # two table rows, and its marks in four figures
    assert int(found["beams"]) == 7  # a row and a column of three maps of tasks, a row of the coefficients
    assert int(found["shown"]) == 2
    for cell in ("cell", "taught"):
        assert re.search(r" × .+: −?\d", found[cell]), found[cell]


def test_images_in_figures_are_small_png(page: str) -> None:
    for image in re.findall(r"data:image/png;base64,([^\"]+)", page):
        assert base64.b64decode(image).startswith(b"\x89PNG")
        assert len(image) < 20_000


def test_a_crowd_of_tasks_keeps_the_page_small_and_every_task_in_its_tables() -> None:
    record = demo_record(400, 28, splits=2)
    page = render_html(record)
    assert len(page.encode()) < 1_500_000
    reader = read(page)
    table = page[page.index('id="table-verdicts"') :].partition("</table>")[0]
    assert table.count("<tr data-task") == 400
    assert "the 20 lowest and 20 highest of 400 tasks" in reader.words
    assert len(re.findall(r'class="mark dot"', page)) == 40
    assert render_html(RunRecord.from_json(record.to_json())) == page


def test_a_negative_share_is_explained_and_what_a_method_is_stands_below_on_phones(page: str) -> None:
    words = read(page).words
    assert "A negative share" in words
    assert "Worse than predicting" in words
    about = page.partition('<dl class="about">')[2].partition("</dl>")[0]
    assert about.count("<dt>") == 4
    assert "<dt>shared</dt><dd>A model per task" in about


def test_who_taught_whom_is_said_in_words_and_numbers(record: RunRecord, page: str) -> None:
    words, markdown = read(page).words, render_markdown(record)
    assert record.transfer is not None
    assert record.removal is not None
    own = [row[k] for k, row in enumerate(record.transfer.values)]
    said = f"Tasks make {100 * min(own):.0f}% to {100 * max(own):.0f}% of their own fitted values"
    effects = [(value, i, j) for i, row in enumerate(record.removal.values) for j, value in enumerate(row) if i != j]
    best = max(effects)
    table = page[page.index('id="table-teaching"') :].partition("</table>")[0]
    helped = f"{record.tasks[best[2]]} (+{100 * best[0]:.2f}"
    for text in (words, markdown):
        assert said in text
        assert "A share says who is heard, not whether it helps." in text
    assert helped.split(" (")[1] in table
    one = replace(record, removal=None)
    assert "figure-transfer" in render_html(one)
    assert "figure-removal" not in render_html(one)
    assert "Helped most by" not in render_markdown(one)


def test_one_outlying_pair_does_not_wash_out_a_large_map() -> None:
    """Beyond 32 tasks the full colour is that of the strongest 0.5% of pairs."""
    from relatask.report.figures.teaching import full_colour

    values = np.full((40, 40), 0.01)
    values[3, 4] = 9.0
    assert full_colour(values) == 0.01
    assert full_colour(values[:12, :12]) == 9.0
    assert full_colour(np.full((3, 3), np.nan)) == 1.0

"""A figure for the page: drawn by matplotlib with stand-in colours, handed over as SVG in the page's own variables."""

from __future__ import annotations

import io
import json
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Stand-ins, replaced in the SVG by CSS variables, so that one figure suits light, dark and print.
INK, MUTED, RULE, HELPED, HURT, SAME, PAPER, ACCENT, SOFT = (f"#0{i}0{i}0{i}" for i in range(1, 10))
_VARIABLES = dict(
    zip(
        (INK, MUTED, RULE, HELPED, HURT, SAME, PAPER, ACCENT, SOFT),
        ("ink", "muted", "rule", "helped", "hurt", "same", "paper", "accent", "soft"),
        strict=True,
    )
)
# Two hues of middle lightness, good on white and on black, distinct for colour-blind readers; size is opacity.
POSITIVE, NEGATIVE = (0.16, 0.47, 0.76), (0.88, 0.46, 0.13)

WIDTH = 640  # units of the SVG; one unit is one CSS pixel at full width, and not so many that a phone cannot read it
TEXT = 12

_TASK = re.compile(r"t\d+-\w+")


@dataclass(frozen=True)
class Heat:
    """A heat map inside a figure, so that the page can read a cell: `of` names the record's matrix.

    Rows are the page's numbers of tasks; columns too, or positions of features.
    """

    axes: Axes
    rows: Sequence[int]
    columns: Sequence[int]
    of: str

    def attributes(self, figure: Figure) -> dict[str, str]:
        """Where the cells lie, as an attribute of the ``<svg>`` element, in its units, y downwards."""
        place = self.axes.get_position()
        width, height = 72 * figure.get_figwidth(), 72 * figure.get_figheight()
        x, y, w, h = place.x0 * width, (1 - place.y1) * height, place.width * width, place.height * height
        heat = {key: round(value, 2) for key, value in {"x": x, "y": y, "w": w, "h": h}.items()}
        about = {"rows": list(self.rows), "columns": list(self.columns), "of": self.of}
        return {"data-heat": json.dumps(heat | about, separators=(",", ":"))}


@contextmanager
def _settings() -> Iterator[None]:
    import matplotlib

    ours: dict[str, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "relatask",
        "text.parse_math": False,
        "font.size": TEXT,
        "axes.unicode_minus": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.edgecolor": RULE,
        "axes.labelcolor": MUTED,
        "axes.labelsize": TEXT,
        "xtick.color": RULE,
        "ytick.color": RULE,
        "xtick.labelcolor": MUTED,
        "ytick.labelcolor": INK,
        "ytick.left": False,
        "xtick.major.size": 3,
        "text.color": INK,
        "path.simplify": False,
    }
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")  # the browser's fonts will have it
        matplotlib.rcdefaults()
        parameters: Any = matplotlib.rcParams
        parameters.update(ours)
        yield


def draw(
    name: str,
    label: str,
    height: float,
    paint: Callable[[Figure], Heat | None],
    tips: Mapping[int, str] | None = None,
    width: float = WIDTH,
) -> str:
    """Paint a figure and return it as an inline ``<svg>`` element.

    Parameters
    ----------
    name : str
        Unique in the page; begins every id of the figure.
    label : str
        What the figure shows, for those who cannot see it.
    height, width : float
        In CSS pixels at full width.
    paint : callable
        Takes the Figure (constrained layout). Artists whose gid is ``t<number>-<anything>`` belong to the task of that
        number. May return the heat map in it.
    tips : mapping of int to str
        The tooltip of each task's artists.

    Returns
    -------
    str
    """
    with _settings():
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
        from matplotlib.layout_engine import ConstrainedLayoutEngine

        layout = ConstrainedLayoutEngine(w_pad=4 / 72, h_pad=4 / 72)
        figure = Figure(figsize=(width / 72, height / 72), dpi=72, layout=layout)
        FigureCanvasSVG(figure)
        heat = paint(figure)
        _settle(figure)
        attributes = heat.attributes(figure) if heat else {}
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
    return _inline(file.getvalue(), name, label, width, height, attributes, tips or {})


def _settle(figure: Figure) -> None:
    """Fix the layout and cut off its last digits: its solver's rounding differs from run to run."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        place = axes.get_position()
        left, bottom, right, top = (round(edge, 4) for edge in place.extents)
        axes.set_position((left, bottom, right - left, top - bottom))


def _inline(
    text: str, name: str, label: str, width: float, height: float, attributes: dict[str, str], tips: Mapping[int, str]
) -> str:
    body = text[text.index("<svg") :]
    body = body[body.index(">") + 1 : body.rindex("</svg>")]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    used = set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", body))
    body = re.sub(r"<[^>]*>", lambda found: _own_tag(found.group(), name, used), body)
    body = re.sub(r"\s*\n\s*", "\n", _mark_tasks(body, tips))
    extra = "".join(f' {key}="{escape(value)}"' for key, value in sorted(attributes.items()))
    return (
        f'<svg class="figure" id="{name}" role="img" aria-label="{escape(label)}" viewBox="0 0 {width:g} {height:g}" '
        f'width="{width:g}" height="{height:g}"{extra}>{body}</svg>'
    )


def _own_tag(tag: str, name: str, used: set[str]) -> str:
    """One tag with the figure's own ids, the page's colours and fonts, and no more digits than a screen shows."""

    def own_id(found: re.Match[str]) -> str:
        known = found.group(1)
        return f' id="{name}-{known}"' if known in used else found.group() if _TASK.fullmatch(known) else ""

    tag = re.sub(r' id="([^"]*)"', own_id, tag)
    tag = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", tag)
    for colour, variable in _VARIABLES.items():
        tag = tag.replace(colour, f"var(--{variable})")
    tag = re.sub(r"font-family:[^;\"]*;?\s*", "", tag)
    tag = re.sub(r"font: (?:(bold|\d00) )?(?:\w+ )*?([\d.]+)px [^;\"]*", r"font-size: \2px; font-weight: \1", tag)
    tag = tag.replace("; font-weight: ;", ";").replace('font-weight: "', '"')
    if "base64" in tag:
        return tag
    return re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found.group()):.2f}".rstrip("0").rstrip("."), tag)


def _mark_tasks(body: str, tips: Mapping[int, str]) -> str:
    def mark(found: re.Match[str]) -> str:
        task, part = int(found.group(1)), found.group(2)
        tip = f"<title>{escape(tips[task])}</title>" if part in ("band", "name") and task in tips else ""
        return f'<g class="mark {part}" data-task="{task}">{tip}'

    return re.sub(r'<g id="t(\d+)-(\w+)">', mark, body)

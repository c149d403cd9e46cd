"""The frame of a page: one heading, one style, nothing that could run."""

import base64
import hashlib
import unicodedata
from html import escape

from pruneedu.course.feedback import SIGNS

LIMITS_ONLY = (
    "Graded with limits only (--isolation limits): the answers were not shut in, so these marks "
    "hold only as far as every submission of the class can be trusted."
)

_STYLE = """
body { font: 1rem/1.5 system-ui, sans-serif; color: #1b1b1b; background: #fff;
       max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.25rem; margin-top: 2rem; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 .3rem; }
h1, h2, h3, td, li, p { overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .8rem 0; }
th, td { border: 1px solid #c8c8c8; padding: .3rem .6rem; text-align: left; vertical-align: top; }
thead th { background: #f1f1f1; white-space: nowrap; }
tbody th { font-weight: 600; min-width: 6rem; max-width: 24rem; overflow-wrap: break-word;
           position: sticky; left: 0; background: #fff; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { background: #f1f1f1; padding: .1em .25em; font-size: .92em; overflow-wrap: anywhere; }
small { color: #4a4a4a; display: block; white-space: nowrap; }
.said { border-left: .35rem solid #767676; padding: .1rem 1rem; max-width: 48rem; }
.said p { margin: .3rem 0; }
.passed { border-color: #009e73; } .partial { border-color: #e69f00; }
.failed { border-color: #d55e00; } .not-attempted { border-color: #56b4e9; }
.warning { border: 2px solid #d55e00; padding: .5rem 1rem; font-weight: 600; }
a { color: #00518f; }
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
# Should anything slip through the escaping, the browser still runs and loads nothing.
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"


def page(title: str, body: str, isolation: str) -> str:
    """Return a whole page.

    Arguments: title, plain text; body, HTML whose text is escaped; isolation, as it was graded.
    """
    warning = f'<p class="warning">{LIMITS_ONLY}</p>\n' if isolation == "limits" else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1><bdi>{text(title)}</bdi></h1>\n{warning}{body}\n</main>\n</body>\n</html>\n"
    )


def text(value: object) -> str:
    """Escape a value for a page.

    >>> text("<b>'a\\x00")
    '&lt;b&gt;&#x27;a�'
    """
    return escape(visible(str(value)), quote=True)


def visible(value: str) -> str:
    """Replace what no page may hold: control characters and halves of surrogate pairs."""
    bad = ("Cc", "Cs")
    return "".join(
        "\ufffd" if unicodedata.category(c) in bad and c not in "\n\t" else c for c in value
    )


def table(head: str, rows: list[str]) -> str:
    """Return a table in a box that scrolls, of a header row and rows of cells."""
    body = "".join(f"<tr>{row}</tr>\n" for row in rows)
    return (
        f'<div class="wide"><table>\n<thead>{head}</thead>\n<tbody>\n{body}</tbody>\n</table></div>'
    )


def heads(*names: str) -> str:
    """Return the header cells of columns, from plain text."""
    return "".join(f'<th scope="col">{text(name)}</th>' for name in names)


def signed(status: str) -> str:
    """Return a status with its sign, so that colour is not needed to tell it.

    >>> signed("passed")
    '✓ passed'
    """
    return f"{SIGNS.get(status, '·')} {text(status)}"

"""The documents of the stack and of its projects as pages: Markdown in, HTML and searchable sections out.

A document is known by its path in a checkout, as its links name it: those of a workspace lie elsewhere.
"""

import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

from stack.core.settings import ROOT, Settings

MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")
"""Escapes HTML."""
MARKDOWN.add_render_rule("table_open", lambda *_: '<div class="wide"><table>\n')
MARKDOWN.add_render_rule("table_close", lambda *_: "</table></div>\n")
ALIGNMENTS = {"text-align:left": "left", "text-align:center": "center", "text-align:right": "right"}
"""Style of a table's cell, which the portal's pages do not allow -> its class."""


@dataclass(frozen=True)
class Section:
    """A heading and the text below it, up to the next heading."""

    level: int
    title: str
    anchor: str
    blocks: tuple[str, ...]
    """Paragraphs, rows of tables and listings, as plain text."""


@dataclass(frozen=True)
class Entry:
    """A document in a list."""

    address: str
    title: str
    summary: str
    """Its first sentence."""


@dataclass(frozen=True)
class Document:
    """A rendered document."""

    address: str
    title: str
    html: str
    sections: tuple[Section, ...]


def sources(settings: Settings) -> dict[str, Path]:
    """Return the documents that there are, path in a checkout -> file."""
    docs, projects = (ROOT / "docs").glob("*.md"), settings.projects.glob("*/README.md")
    files = {"README.md": ROOT / "README.md"}
    files |= {f"docs/{path.name}": path for path in sorted(docs)}
    files |= {"CHANGELOG.md": ROOT / "CHANGELOG.md"}
    files |= {f"projects/{path.parent.name}/README.md": path for path in sorted(projects)}
    return {source: path for source, path in files.items() if path.is_file()}


def text(path: Path) -> str:
    """Return the text of a document; of a project's README of another encoding, what can be read of it."""
    return path.read_text(encoding="utf-8", errors="replace")


def images() -> dict[str, Path]:
    """Return the pictures of the documents, path in a checkout -> file."""
    return {f"docs/{path.name}": path for path in (ROOT / "docs").glob("*.png")}


def address(source: str) -> str:
    """Return where the portal shows a document or a picture, by its path in a checkout."""
    name = source.removeprefix("docs/").removesuffix(".md")
    return f"/help/{name.removesuffix('/README').replace('README', 'readme').replace('CHANGELOG', 'changelog')}"


def entries(files: Mapping[str, Path]) -> list[Entry]:
    """Return the list of the documents; only the beginning of each is parsed."""
    return [_entry(source, path) for source, path in files.items()]


def _entry(source: str, path: Path) -> Entry:
    beginning = "\n\n".join(text(path).split("\n\n")[:2])
    tokens = _parse(beginning)
    first, *_ = *_sections(source, tokens), Section(1, source, "", ())
    summary = re.split(r"(?<=[.?!]) (?=[A-Z`])", first.blocks[0])[0] if first.blocks else ""
    return Entry(address(source), first.title, summary)


def read(files: Mapping[str, Path], source: str) -> Document:
    """Return a document; it is rendered anew when its file has changed, or other documents have come."""
    return _rendered(source, files[source], files[source].stat().st_mtime_ns, (*files, *images()))


@lru_cache(maxsize=256)
def _rendered(source: str, path: Path, _changed: int, linked: tuple[str, ...]) -> Document:
    tokens = _parse(text(path))
    addresses = {name: address(name) for name in linked}
    for token in tokens:
        if style := token.attrs.pop("style", None):
            token.attrs["class"] = ALIGNMENTS[str(style)]
        _follow(source, addresses, token.children or [])
    sections = tuple(_sections(source, tokens))
    title = sections[0].title if sections else source
    return Document(address(source), title, MARKDOWN.renderer.render(tokens, MARKDOWN.options, {}), sections)


def _parse(text: str) -> list[Token]:
    tokens = MARKDOWN.parse(text)
    _anchor(tokens)
    for start, content, end in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if start.type == "th_open" and not content.content:  # no header of a column
            start.tag = end.tag = "td"
    return tokens


def _follow(source: str, addresses: Mapping[str, str], tokens: Sequence[Token]) -> None:
    """Let links and pictures lead to what the portal has, or to other sites; of others the text stays."""
    for token in tokens:
        if token.type == "image":
            _follow(source, addresses, token.children or [])
            src = _target(source, addresses, str(token.attrs["src"]))
            if src and src.startswith("/"):
                token.attrs["src"] = src
            else:
                token.type = "text"
        elif token.type == "link_open":
            href = _target(source, addresses, str(token.attrs["href"]))
            token.attrs = {"href": href} if href else {}


def _target(source: str, addresses: Mapping[str, str], href: str) -> str:
    """Return where a link leads in the portal; empty when it has no page of it."""
    try:
        parts = urlsplit(href)
    except ValueError:  # brackets that are no IPv6 address
        return ""
    if parts.scheme or parts.netloc:
        return href
    fragment = f"#{parts.fragment}" if parts.fragment else ""
    if not parts.path:
        return fragment
    target = addresses.get(posixpath.normpath(posixpath.join(posixpath.dirname(source), parts.path)), "")
    return target and target + fragment


def _anchor(tokens: Sequence[Token]) -> None:
    """Give each heading its anchor."""
    taken = Counter[str]()
    for token, content in pairwise(tokens):
        if token.type == "heading_open":
            slug = _slug(_text(content))
            token.attrs["id"] = f"{slug}-{taken[slug]}" if taken[slug] else slug
            taken[slug] += 1


def _sections(source: str, tokens: Sequence[Token]) -> Iterator[Section]:
    """Yield the sections; what stands before the first heading has the document's path as its title."""
    headings = [number for number, token in enumerate(tokens) if token.type == "heading_open"]
    if blocks := tuple(_blocks(tokens[: headings[0] if headings else None])):
        yield Section(1, source, "", blocks)
    for start, end in pairwise([*headings, len(tokens)]):
        heading, content = tokens[start : start + 2]
        blocks = tuple(_blocks(tokens[start + 3 : end]))
        yield Section(int(heading.tag[1]), _text(content), str(heading.attrs["id"]), blocks)


def _blocks(tokens: Sequence[Token]) -> Iterator[str]:
    cells: list[str] | None = None
    for token in tokens:
        if token.type == "tr_open":
            cells = []
        elif token.type == "tr_close" and cells:
            yield " · ".join(filter(None, cells))
            cells = None
        elif token.type == "inline" and cells is not None:
            cells.append(_text(token))
        elif token.type in ("inline", "fence", "code_block"):
            yield _text(token)


def _text(token: Token) -> str:
    """Return the text of a paragraph, heading or listing without its marks."""
    if not token.children:
        return token.content
    return "".join(" " if child.type == "softbreak" else child.content for child in token.children)


def _slug(title: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")

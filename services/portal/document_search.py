"""Search of the documents: the sections in which all words of a query occur, the best first."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from services.portal.documents import Document, Section

SHOWN = 40
LETTERS = 240
"""Of the text around a match."""
IN_HEADING, IN_TITLE, AS_PHRASE, MOST = 100, 30, 20, 15
"""What adds to a section's rank: a word in its heading or its document's title, the whole query, the count at most."""


@dataclass(frozen=True)
class Hit:
    """A section that matches."""

    title: str
    """Of the document."""
    heading: str
    href: str
    excerpt: Markup
    rank: int


def words(query: str) -> list[str]:
    """Return the words of a query."""
    return query[:200].lower().split()[:10]


def search(documents: Iterable[Document], query: str) -> list[Hit]:
    """Return the sections in which all words of the query occur."""
    sought = words(query)
    hits = [hit for document in documents for section in document.sections if (hit := _hit(document, section, sought))]
    return sorted(hits, key=lambda hit: -hit.rank)[:SHOWN] if sought else []


def _hit(document: Document, section: Section, sought: list[str]) -> Hit | None:
    title, heading, text = document.title.lower(), section.title.lower(), "\n".join(section.blocks).lower()
    if not all(word in heading or word in text for word in sought):
        return None
    rank = sum(IN_HEADING * (word in heading) + IN_TITLE * (word in title) for word in sought)
    rank += AS_PHRASE * (" ".join(sought) in text) + min(MOST, sum(map(text.count, sought)))
    href = f"{document.address}#{section.anchor}" if section.anchor else document.address
    return Hit(document.title, section.title, href, _excerpt(section.blocks, sought), rank)


def _excerpt(blocks: Iterable[str], sought: list[str]) -> Markup:
    """Return the block with the most words of the query, cut to the text around the first, with the words marked."""
    block = max(blocks, key=lambda block: sum(word in block.lower() for word in sought), default="")
    pattern = re.compile("|".join(map(re.escape, sorted(sought, key=len, reverse=True))), re.IGNORECASE)
    first = pattern.search(block)
    start = max(0, first.start() - LETTERS // 3) if first else 0
    start = block.find(" ", start) + 1 if start else 0
    cut = block[start : start + LETTERS]
    before, after = "… " if start else "", " …" if start + LETTERS < len(block) else ""
    marked = Markup("").join(
        Markup("<mark>{}</mark>").format(part) if number % 2 else part
        for number, part in enumerate(re.split(f"({pattern.pattern})", cut, flags=re.IGNORECASE))
    )
    return Markup("{}{}{}").format(before, marked, after)

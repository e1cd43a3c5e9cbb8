import re
from urllib.parse import urlsplit

import pytest

from services.portal import document_search, documents
from services.portal.portal import HERE
from stack.core.settings import ROOT
from stack.core.version import version

HOSTILE = """# Mine

<script>alert(1)</script> [run](javascript:alert(1)) ![far](https://example.org/far.png) [up](../../.env)
[forecasts](../../docs/forecasts.md#what-is-asked)

| | b |
|---|--:|
| needle | 2 |

## Same

## Same

    $ <b>needle</b>
"""


@pytest.fixture
def written(home, tmp_path):
    """A stack whose workspace has a project with a README."""
    folder = tmp_path / "workspace" / "projects" / "mine"
    folder.mkdir(parents=True)
    (folder / "README.md").write_text(HOSTILE)
    return home.model_copy(update={"workspace": tmp_path / "workspace"})


def links(page):
    return re.findall(r'href="(/help/[^"]*)"', page)


def test_every_document_is_listed_with_its_first_sentence(home, portal):
    page = portal(home).get("/help/").text

    listed = {link for link in links(page) if link != "/help/"}
    assert {f"/help/{path.stem}" for path in (ROOT / "docs").glob("*.md")} <= listed
    assert {"/help/readme", "/help/projects/flights"} <= listed
    assert "What you need once it is more than a trial: backups, upgrades, starting at boot" in page


def test_all_links_between_documents_lead_somewhere(home, portal):
    client = portal(home)
    files = documents.sources(home)
    anchors = {
        document.address: {section.anchor for section in document.sections} | {""}
        for document in (documents.read(files, source) for source in files)
    }

    for page in anchors:
        text = client.get(page).text
        assert text.count("<h1") == 1
        for target in map(urlsplit, {*links(text), *re.findall(r'href="(#[^"]*)"', text)} - {"/help/"}):
            assert target.fragment in anchors[target.path or page], (page, target)
        for picture in re.findall(r'<img src="(/help/[^"]+)"', text):
            assert client.get(picture).headers["content-type"] == "image/png"


def test_the_pages_link_to_documents_and_headings_that_exist(home):
    files = documents.sources(home)
    texts = [path.read_text() for path in (HERE / "templates").glob("*.html")]
    targets = [urlsplit(link) for text in texts for link in links(text) if "{{" not in link and link != "/help/"]

    assert len(targets) > 5
    named = {documents.address(source): source for source in files}
    for target in targets:
        sections = documents.read(files, named[target.path]).sections
        assert target.fragment in {section.anchor for section in sections} | {""}, target


def test_a_document_of_a_workspace_can_neither_run_scripts_nor_load_from_elsewhere(written, portal):
    page = portal(written).get("/help/projects/mine").text

    assert "&lt;script&gt;alert(1)" in page and "<script>" not in page
    assert "<th></th>" not in page and '<th class="right">b</th>' in page
    assert "style=" not in page and '<td class="right">' in page
    assert 'href="javascript' not in page and "example.org" not in page and ".env" not in page.split("<main", 1)[1]
    assert 'href="/help/forecasts#what-is-asked"' in page
    assert 'id="same"' in page and 'id="same-1"' in page


def test_the_foot_of_every_page_has_the_version_and_leads_to_the_change_log(home, portal):
    client = portal(home)

    for page in ("/", "/reports/", "/docs/", "/help/", "/sign-in"):
        assert f'<a href="/help/changelog">{version()}</a>' in client.get(page).text
    assert f'<h2 id="{version().replace(".", "")}">{version()}</h2>' in client.get("/help/changelog").text


def test_a_changed_document_is_rendered_anew(written, portal):
    client, file = portal(written), written.projects / "mine" / "README.md"
    assert "needle" in client.get("/help/projects/mine").text

    file.write_text("# Mine\n\nAnother text.")
    page = client.get("/help/projects/mine").text
    assert "Another text." in page and "needle" not in page


def test_search_shows_the_sections_with_all_words_in_their_context(written, portal):
    page = portal(written).get("/help/", params={"q": "needle 2"}).text

    assert "<mark>needle</mark> · <mark>2</mark>" in page
    assert 'href="/help/projects/mine#mine"' in page and 'href="/help/projects/mine#same-1"' not in page
    listing = portal(written).get("/help/", params={"q": "<b>needle"}).text
    assert "&lt;b&gt;needle" in listing and "<b>" not in listing


def test_a_section_about_the_words_ranks_above_one_that_mentions_them(home):
    files = documents.sources(home)
    hits = document_search.search((documents.read(files, source) for source in files), "backup restore")

    assert hits[0].href == "/help/operations#backup-and-restore" and len(hits) > 3


@pytest.mark.parametrize("query", ["zzzunheardof", "%", "(", "\\", " ", "a" * 5000])
def test_any_query_is_answered(home, portal, query):
    assert portal(home).get("/help/", params={"q": query}).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "nothing",
        "../pyproject.toml",
        "%2e%2e/pyproject",
        "..%2f.env",
        "x.png",
        "%2e%2e%2fportal.png",
    ],
)
def test_nothing_but_documents_is_served(home, portal, path):
    assert portal(home).get(f"/help/{path}").status_code == 404

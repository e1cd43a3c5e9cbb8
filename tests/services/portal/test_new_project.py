"""A table that is brought in the browser: what is understood of it, and what becomes of a job."""

import asyncio
import re

import pytest

from services.portal.jobs import Job, Jobs
from stack.access import actions
from stack.core import migrations
from stack.core.errors import StackError
from tests.polling import PATIENCE_SECONDS, eventually

TABLE = "customer,signed up,plan,calls,end_reason,churned\n" + "".join(
    f"C{number:04d},2024-01-{number % 28 + 1:02d},{('basic', 'pro')[number % 2]},{number % 7},"
    f"{('price', 'moved')[number % 2] if number % 3 == 0 else ''},{'yes' if number % 3 == 0 else 'no'}\n"
    for number in range(300)
)


@pytest.fixture
def stack(home):
    migrations.upgrade(home.state_database)
    return home.model_copy(update={"prefect_key": "a-key"})


@pytest.fixture
def client(stack, portal):
    client = portal(stack)
    client.headers.update(stack.prefect_headers)
    return client


def look(client, file, content=TABLE, **wishes):
    return client.post("/new/look", files={"file": (file, content)}, data=wishes)


def roles(page):
    cells = re.findall(r'<td class="strong">(.*?)</td>.*?<span class="tag [^"]*">(.*?)</span>', page, re.DOTALL)
    return dict(cells)


def test_each_column_is_shown_with_its_role_and_the_first_rows(client, stack):
    page = look(client, "My customers (2024).csv").text
    assert roles(page) == {
        "customer": "names the row",
        "signed up": "time",
        "plan": "key",
        "calls": "feature",
        "end_reason": "leak",
        "churned": "target",
    }
    assert 'name="name" value="my_customers_2024"' in page and "The first of 300 rows" in page
    assert "<td>C0007</td>" in page and "<option selected>churned</option>" in page
    (saved,) = (stack.home / "uploads").glob("*/*")
    assert saved.name == "My_customers_2024_.csv" and saved.read_text() == TABLE


def test_what_is_corrected_holds(client, forked):
    place = re.search(r'name="place" value="(.*?)"', look(client, "churn.csv").text)[1]
    wishes = {"place": place, "name": "churn", "target": "plan", "time": "none", "keep": ["end_reason", "churned"]}
    page = client.post("/new/look", data=wishes).text
    assert (roles(page)["plan"], roles(page)["signed up"], roles(page)["churned"]) == ("target", "leak", "feature")
    assert '<option value="none" selected>none</option>' in page


@pytest.mark.parametrize(
    ("name", "content", "wishes", "shown"),
    [
        ("empty.csv", "", {}, "empty.csv"),
        ("a.csv", TABLE, {"name": "No Name"}, "lower-case"),
        ("a.csv", TABLE, {"name": "flights"}, "choose another name"),
        ("a.csv", TABLE, {"target": "nothing"}, "“Predict”"),
        ("a.csv", TABLE, {"zone": "Mars/Olympus"}, "“Time zone”"),
        ("../../x.csv", "<script>alert(1)</script>\n1\n", {}, "found"),
    ],
)
def test_what_cannot_be_learnt_from_says_why(client, forked, stack, name, content, wishes, shown):
    answer = look(client, name, content, **wishes)
    assert answer.status_code == 409 and shown in answer.text and "<script>" not in answer.text
    assert str(stack.home) not in answer.text
    assert all(path.is_relative_to(stack.home / "uploads") for path in stack.home.rglob("*.csv"))


def test_what_is_refused_is_shown_beside_the_choices(client, forked):
    page = look(client, "churn.csv").text
    place, form = re.search(r'name="place" value="(.*?)"', page)[1], re.search(r'<form [^>]*id="(.*?)"', page)[1]
    assert page.index("<form ") < page.index('<div id="refused"') < page.index('name="target"')
    wishes = {"place": place, "name": "churn", "target": "churned", "time": "none", "zone": "Mars/Olympus"}
    changed = client.post("/new/look", data=wishes, headers={"HX-Trigger": form})
    assert (changed.status_code, changed.headers["hx-retarget"]) == (409, "#refused")
    signed_out = client.post("/new/look", data=wishes, headers={"HX-Trigger": form, "Authorization": ""})
    assert (signed_out.status_code, signed_out.headers["hx-retarget"]) == (401, "#refused")
    assert "hx-retarget" not in client.post("/new/look", data=wishes).headers


def test_a_date_that_is_left_out_may_be_used_anyway(client, forked):
    header, *rows = TABLE.splitlines()
    dated = [f"{row},2025-0{number % 9 + 1}-01" for number, row in enumerate(rows)]
    table = "\n".join([f"{header},renewal", *dated])
    page = look(client, "churn.csv", table, target="churned").text
    assert roles(page)["renewal"] == "left out" and "“use it anyway” where it is known when asked" in page
    assert '<input type="checkbox" name="keep" value="renewal">' in page
    place = re.search(r'name="place" value="(.*?)"', page)[1]
    page = client.post("/new/look", data={"place": place, "target": "churned", "keep": "renewal"}).text
    assert roles(page)["renewal"] == "feature"
    assert '<input type="checkbox" name="keep" value="renewal" checked>' in page


def test_without_table_or_key_nothing_is_read(client, stack):
    assert client.post("/new/look", data={}).status_code == 409
    assert client.post("/new/look", headers={"Authorization": ""}, files={"file": ("a.csv", TABLE)}).status_code == 401
    assert client.post("/new/make", headers={"Authorization": ""}, data={"name": "a"}).status_code == 401
    assert not (stack.home / "uploads").exists() and actions.entries(stack.state_database) == []


def test_a_job_ends_with_the_first_command_that_fails_and_says_what_it_said(client, stack):
    page = client.post("/new/make", data={"name": "No Name", "place": "/nothing.csv", "target": "x"}).text
    job = re.search(r"/jobs/[0-9a-f]+", page)[0]
    text = eventually(lambda: "failed" in (found := client.get(job).text) and found)
    assert "$ stack new" in text and "lower-case" in text and "$ stack run" not in text
    (entry,) = actions.entries(stack.state_database)
    assert (entry.action, entry.parameters["target"]) == ("new project", "x")


def test_what_a_job_says_is_for_those_who_may_act(client):
    assert client.get("/jobs/0123", headers={"Authorization": ""}).status_code == 401


def test_a_job_of_before_the_last_start_is_not_known(client):
    answer = client.get("/jobs/0123")
    assert answer.status_code == 404 and "started again" in answer.text


def test_commands_run_one_after_the_other_and_are_followed(stack):
    async def run():
        jobs = Jobs(stack)
        job = jobs.start(Job("two", "flights", [["--version"], ["--help"]]))
        jobs.require_none("weather")
        with pytest.raises(StackError, match=f"at work: {job.title}"):
            jobs.require_none("flights")
        async with asyncio.timeout(PATIENCE_SECONDS):
            while job.running:
                await asyncio.sleep(0.05)
        return job

    job = asyncio.run(run())
    assert (job.code, job.step) == (0, 2)
    assert [line for line in job.lines if line.startswith("$")] == ["$ stack --version", "$ stack --help"]


def test_a_series_is_shown_with_its_steps(client, forked):
    rows = [f"2024-{1 + day // 28:02d}-{1 + day % 28:02d}T{hour:02d}:00Z" for day in range(40) for hour in range(24)]
    series = "at,load,price\n" + "".join(
        f"{at},{10 + number % 24 + number % 7 / 10},{number % 5}\n" for number, at in enumerate(rows)
    )
    page = look(client, "load.csv", series, task="forecast", target="load").text
    assert 'name="steps" min="1" max="336" value="" placeholder="24"' in page
    assert roles(page)["price"] == "known later"
    place = re.search(r'name="place" value="(.*?)"', page)[1]
    wishes = {"place": place, "target": "load", "task": "forecast", "ahead": "price", "steps": "48"}
    page = client.post("/new/look", data=wishes).text
    assert roles(page)["price"] == "feature" and 'value="48"' in page

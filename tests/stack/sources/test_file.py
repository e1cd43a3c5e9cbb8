"""A file is read as it is: every format, on this machine, from a web server and from an S3 server."""

import gzip
import json
from pathlib import Path

import boto3
import pandas as pd
import pytest
from moto.server import ThreadedMotoServer

from stack.core.errors import StackError, UnavailableError
from tests.stack.sources.servers import web
from tests.stacks import free_ports

ROWS = pd.DataFrame({"day": ["2024-01-01", "2024-01-02"], "sales": [3, 4], "rain.mm": [0.5, None]})
RECORDS = [{"day": "2024-01-01", "sales": 3, "rain": {"mm": 0.5}}, {"day": "2024-01-02", "sales": 4, "rain": {}}]
COLUMNS = ["day", "rain.mm", "sales"]


def write(path: Path) -> None:
    """Write ROWS in the format that the ending says."""
    content = {
        ".csv": lambda: ROWS.to_csv(index=False).encode(),
        ".tsv": lambda: ROWS.to_csv(index=False, sep="\t").encode(),
        ".json": lambda: json.dumps(RECORDS).encode(),
        ".jsonl": lambda: "\n".join(map(json.dumps, RECORDS)).encode(),
        ".ndjson": lambda: "\n".join(map(json.dumps, RECORDS)).encode(),
    }
    if path.suffix == ".parquet":
        ROWS.to_parquet(path)
    elif path.suffix == ".xlsx":
        ROWS.to_excel(path, index=False, sheet_name="of 2024")
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(content[Path(path.stem).suffix]()))
    else:
        path.write_bytes(content[path.suffix]())


def check(rows: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(rows, ROWS[COLUMNS], check_dtype=False)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("sales.csv", {}),
        ("sales.csv.gz", {}),
        ("sales.tsv", {"sep": "\t"}),
        ("sales.parquet", {}),
        ("sales.xlsx", {"sheet_name": "of 2024"}),
        ("sales.json", {}),
        ("sales.jsonl.gz", {}),
        ("sales.ndjson", {}),
    ],
)
def test_every_format_is_read(tmp_path, read, name, options):
    write(tmp_path / name)
    check(read({"path": name, "options": options}, COLUMNS))
    check(read({"path": f"file://{tmp_path}/{name}", "options": options}, COLUMNS))


def test_an_object_of_lists_is_a_table(tmp_path, read):
    (tmp_path / "sales.json").write_text(json.dumps({"day": ["a", "b"], "sales": [1, 2]}))
    assert read({"path": "sales.json"}, ["sales", "day"]).to_dict("list") == {"sales": [1, 2], "day": ["a", "b"]}


def test_a_file_that_changes_is_read_again(tmp_path, read):
    (tmp_path / "sales.csv").write_text("day,sales\n2024-01-01,1\n")
    assert len(read({"path": "sales.csv"}, ["day"])) == 1
    (tmp_path / "sales.csv").write_text("day,sales\n2024-01-01,1\n2024-01-02,2\n")
    assert len(read({"path": "sales.csv"}, ["day"])) == 2


@pytest.mark.parametrize(
    ("name", "content", "found", "expected"),
    [
        ("sales.csv", b"day,sales\n", "there are day, sales", "the columns of project.yaml"),
        ("sales.csv", b"", "No columns to parse", "a table"),
        ("sales.json", b"{", "Expecting property name", "a list of objects"),
        ("sales.json", b"[1, 2]", "found int where a row should be", "a list of objects"),
        ("sales.jsonl", b"day\n", "Expected object or value", "JSON object on each line"),
        ("sales.xlsx", b"no workbook", "File is not a zip file", "an Excel workbook"),
        ("sales.parquet", b"no such file", "Parquet magic bytes not found", "a Parquet file"),
        ("sales.csv.gz", b"not packed", "Not a gzipped file", "a table"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, read, name, content, found, expected):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(StackError, match=expected) as caught:
        read({"path": name}, ["rain"])
    assert found in caught.value.found and name in caught.value.where
    assert not isinstance(caught.value, UnavailableError)


def test_a_file_that_is_not_there_is_named(read):
    with pytest.raises(StackError, match=r"project.yaml, key source.path:\n  found     no file sales.csv"):
        read({"path": "sales.csv"}, ["day"])


@pytest.mark.parametrize("name", ["sales.csv", "sales.parquet", "sales.json", "sales.jsonl.gz"])
def test_a_web_server_is_read(tmp_path, read, name):
    write(tmp_path / name)
    with web() as server:
        server.answer = lambda _: (200, {}, (tmp_path / name).read_bytes())
        check(read({"path": f"{server.url}/{name}?year=2024"}, COLUMNS))


@pytest.mark.parametrize(("status", "passing"), [(401, False), (404, False), (503, True)])
def test_a_web_server_that_refuses_is_explained_without_the_secret(read, env, status, passing):
    env(TOKEN="very-secret-token")
    with web() as server:
        server.answer = lambda _: (status, {}, "no")
        with pytest.raises(StackError) as caught:
            read({"path": f"{server.url}/sales.csv?token=${{TOKEN}}"}, ["day"])
    assert isinstance(caught.value, UnavailableError) == passing
    assert "very-secret-token" not in str(caught.value) and "source.path" in str(caught.value)


def test_a_web_server_that_is_away_may_come_back(read):
    with pytest.raises(UnavailableError, match="a server that answers"):
        read({"path": f"http://127.0.0.1:{free_ports(1)[0]}/sales.csv"}, ["day"])


@pytest.fixture(scope="module")
def s3():
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    client = boto3.client(
        "s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1",
        aws_access_key_id="key", aws_secret_access_key="other-secret",
    )  # fmt: skip
    client.create_bucket(Bucket="home")
    yield f"http://{host}:{port}", client
    server.stop()


def storage(url: str) -> dict[str, str]:
    return {"endpoint": url, "access_key": "${S3_KEY}", "secret_key": "${S3_SECRET}"}


@pytest.mark.parametrize("name", ["sales.csv.gz", "sales.parquet", "sales.xlsx"])
def test_an_s3_server_is_read(tmp_path, read, env, s3, name):
    url, client = s3
    env(S3_KEY="key", S3_SECRET="very-secret")
    write(tmp_path / name)
    client.upload_file(str(tmp_path / name), "home", f"data/{name}")
    check(read({"path": f"s3://home/data/{name}", "storage": storage(url)}, COLUMNS))


def test_an_s3_server_that_lacks_the_file_or_is_away_is_explained(read, env, s3):
    env(S3_KEY="key", S3_SECRET="very-secret")
    with pytest.raises(StackError, match="no file s3://home/none.csv") as caught:
        read({"path": "s3://home/none.csv", "storage": storage(s3[0])}, ["day"])
    assert not isinstance(caught.value, UnavailableError)
    with pytest.raises(UnavailableError):
        read({"path": "s3://home/none.csv", "storage": storage(f"http://127.0.0.1:{free_ports(1)[0]}")}, ["day"])


def test_a_folder_of_an_s3_server_is_read_file_by_file(tmp_path, read, env, s3):
    url, client = s3
    env(S3_KEY="key", S3_SECRET="very-secret")
    write(tmp_path / "sales.csv")
    for name in ("a.csv", "b.csv", ".hidden.csv", "c.csv.partial", "readme.txt"):
        client.upload_file(str(tmp_path / "sales.csv"), "home", f"drop/{name}")
    section = {"kind": "folder", "path": "s3://home/drop", "pattern": "*.csv", "storage": storage(url), "settled": 0}
    assert len(read(section, COLUMNS)) == 2 * len(ROWS)

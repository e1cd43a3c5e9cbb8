"""A web service for the tests: ``rows.py PORT FILE`` gives the lines of FILE with ``since`` < at <= ``until``."""

import json
import sys
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

PORT, FILE = int(sys.argv[1]), Path(sys.argv[2])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        window = {name: datetime.fromisoformat(at) for name, at in parse_qsl(urlsplit(self.path).query)}
        rows = [json.loads(line) for line in FILE.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
        if window:
            rows = [row for row in rows if window["since"] < datetime.fromisoformat(row["at"]) <= window["until"]]
        body = json.dumps({"rows": rows}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()

"""A webhook for the tests: ``hook.py PORT FILE`` keeps each JSON object it is sent, by its key once."""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT, FILE = int(sys.argv[1]), Path(sys.argv[2])
log = FILE.open("a+b")
log.seek(0)
whole = log.read()
log.truncate(whole.rfind(b"\n") + 1)
seen = {
    line.split(b'"prediction_id":')[1].split(b'"')[1].decode() for line in whole.splitlines() if line.endswith(b"}")
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        length, key = int(self.headers["Content-Length"]), self.headers["Idempotency-Key"]
        body = self.rfile.read(length)
        if len(body) < length:  # its sender was killed
            self.close_connection = True
            return
        if key not in seen:
            seen.add(key)
            log.write(body + b"\n")
            log.flush()
            os.fsync(log.fileno())
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()

"""Run by CI with the built wheel and one version of httpx, outside the repository: events arrive, whole and once."""

import gzip
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx

import llm_hub
from llm_hub.testing import MemoryClient

got: list[dict[str, object]] = []


class Handler(BaseHTTPRequestHandler):
    """Takes everything."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        rows = [json.loads(line) for line in body.splitlines()]
        got.extend(rows)
        answer = json.dumps({"accepted": len(rows), "rejected": 0, "duplicates": 0, "errors": []}).encode()
        self.send_response(202)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


assert "site-packages" in llm_hub.__file__, llm_hub.__file__
assert (Path(llm_hub.__file__).parent / "py.typed").exists()
server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
hub = llm_hub.Client(f"http://127.0.0.1:{server.server_address[1]}", "lh_check", source="wheel")


@llm_hub.observe(name="work")
def work() -> None:
    for number in range(500):
        hub.capture("product.event", {"name": f"e-{number}"})


work()
assert hub.flush(20)
assert hub.stats()["accepted"] == len(got) == 501, hub.stats()
hub.close()
with MemoryClient() as memory:
    memory.capture("product.event", {"name": "x"})
    assert memory.events[0]["data"] == {"name": "x"}
refusal = ""
try:
    llm_hub.Client("kafka://broker/topic")
except ValueError as error:
    refusal = str(error)
assert "llm-analytics-hub-sdk[kafka]" in refusal, "there is no aiokafka here"
print(f"SDK {llm_hub.__version__} with httpx {httpx.__version__} on Python {sys.version.split()[0]}: {len(got)} events")

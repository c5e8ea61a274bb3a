"""A55: the published client of Durable Functions for JavaScript, unchanged, is at home here.

It speaks the Durable Functions HTTP API. The program is durable_functions_js/client.mjs, a
file of Node's own tests that takes the address of a server.
"""

import durable_js
import harness
from harness import Server, check, temporary_folder

SOURCES = harness.ROOT / "tests/interop/durable_functions_js"
PLACE = harness.ROOT / "build/interop/durable_functions_js"


@check("A55.1 the client for JavaScript: starts, commands, histories, lists, purges, waits and "
       "entities, by the URLs of a start and by rpcBaseUrl")
def _():
    durable_js.install(SOURCES, PLACE)
    with temporary_folder() as folder:
        for store in ("--store=memory", f"--data={folder}"):
            with Server(store, "--http-listen=127.0.0.1:0") as server:
                durable_js.run_program(PLACE, "client", store, server, server.http_address)

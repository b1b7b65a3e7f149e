"""An engine's process driver to be killed: `engine_to_kill.py HOME COUNT COMMAND`, the command as JSON.

Launches COUNT attempts, prints one JSON line for each that has started, and then waits for ever.
"""

import asyncio
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from passloop.drivers.processes.driver import ProcessDriver
from passloop.kernel.events import Started
from tests.support.attempts import Heard, order_for


async def main(home: Path, count: int, command: list[str]) -> None:
    driver, heard = ProcessDriver(home), Heard()
    await driver.start(heard)
    for attempt in range(1, count + 1):
        order = order_for(home, attempt, command)
        driver.launch(order)
        started = await heard.until(Started, attempt)
        print(json.dumps({"attempt": attempt, "name": order.name, "process": started.process}), flush=True)
    await asyncio.Event().wait()


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])))

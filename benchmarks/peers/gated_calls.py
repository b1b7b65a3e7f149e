"""What a careful person writes by hand: `python gated_calls.py URL ROWS` makes four columns, a gate for each model.

aiohttp as everywhere here, 4 calls at once for each of the models m0 to m3. A refused call shuts its model's gate for
as long as `Retry-After` says; a server error is tried three times more. Nothing is kept. Prints how many cells came.
Imports nothing of ours.
"""

from __future__ import annotations

import asyncio
import sys
import time

import aiohttp

MODELS, IN_FLIGHT, TRIES = 4, 4, 4
BODY = {"messages": [{"role": "user", "content": "Write a short ticket about billing."}], "max_tokens": 8}


class Gate:
    """Lets a few in at once, and nobody before it opens again."""

    def __init__(self) -> None:
        self.places = asyncio.Semaphore(IN_FLIGHT)
        self.opens = 0.0


async def cell(session: aiohttp.ClientSession, url: str, model: int, gate: Gate) -> bool:
    """One answer, or none after too many server errors."""
    tries = 0
    while tries < TRIES:
        async with gate.places:
            pause = gate.opens - time.perf_counter()
            if pause > 0:
                await asyncio.sleep(pause)
            async with session.post(f"{url}/chat/completions", json={"model": f"m{model}", **BODY}) as response:
                if response.status == 200:
                    return bool((await response.json())["choices"][0]["message"]["content"])
                await response.read()
                if response.status == 429:
                    gate.opens = time.perf_counter() + float(response.headers.get("retry-after", "1"))
                else:
                    tries += 1
    return False


async def main(url: str, rows: int) -> None:
    """All cells at once; the gates hold them back."""
    gates = [Gate() for _ in range(MODELS)]
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        made = await asyncio.gather(*(cell(session, url, n % MODELS, gates[n % MODELS]) for n in range(rows * MODELS)))
    print(f"cells {sum(made)}")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))

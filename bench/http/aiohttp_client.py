"""CPU time per request of aiohttp's ClientSession: `aiohttp_client.py URL CONCURRENCY REQUESTS ROUNDS` prints µs."""

import asyncio
import statistics
import sys
import time

import aiohttp


async def load(session: aiohttp.ClientSession, url: str, concurrency: int, requests: int) -> None:
    left = iter(range(requests))

    async def worker() -> None:
        for _ in left:
            async with session.get(url) as response:
                await response.json()

    await asyncio.gather(*(worker() for _ in range(concurrency)))


async def main(url: str, concurrency: int, requests: int, rounds: int) -> None:
    connector = aiohttp.TCPConnector(limit=1_000)
    async with aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar()) as session:
        await load(session, url, concurrency, requests)
        times = []
        for _ in range(rounds):
            started = time.process_time()
            await load(session, url, concurrency, requests)
            times.append((time.process_time() - started) / requests * 1e6)
        print(f"{statistics.median(times):.1f}")


asyncio.run(main(sys.argv[1], *map(int, sys.argv[2:])))

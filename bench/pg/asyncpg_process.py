"""`python asyncpg_process.py <url> <connections> <concurrency>`: asyncpg, as competitor-process.ts."""
import asyncio, json, resource, sys

import asyncpg

url, connections, concurrency = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def work(pool, workload):
    async def worker():
        for n in range(workload['operations'] // concurrency):
            await pool.fetch(workload['text'], *([n, f'text {n}'] if workload.get('hasValues') else []))
    await asyncio.gather(*(worker() for _ in range(concurrency)))


async def main():
    pool = await asyncpg.create_pool(url, min_size=connections, max_size=connections, max_inactive_connection_lifetime=0)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        workload = json.loads(line)
        before = cpu()
        await work(pool, workload)
        print((cpu() - before) * 1e6 / workload['operations'], flush=True)

asyncio.run(main())

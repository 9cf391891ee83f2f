"""The same work on asyncio and, if it is installed, uvloop: prints {name: {workload: CPU microseconds per operation}} as JSON."""
import asyncio, json, statistics, sys, time

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 9


async def one(): return 1


async def sleeper(cleaned):
    try: await asyncio.sleep(1e6)
    finally: cleaned.append(1)


async def at_once():
    for t in [asyncio.create_task(one()) for _ in range(1000)]: await t

async def in_turn():
    for _ in range(1000): await asyncio.create_task(one())

async def yields():
    async def body():
        for _ in range(10): await asyncio.sleep(0)
    for t in [asyncio.create_task(body()) for _ in range(100)]: await t

async def cancels():
    cleaned = []
    tasks = [asyncio.create_task(sleeper(cleaned)) for _ in range(1000)]
    await asyncio.sleep(0)
    for t in tasks: t.cancel()
    for t in tasks:
        try: await t
        except asyncio.CancelledError: pass

async def timeouts():
    for _ in range(1000):
        async with asyncio.timeout(1): await one()

async def queue():
    q = asyncio.Queue(10)
    async def produce():
        for i in range(1000): await q.put(i)
    t = asyncio.create_task(produce())
    for _ in range(1000): await q.get()
    await t

async def lock():
    l = asyncio.Lock()
    async def body():
        for _ in range(100):
            async with l: await asyncio.sleep(0)
    for t in [asyncio.create_task(body()) for _ in range(10)]: await t

async def gathers():
    for _ in range(100): await asyncio.gather(*(one() for _ in range(10)))


WORK = {'spawn + join, 1,000 at once': at_once, 'spawn + join, one after another': in_turn, 'yield, 100 tasks': yields, 'cancel + join with finally': cancels,
        'timeout scope': timeouts, 'queue of 10, bounded': queue, 'lock, 10 contenders': lock, 'gather of 10': gathers}


async def measure():
    figures = {}
    for name, work in WORK.items():
        rounds = []
        for i in range(ROUNDS + 2):
            start = time.process_time()
            await work()
            if i >= 2: rounds.append((time.process_time() - start) * 1e6 / 1000)
        figures[name] = statistics.median(rounds)
    return figures


result = {'asyncio': asyncio.run(measure())}
try:
    import uvloop
    result['uvloop'] = uvloop.run(measure())
except ImportError: pass
print(json.dumps(result))

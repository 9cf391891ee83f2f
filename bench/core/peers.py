"""The same work on asyncio and, where they are installed, uvloop and trio: prints {name: {workload: CPU microseconds per operation}} as JSON."""
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


def workloads(of):
    get = of.get if isinstance(of, dict) else lambda name: getattr(of, name)
    return {'spawn + join, 1,000 at once': get('at_once'), 'spawn + join, one after another': get('in_turn'),
            'yield, 100 tasks': get('yields'), 'cancel + join with finally': get('cancels'), 'timeout scope': get('timeouts'),
            'queue of 10, bounded': get('queue'), 'lock, 10 contenders': get('lock'), 'gather of 10': get('gathers')}


async def measure(of):
    figures = {}
    for name, work in workloads(of).items():
        rounds = []
        for i in range(ROUNDS + 2):
            start = time.process_time()
            await work()
            if i >= 2: rounds.append((time.process_time() - start) * 1e6 / 1000)
        figures[name] = statistics.median(rounds)
    return figures


here = globals()
result = {'asyncio': asyncio.run(measure(here))}
try:
    import uvloop
    result['uvloop'] = uvloop.run(measure(here))
except ImportError: pass
try:
    import peers_trio, trio
    result['trio'] = trio.run(measure, peers_trio)
except ImportError: pass
print(json.dumps(result))

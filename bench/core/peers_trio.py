"""The same work on trio, which has nurseries and cancel scopes instead of tasks that can be awaited. See peers.py."""
import trio

sleep0 = trio.lowlevel.checkpoint


async def one():
    await trio.lowlevel.checkpoint_if_cancelled()


async def at_once():
    async with trio.open_nursery() as nursery:
        for _ in range(1000): nursery.start_soon(one)

async def in_turn():
    for _ in range(1000):
        async with trio.open_nursery() as nursery: nursery.start_soon(one)

async def yields():
    async def body():
        for _ in range(10): await sleep0()
    async with trio.open_nursery() as nursery:
        for _ in range(100): nursery.start_soon(body)

async def cancels():
    cleaned = []
    async def sleeper():
        try: await trio.sleep(1e6)
        finally: cleaned.append(1)
    async with trio.open_nursery() as nursery:
        for _ in range(1000): nursery.start_soon(sleeper)
        await sleep0()
        nursery.cancel_scope.cancel()

async def timeouts():
    for _ in range(1000):
        with trio.fail_after(1): await one()

async def queue():
    send, receive = trio.open_memory_channel(10)
    async def produce():
        async with send:
            for i in range(1000): await send.send(i)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(produce)
        async for _ in receive: pass

async def lock():
    contended = trio.Lock()
    async def body():
        for _ in range(100):
            async with contended: await sleep0()
    async with trio.open_nursery() as nursery:
        for _ in range(10): nursery.start_soon(body)

async def gathers():
    for _ in range(100):
        async with trio.open_nursery() as nursery:
            for _ in range(10): nursery.start_soon(one)

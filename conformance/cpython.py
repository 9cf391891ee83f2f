"""Runs programs (JSON lines on stdin) on CPython's asyncio, in virtual time, and prints the trace of each. See README.md."""

import asyncio
import json
import selectors
import sys

LIMIT = 10**9

class Broken(Exception):
    """What a program raises."""


class Stuck(Exception):
    """Nothing can ever run again."""


class Jumping(selectors.SelectSelector):
    """Instead of waiting for I/O it moves the loop's time to the next timer."""

    def select(self, timeout=None):
        if timeout is None:
            raise Stuck
        if timeout > 0:
            self.loop.now = self.loop._scheduled[0].when()  # Not `timeout`: asyncio never waits longer than a day.
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self.now = 0
        super().__init__(jumping := Jumping())
        jumping.loop = self
        self._clock_resolution = 0.5  # Times are whole numbers, and large ones.

    def time(self):
        return self.now


class Return(BaseException):
    """Leaves a program's function with a value."""


def kind(error):
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    if isinstance(error, BaseExceptionGroup):
        return "group(" + ",".join(sorted(map(kind, error.exceptions))) + ")"
    if isinstance(error, Broken):
        return f"error {error}"
    if isinstance(error, asyncio.TimeoutError):
        return "timeout"
    if isinstance(error, asyncio.BrokenBarrierError):
        return "broken barrier"
    return "misuse" if isinstance(error, (RuntimeError, ValueError)) else f"{error!r}"


class Program:
    def __init__(self, description):
        self.main = description["main"]
        self.trace, self.tasks, self.children, self.skip = {}, {}, {}, None

    async def run(self):
        self.queue = asyncio.Queue(2)
        self.lock, self.semaphore, self.event = asyncio.Lock(), asyncio.Semaphore(2), asyncio.Event()
        self.condition, self.barrier = asyncio.Condition(), asyncio.Barrier(2)
        main = asyncio.create_task(self.function("main", self.main))
        for _ in range(5):
            done, _ = await asyncio.wait([main], timeout=LIMIT)
            if done:
                break
            self.note("driver", "main is stuck")
            main.cancel()
        if main.done() and not main.cancelled():
            main.exception()
        await asyncio.sleep(1)
        self.note = lambda *_: None  # What the end of the loop does is another matter.

    def note(self, name, text):
        self.trace.setdefault(name, []).append(f"{asyncio.get_running_loop().time():.0f} {text}")

    async def function(self, name, ops):
        """A task's function: its trace has its name."""
        try:
            value = None
            try:
                await self.run_all(name, ops)
            except Return as leaving:
                value = leaving.args[0]
            self.note(name, f"returns {json.dumps(value)}")
            return value
        except BaseException as error:
            self.note(name, f"raises {kind(error)}")
            raise

    def child(self, name, ops):
        return self.named(name, ops)()

    def named(self, name, ops):
        number = self.children[name] = self.children.get(name, 0) + 1
        return lambda: self.function(f"{name}.{number}", ops)

    async def run_all(self, name, ops):
        for op, *args in ops:
            await getattr(self, op)(name, *args)

    async def block(self, name, ops):
        """A body in the same task; what it returns leaves only this body."""
        try:
            await self.run_all(name, ops)
        except Return as leaving:
            return leaving.args[0]

    async def sleep(self, name, ms):
        await asyncio.sleep(ms)

    async def throw(self, name, text):
        raise Broken(text)

    async def leave(self, name, value):
        raise Return(value)

    async def spawn(self, name, id, ops):
        self.tasks[id] = asyncio.create_task(self.child(name, ops))

    async def join(self, name, id):
        if id in self.tasks:
            self.note(name, f"joined {json.dumps(await self.tasks[id])}")

    async def shield(self, name, id):
        if id in self.tasks:
            self.note(name, f"shielded {json.dumps(await asyncio.shield(self.tasks[id]))}")

    async def cancel(self, name, id):
        if id in self.tasks:
            self.note(name, f"cancels: {json.dumps(self.tasks[id].cancel())}")

    async def cancelling(self, name):
        self.note(name, f"cancelling {asyncio.current_task().cancelling()}")

    async def attempt(self, name, ops, catch, handler, cleanup):
        try:
            await self.run_all(name, ops)
        except Return:
            raise
        except BaseException as error:
            which = "cancel" if isinstance(error, asyncio.CancelledError) else "error"
            if which not in catch:
                raise
            self.note(name, f"catches {kind(error)}")
            await self.run_all(name, handler)
        finally:
            if cleanup:
                await self.run_all(name, cleanup)
                self.note(name, "cleaned up")

    async def timeout(self, name, ms, ops):
        async with asyncio.timeout(ms) as scope:
            try:
                await self.block(name, ops)
            finally:
                self.note(name, f"leaves timeout, expired {json.dumps(scope.expired())}")

    async def wait_for(self, name, ms, ops):
        # 3.12's definition, for 3.11 as well.
        async with asyncio.timeout(ms):
            self.note(name, f"in time {json.dumps(await self.block(name, ops))}")

    async def gather(self, name, bodies, errors):
        results = await asyncio.gather(*(self.child(name, each) for each in bodies), return_exceptions=errors)
        shown = [kind(each) if isinstance(each, BaseException) else each for each in results]
        self.note(name, f"gathered {json.dumps(shown, separators=(',', ':'))}")

    async def wait(self, name, bodies, ms, when):
        tasks = [asyncio.create_task(self.child(name, each)) for each in bodies]
        done, pending = await asyncio.wait(tasks, timeout=ms, return_when=when)
        self.note(name, f"waited {len(done)} {len(pending)}")

    async def as_completed(self, name, bodies):
        for future in asyncio.as_completed([self.child(name, each) for each in bodies]):
            try:
                self.note(name, f"completed {json.dumps(await future)}")
            except asyncio.CancelledError:
                if asyncio.current_task().cancelling():
                    raise
                self.note(name, "completed cancelled")
            except Exception as error:
                self.note(name, f"completed {kind(error)}")

    async def group(self, name, bodies, ops):
        try:
            async with asyncio.TaskGroup() as group:
                for each in bodies:
                    group.create_task(self.child(name, each))
                await self.block(name, ops)
        except BaseExceptionGroup:
            if asyncio.current_task().cancelling() and sys.version_info < (3, 13):
                self.skip = "a group that fails while it is cancelled renews the cancel only since 3.13"
            raise
        self.note(name, "group ended")

    async def all(self, name, branches):
        """Several waits in one function, for which asyncio needs tasks."""

        async def branch(ms, limit):
            async with asyncio.timeout(limit):
                await asyncio.sleep(ms)

        await asyncio.gather(*(branch(*each) for each in branches))
        self.note(name, "all came")

    async def until(self, name, ms, fails):
        loop = asyncio.get_running_loop()
        foreign = loop.create_future()
        if fails:
            loop.call_later(ms, foreign.set_exception, Broken("foreign"))
        else:
            loop.call_later(ms, foreign.set_result, None)
        await asyncio.shield(foreign)
        self.note(name, "until came")

    async def abortable(self, name, ms):
        loop = asyncio.get_running_loop()
        work = loop.create_future()
        timer = loop.call_later(ms, work.set_result, None)
        try:
            await work
        except asyncio.CancelledError:
            timer.cancel()
            self.note(name, "aborts")
            raise
        self.note(name, "not aborted")

    async def limited(self, name, bodies, limit, errors):
        """As many at once as there are slots; the first failure stops the others."""
        slots = asyncio.Semaphore(limit)

        async def one(function):
            async with slots:
                return await function()

        functions = [self.named(name, each) for each in bodies]
        if errors:
            results = await asyncio.gather(*map(one, functions), return_exceptions=True)
        else:
            try:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(one(each)) for each in functions]
            except BaseExceptionGroup as failed:
                if asyncio.current_task().cancelling():
                    self.skip = "asyncio has no gather with a limit: what a failure during a cancel gives is ours to say"
                raise failed.exceptions[0]
            results = [task.result() for task in tasks]
        shown = [kind(each) if isinstance(each, BaseException) else each for each in results]
        self.note(name, f"gathered {json.dumps(shown, separators=(',', ':'))}")

    async def put(self, name, item):
        await self.queue.put(item)
        self.note(name, f"put {item}")

    async def get(self, name):
        self.note(name, f"got {await self.queue.get()}")

    async def locked(self, name, which, ops):
        async with getattr(self, which):
            self.note(name, f"holds {which}")
            await self.block(name, ops)
        self.note(name, f"released {which}")

    async def set(self, name):
        self.event.set()

    async def clear(self, name):
        self.event.clear()

    async def pass_event(self, name):
        await self.event.wait()
        self.note(name, "passed the event")

    async def notified(self, name):
        async with self.condition:
            try:
                await self.condition.wait()
            except asyncio.CancelledError:
                if sys.version_info < (3, 13):
                    self.skip = "a cancelled wait() passes its notification on only since 3.13"
                raise
            finally:
                self.note(name, f"notified, lock held {json.dumps(self.condition.locked())}")

    async def notify(self, name, count):
        async with self.condition:
            self.condition.notify(count)

    async def meet(self, name):
        await self.barrier.wait()
        self.note(name, "met")


def trace(description):
    program = Program(description)
    try:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.get_loop().set_exception_handler(lambda *_: None)
            runner.run(program.run())
    except Stuck:
        pass  # Of the loop's end: the trace is complete by then.
    return {"trace": program.trace, "skip": program.skip}


sys.unraisablehook = lambda *_: None  # Coroutines that a stuck program leaves behind.
for line in sys.stdin:
    print(json.dumps(trace(json.loads(line)), ensure_ascii=False), flush=True)

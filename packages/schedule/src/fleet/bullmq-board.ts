import type { Queue } from 'bullmq';
import { type Board, type Entered, RETIRED, type SharedState } from './engine.ts';

/** A hash and a list per job, beside the queue's own keys. What each in the line was given of the missed ones is in the hash. */
export class BullmqBoard implements Board {
  private readonly queue: Queue;

  constructor(queue: Queue) {
    this.queue = queue;
  }

  async declare(job: string, rule: string): Promise<void> {
    await this.script('aiokitDeclare', job, RETIRED, rule);
  }

  async uphold(job: string, rule: string, keptFor: number): Promise<SharedState> {
    return sharedState((await this.script('aiokitUphold', job, RETIRED, rule, keptFor)) as StateReply);
  }

  async retire(job: string, rule: string): Promise<void> {
    await this.script('aiokitRetire', job, RETIRED, rule);
  }

  async state(job: string): Promise<SharedState> {
    return sharedState((await this.script('aiokitState', job)) as StateReply);
  }

  async addMissed(job: string, count: number): Promise<void> {
    await this.script('aiokitAddMissed', job, count);
  }

  async enter(job: string, at: number): Promise<Entered> {
    const [line, missed] = (await this.script('aiokitEnter', job, at)) as [string[], string | null];
    return { line: line.map(Number), missed: Number(missed ?? 0) };
  }

  async leave(job: string, times: readonly number[]): Promise<void> {
    await this.script('aiokitLeave', job, ...times);
  }

  async requestCancel(job: string, reason: string): Promise<number> {
    return Number(await this.script('aiokitCancel', job, reason));
  }

  async now(): Promise<number> {
    return Number(await this.script('aiokitNow', ''));
  }

  private async script(name: keyof typeof SCRIPTS, job: string, ...args: (string | number)[]): Promise<unknown> {
    const client = await this.queue.backend.client;
    for (const [known, lua] of Object.entries(SCRIPTS)) client.defineCommand(known, { numberOfKeys: 1, lua });
    this.script = (which, ofJob, ...rest) => client.runCommand(which, [this.keyOf(ofJob), ...rest]);
    return await this.script(name, job, ...args);
  }

  private keyOf(job: string): string {
    return this.queue.toKey(`aiokit:${job}`);
  }
}

type StateReply = [string | null, string | null, string | null, string | null, string[]];

const NOW = `local time = redis.call('TIME') local now = time[1] * 1000 + math.floor(time[2] / 1000)`;
const STATE = `local state = redis.call('HMGET', KEYS[1], 'rule', 'missed', 'cancels', 'cancelReason')
  table.insert(state, redis.call('LRANGE', KEYS[1] .. ':line', 0, -1)) return state`;

const SCRIPTS = {
  aiokitNow: `${NOW} return now`,
  aiokitDeclare: `${NOW} if redis.call('HGET', KEYS[1], 'rule') ~= ARGV[1] .. ARGV[2] then
    redis.call('HSET', KEYS[1], 'rule', ARGV[2], 'upheld', now) end`,
  aiokitUphold: `${NOW} local rule = redis.call('HGET', KEYS[1], 'rule')
    local upheld = tonumber(redis.call('HGET', KEYS[1], 'upheld') or 0)
    if rule == ARGV[2] or (rule ~= ARGV[1] .. ARGV[2] and now - upheld > tonumber(ARGV[3])) then
      redis.call('HSET', KEYS[1], 'rule', ARGV[2], 'upheld', now) end
    ${STATE}`,
  aiokitState: STATE,
  aiokitRetire: `if redis.call('HGET', KEYS[1], 'rule') == ARGV[2] then
    redis.call('HSET', KEYS[1], 'rule', ARGV[1] .. ARGV[2]) end`,
  aiokitEnter: `local key = KEYS[1] .. ':line' local told = 'told:' .. ARGV[1] local line = redis.call('LRANGE', key, 0, -1)
    for _, at in ipairs(line) do if at == ARGV[1] then return {line, redis.call('HGET', KEYS[1], told)} end end
    local missed = redis.call('HGET', KEYS[1], 'missed') redis.call('HDEL', KEYS[1], 'missed')
    if missed then redis.call('HSET', KEYS[1], told, missed) end
    redis.call('RPUSH', key, ARGV[1]) table.insert(line, ARGV[1]) return {line, missed}`,
  aiokitLeave: `for _, at in ipairs(ARGV) do
    redis.call('LREM', KEYS[1] .. ':line', 0, at) redis.call('HDEL', KEYS[1], 'told:' .. at) end`,
  aiokitAddMissed: `return redis.call('HINCRBY', KEYS[1], 'missed', ARGV[1])`,
  aiokitCancel: `redis.call('HSET', KEYS[1], 'cancelReason', ARGV[1])
    return redis.call('HINCRBY', KEYS[1], 'cancels', 1)`,
};

function sharedState([rule, missed, cancels, cancelReason, line]: StateReply): SharedState {
  return {
    rule: rule ?? null,
    missed: Number(missed ?? 0),
    cancels: Number(cancels ?? 0),
    cancelReason: cancelReason ?? '',
    line: line.map(Number),
  };
}

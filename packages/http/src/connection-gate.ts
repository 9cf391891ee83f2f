import { Chain, type Linked } from './chain.ts';

/** Who wants a place, and is told when there is one. */
export interface Applicant {
  admitted(ticket: Ticket): void;
}

/** A place for one exchange; given back when the exchange's connection is free again, or gone. */
export class Ticket implements Linked<Ticket> {
  /** @internal */ _chain: Linked<Ticket>['_chain'] = null;
  /** @internal */ _next: Ticket | null = null;
  /** @internal */ _previous: Ticket | null = null;
  /** @internal */ state: 'waiting' | 'active' | 'done' = 'waiting';
  /** @internal */ readonly host: Host;
  /** @internal */ readonly applicant: Applicant;
  private readonly gate: ConnectionGate;

  constructor(gate: ConnectionGate, host: Host, applicant: Applicant) {
    this.gate = gate;
    this.host = host;
    this.applicant = applicant;
  }

  release(): void {
    this.gate._leave(this);
  }
}

interface Host {
  readonly key: string;
  active: number;
  readonly line: Chain<Ticket>;
}

/**
 * How many exchanges a session has at once, in all and per host. First come, first served: among those whose host has room,
 * too. A cancelled exchange keeps its place until it has really ended.
 */
export class ConnectionGate {
  private readonly limit: number;
  private readonly limitPerHost: number;
  private readonly hosts = new Map<string, Host>();
  /** Those whose host has room. */
  private readonly line = new Chain<Ticket>();
  private active = 0;

  constructor(limit: number, limitPerHost: number) {
    this.limit = limit;
    this.limitPerHost = limitPerHost;
  }

  /** How many exchanges run, and how many wait for their turn. */
  statistics(): { active: number; waiting: number } {
    let waiting = this.line.size;
    for (const host of this.hosts.values()) waiting += host.line.size;
    return { active: this.active, waiting };
  }

  /**
   * Admits the applicant when there is room: at once, if there is.
   *
   * @returns the ticket; releasing it before it was granted leaves the line.
   */
  enter(key: string, applicant: Applicant): Ticket {
    let host = this.hosts.get(key);
    if (host === undefined) {
      host = { key, active: 0, line: new Chain() };
      this.hosts.set(key, host);
    }
    const ticket = new Ticket(this, host, applicant);
    if (host.active < this.limitPerHost) this.enterHost(ticket);
    else host.line.add(ticket);
    return ticket;
  }

  private enterHost(ticket: Ticket): void {
    ticket.host.active++;
    if (this.active < this.limit && this.line.size === 0) this.admit(ticket);
    else this.line.add(ticket);
  }

  private admit(ticket: Ticket): void {
    this.active++;
    ticket.state = 'active';
    ticket.applicant.admitted(ticket);
  }

  /** @internal */
  _leave(ticket: Ticket): void {
    const { host, state } = ticket;
    if (state === 'done') return;
    ticket.state = 'done';
    if (state === 'waiting' && host.line.delete(ticket)) return this.forgetIdle(host);
    if (state === 'active') this.active--;
    else this.line.delete(ticket);
    host.active--;
    if (host.line.size > 0) this.enterHost(host.line.shift() as Ticket);
    else this.forgetIdle(host);
    if (this.line.size > 0 && this.active < this.limit) this.admit(this.line.shift() as Ticket);
  }

  private forgetIdle(host: Host): void {
    if (host.active === 0 && host.line.size === 0) this.hosts.delete(host.key);
  }
}

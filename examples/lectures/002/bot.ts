/** The part of a bot library that the notes use: handlers for messages, and long polling of Telegram's Bot API. */
import { taskGroup } from '@aiokit/core';
import type { ClientSession } from '@aiokit/http';

export interface Message {
  readonly message_id: number;
  readonly chat: { readonly id: number };
  readonly text: string;
}

interface Update {
  readonly update_id: number;
  readonly message: Message;
}

type Handler = (message: Message) => Promise<unknown>;

/** How long the API holds a request while nobody writes, in seconds. */
const POLL_SECONDS = 25;

export class Bot {
  private readonly session: ClientSession;
  private readonly path: string;
  private readonly handlers: { commands: readonly string[] | null; handler: Handler }[] = [];

  /** The session's `baseUrl` is the API's, `https://api.telegram.org` for the real one. */
  constructor(session: ClientSession, token: string) {
    this.session = session;
    this.path = `/bot${token}`;
  }

  onCommands(commands: readonly string[], handler: Handler): void {
    this.handlers.push({ commands, handler });
  }

  onMessage(handler: Handler): void {
    this.handlers.push({ commands: null, handler });
  }

  async reply(to: Message, text: string): Promise<void> {
    await this.call('sendMessage', { json: { chat_id: to.chat.id, reply_to_message_id: to.message_id, text } });
  }

  async replyPhoto(to: Message, photo: Blob): Promise<void> {
    const fields = { chat_id: String(to.chat.id), reply_to_message_id: String(to.message_id), photo };
    await this.call('sendPhoto', { multipart: fields });
  }

  /** Answers each message in a task of its own: a slow answer keeps nobody else waiting. */
  async startPolling(): Promise<void> {
    await taskGroup(async (group) => {
      for (let offset = 0; ; ) {
        const updates = await this.call<Update[]>('getUpdates', { json: { offset, timeout: POLL_SECONDS } });
        for (const { update_id, message } of updates) {
          offset = update_id + 1;
          group.createTask(() => this.handle(message), { name: `message ${message.message_id}` });
        }
      }
    });
  }

  private async handle(message: Message): Promise<void> {
    const command = /^\/(\w+)/.exec(message.text)?.[1] ?? '';
    const found = this.handlers.find(({ commands }) => commands?.includes(command) ?? true);
    await found?.handler(message);
  }

  private async call<T>(method: string, options: Parameters<ClientSession['post']>[1]): Promise<T> {
    const call = this.session.post(`${this.path}/${method}`, { ...options, raiseForStatus: true });
    const { result } = await call.json<{ result: T }>();
    return result;
  }
}

/**
 * A server whose requests are Tasks.
 *
 *   serving   serve.ts, server.ts, options.ts    listen, limit, shut down; worker-processes.ts in several processes
 *   requests  request-task.ts, response-stream   a request as a Task, and its streamed answer
 *   handlers  background.ts, …                   what they may call
 */

export { type AcceptOptions, acceptWebSocket, type WebSocketHandler } from './accept-websocket.ts';
export type { FetchApp, NodeBindings } from './app.ts';
export { background } from './background.ts';
export { expressTasks, fastifyTasks, type HookOptions, ignoreCancelled, koaTasks } from './hooks.ts';
export type { ServeOptions, ServerLimits, WorkersOptions } from './options.ts';
export { type RouteOptions, route } from './route.ts';
export { type RunningServer, serve } from './serve.ts';
export type { Server, ServerStatistics } from './server.ts';
export { type EventMessage, eventStream, message, type StreamOptions, streamed } from './streaming.ts';
export type { WorkerProcesses } from './worker-processes.ts';

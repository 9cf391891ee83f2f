import type { Socket } from 'node:net';

/** Node's own object of the connection: it knows what the kernel has taken of a large write that is under way. */
interface Handle {
  readonly bytesWritten: number;
  readonly writeQueueSize: number;
}

const handleOf = (socket: Socket) => (socket as Socket & { _handle?: Handle | null })._handle;

/** How many bytes have left the process: a client who reads makes it grow. */
export function bytesTaken(socket: Socket): number {
  const handle = handleOf(socket);
  return handle ? handle.bytesWritten - handle.writeQueueSize : socket.bytesWritten;
}

/** Whether there is something that the client has not taken. With TLS the socket itself does not know. */
export function isWaiting(socket: Socket): boolean {
  return socket.writableLength > 0 || (handleOf(socket)?.writeQueueSize ?? 0) > 0;
}

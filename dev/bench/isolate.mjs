/** What an isolate holds in memory, by the runtime's own inspector. */
import { WebSocket } from 'ws';

const PATIENCE_MS = 20_000;
/** Run in the isolate: all memory that WebAssembly has there. */
const SUM = 'function () { return this.reduce((sum, memory) => sum + memory.buffer.byteLength, 0) }';

/**
 * Memory of a Worker's isolate, in bytes, with what is yet to be collected. What
 * a Durable Object of the same Worker holds is in it: it runs in the same isolate.
 *
 * @param {string} url of the inspector, for this Worker
 * @returns {Promise<{ heap: number, webAssembly: number }>} JavaScript's heap with buffers outside it, and WebAssembly's memory
 * @see https://chromedevtools.github.io/devtools-protocol/v8/Runtime/#method-getHeapUsage
 */
export async function isolateMemory(url) {
  const socket = new WebSocket(url, { handshakeTimeout: PATIENCE_MS });
  await new Promise((done, fail) => socket.once('open', done).once('error', fail));
  const ask = asker(socket);
  try {
    const context = once(socket, 'Runtime.executionContextCreated');
    // Before that the runtime answers nothing.
    await ask('Runtime.enable');
    const contextId = (await context).context.id;
    const { usedSize, embedderHeapUsedSize = 0, backingStorageSize = 0 } = await ask('Runtime.getHeapUsage');
    const prototype = await ask('Runtime.evaluate', { expression: 'WebAssembly.Memory.prototype', contextId });
    const found = await ask('Runtime.queryObjects', { prototypeObjectId: prototype.result.objectId });
    const sum = await ask('Runtime.callFunctionOn', { functionDeclaration: SUM, objectId: found.objects.objectId, returnByValue: true });
    return { heap: usedSize + embedderHeapUsedSize + backingStorageSize, webAssembly: sum.result.value };
  } finally {
    socket.terminate();
  }
}

/** The first event of a kind. */
function once(socket, event) {
  return new Promise((done) => {
    const listen = (data) => {
      const { method, params } = JSON.parse(data.toString());
      if (method !== event) return;
      socket.off('message', listen);
      done(params);
    };
    socket.on('message', listen);
  });
}

/** Asks the inspector by one method after the other. */
function asker(socket) {
  let last = 0;
  return (method, params = {}) => {
    const id = (last += 1);
    return new Promise((done, fail) => {
      const timer = setTimeout(() => fail(new Error(`no answer to ${method}`)), PATIENCE_MS);
      const listen = (data) => {
        const message = JSON.parse(data.toString());
        if (message.id !== id) return;
        clearTimeout(timer);
        socket.off('message', listen);
        if (message.error) fail(new Error(`${method}: ${message.error.message}`));
        else done(message.result);
      };
      socket.on('message', listen);
      socket.send(JSON.stringify({ id, method, params }));
    });
  };
}

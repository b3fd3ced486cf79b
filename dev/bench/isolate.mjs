/** What an isolate holds in memory and where its time goes, by the runtime's own inspector. */
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
export function isolateMemory(url) {
  return inspect(url, async (ask, socket) => {
    const context = once(socket, 'Runtime.executionContextCreated');
    await ask('Runtime.enable');
    const contextId = (await context).context.id;
    const { usedSize, embedderHeapUsedSize = 0, backingStorageSize = 0 } = await ask('Runtime.getHeapUsage');
    const prototype = await ask('Runtime.evaluate', { expression: 'WebAssembly.Memory.prototype', contextId });
    const found = await ask('Runtime.queryObjects', { prototypeObjectId: prototype.result.objectId });
    const sum = await ask('Runtime.callFunctionOn', { functionDeclaration: SUM, objectId: found.objects.objectId, returnByValue: true });
    return { heap: usedSize + embedderHeapUsedSize + backingStorageSize, webAssembly: sum.result.value };
  });
}

/** How often V8 looks at what is run, in microseconds: more often would itself take time. */
const SAMPLE_US = 1_000;
/** What V8 calls the time in which an isolate does nothing. */
const NOTHING = ['(idle)', '(root)'];

/**
 * What a Worker's isolate does while `work` runs, in milliseconds: samples of V8's, so
 * time on the clock, and more than CPU time where other programs want the machine.
 *
 * @param {string} url of the inspector, for this Worker
 * @param {() => Promise<void>} work
 * @returns {Promise<{ webAssembly: number, script: number, runtime: number }>} WebAssembly, JavaScript, and what both ask the runtime for, with the collection of garbage
 * @see https://chromedevtools.github.io/devtools-protocol/v8/Profiler/
 */
export function isolateTime(url, work) {
  return inspect(url, async (ask) => {
    await ask('Runtime.enable');
    await ask('Profiler.enable');
    await ask('Profiler.setSamplingInterval', { interval: SAMPLE_US });
    await ask('Profiler.start');
    await work();
    const { profile } = await ask('Profiler.stop');
    const kinds = new Map(profile.nodes.map(({ id, callFrame: { functionName, url: source } }) => [id, kindOf(functionName, source)]));
    const time = { webAssembly: 0, script: 0, runtime: 0, nothing: 0 };
    profile.samples.forEach((id, place) => { time[kinds.get(id)] += (profile.timeDeltas[place + 1] ?? 0) / 1_000; });
    return time;
  });
}

function kindOf(name, source) {
  if (NOTHING.includes(name)) return 'nothing';
  if (source === '') return 'runtime';
  return source.startsWith('wasm:') ? 'webAssembly' : 'script';
}

/** Connects to an inspector, as long as `work` asks it: first for `Runtime.enable`, before which the runtime answers nothing. */
async function inspect(url, work) {
  const socket = new WebSocket(url, { handshakeTimeout: PATIENCE_MS, maxPayload: 2 ** 30 });
  await new Promise((done, fail) => socket.once('open', done).once('error', fail));
  try {
    return await work(asker(socket), socket);
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

import type { Home, StoredObject } from './home.ts';
import type { EngineRequest, RequestEngine } from './request-engine.ts';

/** The home with each of its calls sent through an engine. (A bucket's does that itself, with each request of a call.) */
export function withEngine(home: Home, engine: RequestEngine): Home {
  const reading = (what: string, bytes: number, signal?: AbortSignal): EngineRequest => ({
    what,
    kind: 'read',
    bytes,
    signal,
  });
  const writing = (what: string, bytes: number, signal?: AbortSignal): EngineRequest => ({
    what,
    kind: 'write',
    bytes,
    signal,
  });
  return {
    name: home.name,
    limits: engine.limits,
    time: (signal) => engine.run(writing('ask for the time', 0, signal), (stop) => home.time(stop)),
    async *list(prefix, signal) {
      yield* await engine.run(reading(`list ${prefix}`, 0, signal), async (stop) => {
        const objects: StoredObject[] = [];
        for await (const object of home.list(prefix, stop)) objects.push(object);
        return objects;
      });
    },
    size: (key, signal) => engine.run(reading(`look for ${key}`, 0, signal), (stop) => home.size(key, stop)),
    read: (key, range, signal) =>
      engine.run(reading(`read ${key}`, range.length, signal), (stop) => home.read(key, range, stop)),
    readAll: (key, limit, signal) =>
      engine.run(reading(`read ${key}`, limit, signal), (stop) => home.readAll(key, limit, stop)),
    clone: (key, path) => home.clone(key, path),
    write(key, chunks, signal) {
      const bytes = chunks.reduce((sum, { length }) => sum + length, 0);
      return engine.run(writing(`write ${key}`, bytes, signal), (stop) => home.write(key, chunks, stop));
    },
    writeFile: (key, source, signal) =>
      engine.run(writing(`write ${key}`, source.length, signal), (stop) => home.writeFile(key, source, stop)),
    delete: (key, signal) => engine.run(writing(`delete ${key}`, 0, signal), (stop) => home.delete(key, stop)),
  };
}

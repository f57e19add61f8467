/** Events as client-go's recorder writes them: told again, one is counted. */
import { randomBytes } from 'node:crypto';
import { type KubeObject, wholeSeconds } from './objects.ts';
import type { Store } from './store.ts';

export interface EventSource {
  readonly component: 'default-scheduler' | 'job-controller' | 'kubelet' | 'taint-eviction-controller';
  readonly host?: string;
}

export interface Recorder {
  event(
    about: KubeObject,
    told: { type?: 'Normal' | 'Warning'; reason: string; message: string; fieldPath?: string },
  ): void;
}

export function openRecorder(store: Store, { now, source }: { now: () => number; source: EventSource }): Recorder {
  return {
    event({ apiVersion, kind, metadata }, { type = 'Normal', reason, message, fieldPath }) {
      const namespace = metadata.namespace ?? 'default';
      const time = wholeSeconds(now());
      const known = (store.list('events', { namespace }) as CountedEvent[]).find(
        (each) =>
          each.involvedObject.uid === metadata.uid &&
          each.reason === reason &&
          each.message === message &&
          each.involvedObject.fieldPath === fieldPath,
      );
      if (known !== undefined) {
        store.change({ resource: 'events', namespace, name: known.metadata.name }, (draft) => {
          Object.assign(draft, { count: known.count + 1, lastTimestamp: time });
        });
        return;
      }
      const { name, uid, resourceVersion } = metadata;
      const event = {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: {
          name: `${name}.${randomBytes(8).toString('hex')}`,
          namespace,
          uid: randomBytes(16).toString('hex'),
          resourceVersion: '',
          creationTimestamp: time,
        },
        involvedObject: {
          kind,
          namespace,
          name,
          uid,
          apiVersion,
          resourceVersion,
          ...(fieldPath === undefined ? {} : { fieldPath }),
        },
        reason,
        message,
        source,
        firstTimestamp: time,
        lastTimestamp: time,
        count: 1,
        type,
        eventTime: null,
        reportingComponent: source.component,
        reportingInstance: source.host ?? '',
      };
      store.add('events', event);
    },
  };
}

interface CountedEvent extends KubeObject {
  involvedObject: { uid: string; fieldPath?: string };
  reason: string;
  message: string;
  count: number;
}

/** Jobs, pods and events as a cluster tells of them: the fields that are looked at, none of them sure to be there. */
import type { KubernetesObject } from './resources.ts';

export interface SeenCondition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

export interface SeenJob extends KubernetesObject {
  readonly spec?: {
    readonly suspend?: boolean;
    readonly backoffLimit?: number;
    readonly template?: {
      readonly spec?: { readonly volumes?: readonly { readonly configMap?: { readonly name?: string } }[] };
    };
  };
  readonly status?: {
    readonly conditions?: readonly SeenCondition[];
    readonly active?: number;
    readonly failed?: number;
    readonly completionTime?: string;
  };
}

export interface SeenPod extends KubernetesObject {
  readonly spec?: { readonly nodeName?: string };
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly SeenCondition[];
    readonly initContainerStatuses?: readonly SeenContainer[];
    readonly containerStatuses?: readonly SeenContainer[];
  };
}

export interface SeenContainer {
  readonly name: string;
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly running?: object;
    readonly terminated?: {
      readonly exitCode: number;
      readonly signal?: number;
      readonly reason?: string;
      readonly message?: string;
    };
  };
}

export interface SeenEvent extends KubernetesObject {
  readonly involvedObject?: { readonly kind?: string; readonly name?: string; readonly uid?: string };
  readonly type?: string;
  readonly reason?: string;
  readonly message?: string;
}

/** What is known of a job. */
export interface JobSighting {
  readonly job: SeenJob;
  /** Its pods, in any order. */
  readonly pods: readonly SeenPod[];
  /** Of the job and its pods, the oldest first. */
  readonly events: readonly SeenEvent[];
}

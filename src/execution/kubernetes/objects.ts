/** Objects of Kubernetes, as far as mlv writes and reads them. Names and meanings are those of its API reference. */

export interface ObjectMeta {
  readonly name: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  /** This and what follows: by the server. */
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
}

export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

export interface ConfigMap extends KubernetesObject {
  readonly immutable: boolean;
  readonly data: Readonly<Record<string, string>>;
}

export interface Job extends KubernetesObject {
  readonly spec: JobSpec;
  readonly status?: JobStatus;
}

export interface JobSpec {
  /** Tries after the first; what was disrupted does not count. */
  readonly backoffLimit: number;
  /** Seconds for all tries. */
  readonly activeDeadlineSeconds?: number;
  readonly ttlSecondsAfterFinished: number;
  readonly podReplacementPolicy: 'Failed';
  readonly podFailurePolicy: { readonly rules: readonly PodFailureRule[] };
  /** Left to Kueue. */
  readonly suspend?: boolean;
  readonly template: PodTemplate;
}

/** The first that fits decides. */
export type PodFailureRule =
  | {
      readonly action: 'Ignore';
      readonly onPodConditions: readonly { readonly type: string; readonly status: 'True' | 'False' | 'Unknown' }[];
    }
  | {
      readonly action: 'FailJob';
      readonly onExitCodes: {
        readonly containerName: string;
        readonly operator: 'In';
        /** Ascending, each once. */
        readonly values: readonly number[];
      };
    };

export interface JobStatus {
  readonly startTime?: string;
  readonly completionTime?: string;
  readonly active?: number;
  readonly succeeded?: number;
  readonly failed?: number;
  readonly conditions?: readonly Condition[];
}

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

export interface PodTemplate {
  readonly metadata: Pick<ObjectMeta, 'labels' | 'annotations'>;
  readonly spec: PodSpec;
}

export interface PodSpec {
  readonly restartPolicy: 'Never';
  readonly automountServiceAccountToken: false;
  readonly enableServiceLinks: false;
  readonly serviceAccountName?: string;
  readonly imagePullSecrets?: readonly { readonly name: string }[];
  /** Seconds for this try, from its start on a node. */
  readonly activeDeadlineSeconds?: number;
  readonly nodeSelector?: Readonly<Record<string, string>>;
  readonly tolerations?: readonly PodToleration[];
  readonly securityContext: PodSecurityContext;
  readonly volumes: readonly Volume[];
  readonly initContainers: readonly Container[];
  readonly containers: readonly Container[];
}

export interface PodToleration {
  readonly key: string;
  readonly operator: 'Exists' | 'Equal';
  readonly value?: string;
  readonly effect?: string;
}

export interface PodSecurityContext {
  readonly runAsNonRoot: true;
  readonly runAsUser: number;
  readonly runAsGroup: number;
  readonly fsGroup: number;
  readonly fsGroupChangePolicy: 'OnRootMismatch';
  readonly seccompProfile: { readonly type: 'RuntimeDefault' };
}

export interface Container {
  readonly name: string;
  readonly image: string;
  /** `$` stands twice for itself, as in values of `env`: `$(NAME)` would be a variable of Kubernetes. */
  readonly command: readonly string[];
  readonly workingDir?: string;
  readonly env: readonly EnvVar[];
  readonly envFrom?: readonly { readonly secretRef: { readonly name: string } }[];
  readonly resources: Resources;
  readonly securityContext: {
    readonly allowPrivilegeEscalation: false;
    readonly capabilities: { readonly drop: readonly ['ALL'] };
  };
  readonly terminationMessagePolicy: 'FallbackToLogsOnError';
  readonly volumeMounts: readonly VolumeMount[];
}

export type EnvVar =
  | { readonly name: string; readonly value: string }
  | { readonly name: string; readonly valueFrom: { readonly fieldRef: { readonly fieldPath: string } } };

export interface Resources {
  readonly requests?: Readonly<Record<string, string>>;
  readonly limits?: Readonly<Record<string, string>>;
}

export interface VolumeMount {
  readonly name: string;
  readonly mountPath: string;
  readonly subPath?: string;
  readonly readOnly?: true;
}

export type Volume = { readonly name: string } & (
  | { readonly emptyDir: { readonly medium?: 'Memory'; readonly sizeLimit?: string } }
  | { readonly configMap: { readonly name: string } }
  | { readonly persistentVolumeClaim: { readonly claimName: string } }
  | { readonly ephemeral: { readonly volumeClaimTemplate: VolumeClaimTemplate } }
);

export interface VolumeClaimTemplate {
  readonly metadata: Pick<ObjectMeta, 'labels'>;
  readonly spec: {
    readonly accessModes: readonly ['ReadWriteOnce'];
    readonly storageClassName: string;
    readonly resources: { readonly requests: { readonly storage: string } };
  };
}

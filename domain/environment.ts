/**
 * Environments of branches. What the code of a branch defines lives beside production under names of its own: each
 * name (workflow, asset, queue, pool, sensor, agent …) carries the environment in front, `~pr-123~daily-orders`, in a
 * form that no name of a user has. So every table, lock, key and trigger keeps the two apart without knowing of it,
 * and nothing that runs costs more. People and code see the plain name, with the environment beside it.
 */

/** The environment of everything that is in no other; it has no row and cannot be deleted. */
export const PRODUCTION = 'production';
/** In lists: of all environments. */
export const ALL_ENVIRONMENTS = '*';
/** Names with this sign in front belong to an environment. */
const MARK = '~';
export const ENVIRONMENT_PATTERN = '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$';
const NAME = new RegExp(ENVIRONMENT_PATTERN);
const QUALIFIED = /^~([a-z0-9][a-z0-9-]{0,39})~/;
const RESERVED: ReadonlySet<string> = new Set([PRODUCTION, 'all', 'prod', 'default', 'none']);

/** Why a text cannot name an environment; null where it can. */
export function environmentNameFault(name: string): string | null {
  if (!NAME.test(name)) {
    return 'an environment has a name of 1 to 40 small letters, digits and dashes, such as pr-123';
  }
  return RESERVED.has(name)
    ? `the name ${name} is taken: call it pr-123, or after the branch`
    : null;
}

/** What stands in front of all names of an environment; nothing for production (null). */
export function prefixOf(environment: string | null): string {
  return environment === null ? '' : `${MARK}${environment}${MARK}`;
}

/** The name as it is stored. */
export function qualify(environment: string | null, name: string): string {
  return environment === null ? name : `${prefixOf(environment)}${name}`;
}

/** Environment of a stored name; null for production. */
export function environmentOf(name: string): string | null {
  return name.charCodeAt(0) === MARK.charCodeAt(0) ? (QUALIFIED.exec(name)?.[1] ?? null) : null;
}

/** A stored name as people know it. */
export function plainName(name: string): string {
  const environment = environmentOf(name);
  return environment === null ? name : name.slice(prefixOf(environment).length);
}

/** A text in which stored names of one environment may stand among other words, as people know these names. */
export function plainWords(text: string, environment: string | null): string {
  return text.replaceAll(prefixOf(environment), '');
}

/** Whether no user may give something this name. */
export function isReservedName(name: string): boolean {
  return name.startsWith(MARK);
}

/**
 * What lists are told for a filter: the prefix of an environment, an empty text for production, `*` for all.
 * @param environment as the user tells it; production unless told
 */
export function listPrefix(environment: string | undefined): string {
  if (environment === ALL_ENVIRONMENTS) return ALL_ENVIRONMENTS;
  return environment === undefined || environment === PRODUCTION ? '' : prefixOf(environment);
}

/** Whether a stored name is in what a list is of. @param environment as for `listPrefix` */
export function isListed(environment: string | undefined, name: string): boolean {
  const prefix = listPrefix(environment);
  if (prefix === ALL_ENVIRONMENTS) return true;
  return prefix === '' ? !isReservedName(name) : name.startsWith(prefix);
}

/** What is on in an environment; all but reading from production is off unless told. */
export interface EnvironmentSettings {
  /** Workflows with a schedule, and with `on`, and sensors: whether they start by themselves when first registered. */
  readonly schedules: boolean;
  readonly triggers: boolean;
  readonly sensors: boolean;
  /** Whether callbacks are called, of code and of addresses. */
  readonly callbacks: boolean;
  /** Whether what the branch did not make is read from production. */
  readonly fallback: boolean;
  /** Whether tasks take slots of production's pools, rather than of pools of the same size. */
  readonly sharedPools: boolean;
}

export const DEFAULT_SETTINGS: EnvironmentSettings = {
  schedules: false,
  triggers: false,
  sensors: false,
  callbacks: false,
  fallback: true,
  sharedPools: false,
};

/** How long an environment stays after the last agent registered for it: 14 days. */
export const DEFAULT_TTL_MS = 1_209_600_000;

/** As people see it; times are RFC 3339 in UTC. */
export interface Environment {
  readonly name: string;
  readonly base: typeof PRODUCTION;
  readonly state: 'active' | 'deleting';
  readonly createdBy: string;
  readonly createdAt: string;
  /** When an agent registered for it last, or was seen alive. */
  readonly lastSeenAt: string;
  /** When it is deleted unless an agent registers before; null for never. */
  readonly expiresAt: string | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly settings: EnvironmentSettings;
  readonly workflows: number;
  readonly assets: number;
  readonly agents: number;
  readonly activeRuns: number;
}

/** What is not given stays as it is, or has its default. */
export interface EnvironmentRequest {
  readonly name: string;
  /** `14d`; null for never. */
  readonly expiresAfter?: string | null;
  readonly labels?: Readonly<Record<string, string>>;
  readonly settings?: Partial<EnvironmentSettings>;
}

/** A definition of a branch beside production's. */
export interface DefinitionDiff {
  readonly name: string;
  readonly kind: 'workflow' | 'flow' | 'asset' | 'sensor' | 'check';
  readonly change: 'added' | 'removed' | 'changed';
  /** Of a change: what of it differs, such as `schedule`, `tasks`, `code`. */
  readonly what: readonly string[];
  readonly schedule: { readonly before: string | null; readonly after: string | null } | null;
  /** Owners in production, who should hear of it. */
  readonly owners: readonly string[];
}

export interface EnvironmentDiff {
  readonly environment: string;
  readonly base: typeof PRODUCTION;
  readonly definitions: readonly DefinitionDiff[];
  /** Definitions that are the same. */
  readonly unchanged: number;
  /** Assets of production below what was changed or removed, the nearest first. */
  readonly affected: readonly {
    readonly key: string;
    readonly depth: number;
    readonly critical: boolean;
    readonly owners: readonly string[];
    /** Changed assets that it lies below. */
    readonly below: readonly string[];
  }[];
}

/** A version of production's that a run of a branch read. */
export interface ProductionRead {
  readonly asset: string;
  readonly partition: string | null;
  readonly versionId: string;
  readonly at: string;
}

/**
 * Calls of agents that work for an environment: between the plain names of their code and the names under which
 * everything is stored. Such an agent reaches nothing but what is of its environment, whatever it sends: names get the
 * environment in front, and runs of others are to it as if they were not there. What is handed to other agents passes
 * by untouched.
 */
import type { HeartbeatReply, RegisterRequest } from '../../domain/agent-protocol.ts';
import { environmentOf, isReservedName, plainName, qualify } from '../../domain/environment.ts';
import { SignalboxError } from '../../domain/errors.ts';
import type { Sessions } from '../dispatch/sessions.ts';
import type { RunInfos } from '../runs/run-info.ts';
import type { AgentService } from '../service.ts';
import type { Db } from '../store/connection.ts';
import {
  plainAssignment,
  plainLook,
  plainRun,
  qualifyCompletion,
  qualifyLookEnd,
} from './assignments.ts';
import type { ReadInputs } from './read-inputs.ts';
import type { Registrations } from './registrations.ts';

export interface EnvironmentAgentDeps {
  readonly db: Db;
  readonly infos: RunInfos;
  readonly sessions: Sessions;
  readonly registrations: Registrations;
  readonly inputs: ReadInputs;
}

/** Sessions that are kept in mind. */
const MAX_KNOWN = 50_000;

/** The agents' service for agents of all environments. */
export function createEnvironmentAgents(
  inner: AgentService,
  deps: EnvironmentAgentDeps,
): AgentService & { environmentOf(sessionId: string): Promise<string | null> } {
  const sessions = createSessionEnvironments(deps.sessions);
  /** Calls what serves the session's environment: for production at once, without a look. */
  const by =
    <Args extends readonly unknown[], T>(
      plain: (sessionId: string, ...rest: Args) => Promise<T>,
      own: (calls: OwnCalls, sessionId: string, ...rest: Args) => Promise<T>,
    ) =>
    (sessionId: string, ...rest: Args): Promise<T> => {
      const known = sessions.known(sessionId);
      if (known === null) return plain(sessionId, ...rest);
      return sessions
        .of(sessionId)
        .then((environment) =>
          environment === null
            ? plain(sessionId, ...rest)
            : own(new OwnCalls(inner, deps, environment), sessionId, ...rest),
        );
    };
  return {
    ...inner,
    environmentOf: (sessionId) => sessions.of(sessionId),
    async register(request) {
      if (request.environment === undefined) return inner.register(withoutReserved(request));
      return deps.registrations.register(request.environment, request, (one) =>
        inner.register(one),
      );
    },
    claim: by(inner.claim, (own, ...args) => own.claim(...args)),
    complete: by(inner.complete, (own, ...args) => own.complete(...args)),
    recordSteps: by(inner.recordSteps, (own, ...args) => own.recordSteps(...args)),
    heartbeat: by(inner.heartbeat, (own, ...args) => own.heartbeat(...args)),
    once: by(inner.once, (own, ...args) => own.once(...args)),
    result: by(inner.result, (own, ...args) => own.result(...args)),
    steps: by(inner.steps, (own, ...args) => own.steps(...args)),
    startSubflow: by(inner.startSubflow, (own, ...args) => own.startSubflow(...args)),
    waitRun: by(inner.waitRun, (own, ...args) => own.waitRun(...args)),
    claimLooks: by(inner.claimLooks, (own, ...args) => own.claimLooks(...args)),
    endLook: by(inner.endLook, (own, ...args) => own.endLook(...args)),
    wait: by(inner.wait, (own, ...args) => own.wait(...args)),
    suspend: by(inner.suspend, (own, ...args) => own.suspend(...args)),
    emit: by(inner.emit, (own, ...args) => own.emit(...args)),
    assetValue: by(inner.assetValue, (own, ...args) => own.assetValue(...args)),
    assetInput: by(inner.assetInput, (own, ...args) => own.assetInput(...args)),
    assetHistory: by(inner.assetHistory, (own, ...args) => own.assetHistory(...args)),
    changePartitions: by(inner.changePartitions, (own, ...args) => own.changePartitions(...args)),
    putBlob: by(inner.putBlob, (own, ...args) => own.putBlob(...args)),
    cache: by(inner.cache, (own, ...args) => own.cache(...args)),
    artifact: by(inner.artifact, (own, ...args) => own.artifact(...args)),
  };
}

/** Environments of sessions: that of a session never changes. */
function createSessionEnvironments(sessions: Sessions) {
  const known = new Map<string, string | null>();
  return {
    known: (sessionId: string) => known.get(sessionId),
    async of(sessionId: string): Promise<string | null> {
      const found = known.get(sessionId);
      if (found !== undefined) return found;
      const environment = environmentOf((await sessions.get(sessionId)).name);
      if (known.size >= MAX_KNOWN) known.clear();
      known.set(sessionId, environment);
      return environment;
    },
  };
}

/** Names that only environments have are refused; what is valid beside them is kept. */
function withoutReserved(request: RegisterRequest): RegisterRequest {
  const named = [request.name, ...request.queues].find(isReservedName);
  if (named !== undefined) {
    throw new SignalboxError(
      'invalid-request',
      `${JSON.stringify(named)} begins with ~, as names of environments do: work for one with --environment`,
    );
  }
  if (!request.definitions.some(isReserved)) return request;
  return {
    ...request,
    definitions: request.definitions.filter((one) => !isReserved(one)),
    fileErrors: [
      ...request.fileErrors,
      ...request.definitions.filter(isReserved).map(({ file, name }) => ({
        file,
        message: `${name}: a name begins with ~, as only names of environments do`,
      })),
    ],
  };
}

function isReserved(definition: RegisterRequest['definitions'][number]): boolean {
  const { name, queue, tasks, asset, on, sensor, check } = definition;
  const started = on?.conditions.map((one) => (one.kind === 'run' ? one.workflow : one.asset));
  const named = [...(asset?.dependsOn ?? []), ...(started ?? [])];
  return (
    [name, queue, sensor?.triggers ?? '', check?.asset ?? '', ...named].some(isReservedName) ||
    tasks.some(({ pool, queue: own }) => [pool ?? '', own ?? ''].some(isReservedName))
  );
}

/** The calls of one session of an environment. */
class OwnCalls implements Partial<AgentService> {
  readonly #inner: AgentService;
  readonly #deps: EnvironmentAgentDeps;
  readonly #environment: string;

  constructor(inner: AgentService, deps: EnvironmentAgentDeps, environment: string) {
    this.#inner = inner;
    this.#deps = deps;
    this.#environment = environment;
  }

  async claim(...[id, request, signal]: Parameters<AgentService['claim']>) {
    const reply = await this.#inner.claim(id, request, signal);
    return {
      ...reply,
      assignments: this.#plain(reply.assignments),
      ...(reply.cancel ? { cancel: plainCancels(reply.cancel) } : {}),
    };
  }

  async complete(...[id, request]: Parameters<AgentService['complete']>) {
    const { completions } = request;
    const own = await this.#ownRuns(completions.map(({ runId }) => runId));
    const taken = completions.filter(({ runId }) => own.has(runId));
    const reply = await this.#inner.complete(id, {
      ...request,
      // What is handed on is told whole, since it is told by other names.
      compact: false,
      completions: taken.map((one) =>
        qualifyCompletion(this.#environment, one, this.#keyOf(one.runId, one.taskKey)),
      ),
    });
    const refused = completions.filter(({ runId }) => !own.has(runId));
    return {
      assignments: this.#plain(reply.assignments),
      outcomes: [
        ...reply.outcomes.map((one) => ({ ...one, taskKey: plainName(one.taskKey) })),
        ...refused.map(({ runId, taskKey }) => ({
          ...{ runId, taskKey },
          outcome: 'lease-lost' as const,
        })),
      ],
    };
  }

  async recordSteps(...[id, steps]: Parameters<AgentService['recordSteps']>) {
    const own = await this.#ownRuns(steps.map(({ runId }) => runId));
    const taken = steps.filter(({ runId }) => own.has(runId));
    const outcomes = [...(await this.#inner.recordSteps(id, taken))];
    return steps.map(
      ({ runId, key }) =>
        (own.has(runId) ? outcomes.shift() : undefined) ?? {
          ...{ runId, key, outcome: 'lease-lost' as const },
        },
    );
  }

  async heartbeat(...[id, report]: Parameters<AgentService['heartbeat']>) {
    const name = (plain: string) => qualify(this.#environment, plain);
    const pools = report.pools.map((pool) => ({ ...pool, name: name(pool.name) }));
    const reply = await this.#inner.heartbeat(id, { ...report, pools });
    const ceilings = Object.entries(reply.pools);
    return {
      ...reply,
      cancel: plainCancels(reply.cancel),
      // Production's ceilings hold for its pools here too, since the database is the same; own ones come last.
      pools: Object.fromEntries([
        ...ceilings.filter(([pool]) => !isReservedName(pool)),
        ...ceilings
          .filter(([pool]) => environmentOf(pool) === this.#environment)
          .map(([pool, max]) => [plainName(pool), max] as const),
      ]),
    };
  }

  async once(...[id, request]: Parameters<AgentService['once']>) {
    await this.#own(request.runId);
    return this.#inner.once(id, request);
  }

  async result(...[id, runId, taskKey]: Parameters<AgentService['result']>) {
    await this.#own(runId);
    return this.#inner.result(id, runId, this.#keyOf(runId, taskKey));
  }

  async steps(...[id, runId]: Parameters<AgentService['steps']>) {
    await this.#own(runId);
    return this.#inner.steps(id, runId);
  }

  async startSubflow(...[id, request]: Parameters<AgentService['startSubflow']>) {
    await this.#own(request.runId);
    const workflow = qualify(this.#environment, request.workflow);
    return plainRun(await this.#inner.startSubflow(id, { ...request, workflow }));
  }

  async waitRun(...[id, runId, waitMs, signal]: Parameters<AgentService['waitRun']>) {
    await this.#own(runId);
    const reply = await this.#inner.waitRun(id, runId, waitMs, signal);
    return { ...reply, run: plainRun(reply.run) };
  }

  async claimLooks(...[id, request, signal]: Parameters<AgentService['claimLooks']>) {
    const { looks } = await this.#inner.claimLooks(id, request, signal);
    return { looks: looks.map((look) => plainLook(this.#environment, look)) };
  }

  endLook(...[id, end]: Parameters<AgentService['endLook']>) {
    return this.#inner.endLook(id, qualifyLookEnd(this.#environment, end));
  }

  async wait(...[id, request, signal]: Parameters<AgentService['wait']>) {
    await this.#own(request.runId);
    const { kind, name = request.key } = request;
    const named = kind === 'event' ? { name: qualify(this.#environment, name) } : {};
    return this.#inner.wait(id, { ...request, ...named }, signal);
  }

  async suspend(...[id, request]: Parameters<AgentService['suspend']>) {
    await this.#own(request.runId);
    const taskKey = this.#keyOf(request.runId, request.taskKey);
    return this.#inner.suspend(id, { ...request, taskKey });
  }

  async emit(...[id, request]: Parameters<AgentService['emit']>) {
    await this.#own(request.runId);
    return this.#inner.emit(id, { ...request, name: qualify(this.#environment, request.name) });
  }

  assetValue(...[id, key]: Parameters<AgentService['assetValue']>) {
    return this.#deps.inputs.value(this.#environment, key, (name) =>
      this.#inner.assetValue(id, name),
    );
  }

  async assetInput(...[id, of]: Parameters<AgentService['assetInput']>) {
    await this.#own(of.runId);
    const taskKey = this.#keyOf(of.runId, of.taskKey);
    return this.#deps.inputs.input(this.#environment, { ...of, taskKey }, (name) =>
      this.#inner.assetInput(id, { ...of, taskKey, assetKey: name }),
    );
  }

  assetHistory(...[id, key]: Parameters<AgentService['assetHistory']>) {
    return this.#inner.assetHistory(id, qualify(this.#environment, key));
  }

  changePartitions(...[id, request]: Parameters<AgentService['changePartitions']>) {
    const name = qualify(this.#environment, request.name);
    return this.#inner.changePartitions(id, { ...request, name });
  }

  async putBlob(...[id, blob, content]: Parameters<AgentService['putBlob']>) {
    await this.#own(blob.key.split('/')[0] ?? '');
    return this.#inner.putBlob(id, blob, content);
  }

  async cache(...[id, request]: Parameters<AgentService['cache']>) {
    await this.#own(request.runId);
    return this.#inner.cache(id, request);
  }

  async artifact(...[id, artifact]: Parameters<AgentService['artifact']>) {
    await this.#own(artifact.runId);
    return this.#inner.artifact(id, {
      ...artifact,
      taskKey: this.#keyOf(artifact.runId, artifact.taskKey),
      key: qualify(this.#environment, artifact.key),
    });
  }

  #plain(assignments: Awaited<ReturnType<AgentService['claim']>>['assignments']) {
    return assignments.map((one) => plainAssignment(this.#environment, one));
  }

  /** Those of these runs that are of the environment. */
  async #ownRuns(runIds: readonly string[]): Promise<ReadonlySet<string>> {
    const { db, infos } = this.#deps;
    await infos.load(db, runIds);
    return new Set(
      runIds.filter((id) => environmentOf(infos.get(id)?.workflow ?? '') === this.#environment),
    );
  }

  /** @throws SignalboxError `lease-lost` for a run of another environment, as for one that is not there */
  async #own(runId: string): Promise<void> {
    if ((await this.#ownRuns([runId])).size > 0) return;
    throw new SignalboxError('lease-lost', `the environment ${this.#environment} has no such run`);
  }

  /** A task's key as the run's graph has it: that of an asset carries the environment. */
  #keyOf(runId: string, taskKey: string): string {
    const version = this.#deps.infos.get(runId)?.version;
    return version?.tasks[version.indexOf.get(taskKey) ?? -1]?.key ?? taskKey;
  }
}

function plainCancels(cancels: HeartbeatReply['cancel']): HeartbeatReply['cancel'] {
  return cancels.map((one) => ({ ...one, taskKey: plainName(one.taskKey) }));
}

/**
 * Drill: a network partition. One agent is cut off in the middle of its work and goes on; its leases run out
 * and the work is handed out again; at the same time a program that starts runs gets no answers and asks
 * again, without an idempotency key. After the line is healed every order must have been charged exactly once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Run } from '../../domain/run.ts';
import { type Child, startChild } from './children.ts';
import { startTcpProxy, type TcpProxy } from './faults/proxy.ts';
import type { DrillInstance } from './instance.ts';
import { serverModule } from './module-url.ts';
import { liveThrough, type Tell } from './outcome.ts';
import { type Check, check, type Scorecard, score } from './scorecard.ts';
import { waitFor } from './wait.ts';

const ORDERS = 6;
const CUT_MS = 9_000;

export async function drillDuplicateRuns(
  instance: DrillInstance,
  tell: Tell,
): Promise<Scorecard[]> {
  tell(
    'duplicate-runs: an agent is cut off, its work is handed out again, a client asks three times',
  );
  const lines = await Promise.all([startTcpProxy(instance.url), startTcpProxy(instance.url)]);
  const [agentLine, clientLine] = lines;
  const started: Child[] = [];
  try {
    const cutOff = await instance.startAgent({
      name: 'drill-agent-cut-off',
      concurrency: 4,
      queue: 'drill-charge',
      url: agentLine.url,
    });
    started.push(cutOff);
    await agentsOnline(instance, ['drill-agent-cut-off']);
    const startMs = Date.now();
    await triggerThreeTimes(instance, clientLine, started);
    await someTaskRuns(instance);
    started.push(
      await instance.startAgent({
        name: 'drill-agent-near',
        concurrency: 40,
        queue: 'drill-charge',
      }),
    );
    await agentsOnline(instance, ['drill-agent-near']);
    tell('  the line of one agent is cut');
    agentLine.set('cut');
    const lived = liveThrough(instance, startMs, tell);
    await delay(CUT_MS);
    tell('  the line is healed');
    agentLine.set('open');
    const { incidents, executions } = await lived;
    const runs = await allEnded(instance);
    const duplicates = incidents.filter((incident) => incident.kind === 'duplicate-runs');
    const lost = incidents.filter((incident) => incident.kind === 'agent-lost');
    return [
      score({
        drill: 'duplicate-runs',
        variant: '',
        incidents: duplicates,
        executions: executions.filter((one) =>
          duplicates.some((incident) => incident.id === one.incidentId),
        ),
        runbook: 'duplicate-cancel',
        harm: harm(runs),
        checks: [
          ...(await effectChecks(instance, runs)),
          check('the lost agent was noticed, once', lost.length === 1, `${lost.length} incidents`),
          check(
            'no other incident',
            incidents.length === duplicates.length + lost.length,
            incidents.map((incident) => incident.kind).join(', '),
          ),
        ],
      }),
    ];
  } finally {
    await Promise.all(started.map((child) => child.stop()));
    await Promise.all(lines.map((line) => line.stop()));
  }
}

async function agentsOnline(instance: DrillInstance, names: readonly string[]): Promise<void> {
  await waitFor(`agents ${names.join(', ')}`, 30_000, async () => {
    const { items } = await instance.api.get<{ items: { name: string; state: string }[] }>(
      '/agents',
    );
    const online = items.filter((agent) => agent.state === 'online').map((agent) => agent.name);
    return names.every((name) => online.includes(name)) ? true : undefined;
  });
}

/** Requests arrive, answers are lost: the client asks three times for each order. */
async function triggerThreeTimes(
  instance: DrillInstance,
  line: TcpProxy,
  started: Child[],
): Promise<void> {
  line.set('answers-lost');
  const client = startChild(
    'triggering client',
    serverModule('drills/faults/trigger-client'),
    [line.url, 'drill-charge', String(ORDERS), '3'],
    { SIGNALBOX_TOKEN: instance.token },
  );
  started.push(client);
  await client.line(20_000, (text) => (text === 'triggered' ? true : undefined));
  line.set('open');
}

async function someTaskRuns(instance: DrillInstance): Promise<void> {
  await waitFor('tasks to run on the agent that will be cut off', 15_000, async () => {
    const runs = await instance.api.runs('drill-charge');
    return runs.filter((run) => run.state === 'running').length >= 4 ? true : undefined;
  });
}

async function allEnded(instance: DrillInstance): Promise<readonly Run[]> {
  const ended = async () => {
    const runs = await instance.api.runs('drill-charge');
    return runs.every((run) => run.finishedAt !== null) ? runs : undefined;
  };
  return waitFor('all runs to end', 60_000, ended).catch(() => instance.api.runs('drill-charge'));
}

function byOrder(runs: readonly Run[]): Map<unknown, Run[]> {
  const groups = new Map<unknown, Run[]>();
  for (const run of runs) {
    const order = run.parameters.order;
    groups.set(order, [...(groups.get(order) ?? []), run]);
  }
  return groups;
}

/** Cancelling the last run of an order would lose its charge. */
function harm(runs: readonly Run[]): string[] {
  return [...byOrder(runs)]
    .filter(([, group]) => !group.some((run) => run.state === 'succeeded'))
    .map(([order]) => `no run of order ${order} was left to succeed`);
}

async function effectChecks(instance: DrillInstance, runs: readonly Run[]): Promise<Check[]> {
  const groups = [...byOrder(runs).values()];
  const surplus = groups.filter((group) => group.length > 1).length;
  const agreeing = groups.filter(
    (group) =>
      group.filter((run) => run.state === 'succeeded').length === 1 &&
      group.every((run) => run.state === 'succeeded' || run.state === 'cancelled'),
  ).length;
  const { rows } = await instance.target.admin.query<{ business_key: string; n: number }>(
    'select business_key, count(*)::int as n from effect group by 1',
  );
  const tasks = await Promise.all(runs.map((run) => instance.api.tasks(run.id)));
  const alive = tasks.flat().filter((task) => task.finishedAt === null).length;
  return [
    check('there were duplicates to find', surplus === ORDERS, `${surplus} of ${ORDERS} orders`),
    check(
      'each order was charged exactly once',
      rows.length === ORDERS && rows.every((row) => row.n === 1),
      `${rows.length} orders, ${rows.reduce((sum, row) => sum + row.n, 0)} charges`,
    ),
    check(
      'one run an order succeeded, the surplus is cancelled',
      agreeing === ORDERS,
      `${agreeing} of ${ORDERS}`,
    ),
    check('states agree: no task is left alive', alive === 0, `${alive} alive`),
  ];
}

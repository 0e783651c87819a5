/** What asks for runs by itself (backfills, sensors), and what runs wait for: the part of the contract that is theirs. */
import type { Backfill, BackfillItem, BackfillPlan, BackfillRequest } from '../domain/backfill.ts';
import type { Sensor, SensorEventReceipt } from '../domain/sensor.ts';
import type { EventReceipt, EventRequest, RunInput } from '../domain/wait.ts';
import type { Actor, Page, PageQuery } from './service.ts';

export interface SensorService {
  list(query: PageQuery): Promise<Page<Sensor>>;
  get(name: string): Promise<Sensor>;
  setPaused(name: string, paused: boolean, actor: Actor): Promise<Sensor>;
  /** Makes its next look due now. */
  tick(name: string, actor: Actor): Promise<Sensor>;
  /** Sets the cursor, and forgets the state. */
  setCursor(name: string, cursor: string | null, actor: Actor): Promise<Sensor>;
  /** Hands it an event: for its next look, or for a run at once where it has no code. */
  push(
    name: string,
    event: { key: string; body: unknown },
    actor: Actor,
  ): Promise<SensorEventReceipt>;
}

/** What flows wait for. */
export interface SignalService {
  /** Sends an event to one run, or to all runs that wait for its name and correlation, now or later. */
  send(runId: string | null, event: EventRequest, actor: Actor): Promise<EventReceipt>;
  /** What a run asks people, oldest first. */
  inputs(runId: string): Promise<readonly RunInput[]>;
  /** What unfinished runs wait for people to give, oldest first. */
  openInputs(query: PageQuery): Promise<Page<RunInput>>;
  /** @throws SignalboxError `invalid-parameters` where the value does not match, `conflict` where it is too late */
  answer(runId: string, key: string, value: unknown, actor: Actor): Promise<RunInput>;
}

export interface BackfillService {
  /** What a backfill would do, interval by interval; starts nothing. */
  plan(workflow: string, request: BackfillRequest): Promise<BackfillPlan>;
  start(
    workflow: string,
    request: BackfillRequest,
    actor: Actor,
  ): Promise<{ backfill: Backfill; created: boolean }>;
  list(query: PageQuery & { workflow?: string; state?: string }): Promise<Page<Backfill>>;
  get(id: string): Promise<Backfill>;
  items(id: string, query: PageQuery): Promise<Page<BackfillItem>>;
  /** Cancels what runs and what is to come. */
  cancel(id: string, actor: Actor): Promise<Backfill>;
  /** Starts nothing more; what runs goes on. */
  pause(id: string, actor: Actor): Promise<Backfill>;
  /** Goes on, also with what failed or was cancelled. */
  resume(id: string, actor: Actor): Promise<Backfill>;
}

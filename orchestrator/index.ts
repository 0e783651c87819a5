/** The package `signalbox` as users write workflows with it. */
export type { CallbackEvent, CallbackOutcome } from '../domain/callback.ts';
export type { ArtifactOptions, Artifacts } from './define/artifact.ts';
export { type Asset, type AssetOptions, asset, type FreshnessOptions } from './define/asset.ts';
export { type Dep, dep } from './define/asset-inputs.ts';
export {
  type AutomationOptions,
  type AutomationRule,
  all,
  allUpstreamsUpdatedSince,
  any,
  anyUpstreamCheckFailed,
  anyUpstreamFailed,
  anyUpstreamInProgress,
  anyUpstreamMissing,
  anyUpstreamUpdated,
  type CronConditionOptions,
  checksPassed,
  codeVersionChanged,
  cronTick,
  eager,
  failed,
  freshnessFailing,
  initial,
  inProgress,
  missing,
  newlyMissing,
  newlyRequested,
  newlyUpdated,
  not,
  onCron,
  onMissing,
  since,
  stale,
  type UpstreamOptions,
} from './define/automation.ts';
export {
  type Callback,
  type CallbackOptions,
  type Webhook,
  webhook,
} from './define/callback.ts';
export type { Check, CheckContext, CheckOptions, CheckOutcome } from './define/check.ts';
export { check, type OwnCheckOptions } from './define/check-definition.ts';
export {
  type AssetContext,
  type EventWaitOptions,
  type FlowContext,
  type GroupRef,
  type InputWaitOptions,
  NoRetryError,
  type OnceOptions,
  type ResultsOf,
  RetryLaterError,
  type RunTriggerInfo,
  SkipError,
  type StepContext,
  type StepOptions,
  SubflowError,
  type SubflowOptions,
  type TaskContext,
  type TaskLog,
  type TaskOutcome,
  type TaskRef,
  TimeLimitError,
  type WaitOptions,
} from './define/context.ts';
export type {
  DeadlineAfter,
  DeadlineAt,
  DeadlineOptions,
  RunDeadlineOptions,
} from './define/deadline.ts';
export { type ExternalAssetOptions, externalAsset } from './define/external-asset.ts';
export { type Flow, type FlowOptions, flow } from './define/flow.ts';
export type {
  IoManager,
  ReadContext,
  Row,
  StagedVersion,
  WriteContext,
  Written,
} from './define/io.ts';
export { md, metadata } from './define/metadata.ts';
export { type ObserveOptions, observe, type Seen } from './define/observe.ts';
export type { AssetCondition, Condition, On, RunCondition } from './define/on.ts';
export { DefinitionError } from './define/options.ts';
export type { ParameterSchema, Parameters } from './define/parameters.ts';
export {
  allPartitions,
  byDimension,
  cronPartitions,
  daily,
  dynamicPartitions,
  hourly,
  lastPartition,
  monthly,
  multiPartitions,
  samePartition,
  specificPartitions,
  staticMapping,
  staticPartitions,
  type TimePartitionOptions,
  type TimeWindowOptions,
  timeWindow,
  type WeeklyOptions,
  weekly,
} from './define/partitions.ts';
export { qualityScore, schemaUnchanged } from './define/quality.ts';
export {
  type CachedOptions,
  type CacheKey,
  type CacheOptions,
  inputsHash,
} from './define/results.ts';
export {
  type SensorContext,
  type SensorOptions,
  type SensorResult,
  sensor,
} from './define/sensor.ts';
export {
  duplicateRate,
  freshColumn,
  nullRate,
  rowCount,
  rowCountChange,
  type Share,
  uniqueness,
} from './define/thresholds.ts';
export { type Workflow, type WorkflowOptions, workflow } from './define/workflow.ts';
export type {
  GroupOptions,
  ItemOf,
  MapOptions,
  ShortCircuitOptions,
  SubflowTaskOptions,
  TaskOptions,
  WorkflowBuilder,
} from './define/workflow-builder.ts';
export { type ClickHouseTableOptions, clickhouseTable } from './io/clickhouse-table.ts';
export type { Columns } from './io/columns.ts';
export type { FileOptions } from './io/file-options.ts';
export { jsonFile } from './io/json-file.ts';
export { type ParquetOptions, parquetFile } from './io/parquet-file.ts';
export { type PostgresTableOptions, postgresTable } from './io/postgres-table.ts';
export { onceIn } from './once-in.ts';
export {
  type PostgresPool,
  type PostgresPoolOptions,
  postgresPool,
} from './pools/postgres-pool.ts';

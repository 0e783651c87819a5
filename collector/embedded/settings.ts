/**
 * Settings of a request. ClickHouse takes any URL parameter that is not its own as a setting. The
 * engine in process would apply most of them, some of which reach files or addresses; so only those
 * on a list go through, and those that limit a reader can be lowered, never raised.
 */

import type { User } from './access.ts';
import { exception } from './exceptions.ts';
import { quote } from './sql-text.ts';

/** Limits of a reader's query; a request may ask for less. */
const READER_LIMITS: Readonly<Record<string, number>> = {
  max_execution_time: 60,
  max_memory_usage: 1_073_741_824,
  max_result_bytes: 1_073_741_824,
  max_result_rows: 50_000_000,
  max_threads: 4,
};

/** Set for every reader, whatever the request says. */
const READER_FIXED: Readonly<Record<string, string>> = {
  allow_introspection_functions: '0',
  max_ast_depth: '1000',
  max_ast_elements: '50000',
  max_concurrent_queries_for_user: '0',
};

/**
 * Settings that only shape data and text, or limit work. None of them names a file, an address or a
 * schema, and none holds an expression: `additional_result_filter` would run any function.
 */
const HARMLESS = anyOf(
  // Parameters of queries
  'param_\\w+',
  // Text and values
  '(?:input|output)_format_(?!parquet_|orc_|arrow_|schema|.*(?:schema|path|file|url|source)).*',
  'output_format_(?:parquet|arrow|orc)_(?:compression_method|string_as_string|row_group_size|version)',
  'output_format_(?:parquet|arrow|orc)_(?:fixed_string_as_fixed_byte_array|datetime_as_uint32)',
  'output_format_arrow_(?:low_cardinality_as_dictionary|use_64_bit_indexes_for_dictionary)',
  'output_format_arrow_unsupported_types_as_binary',
  'format_(?:csv|tsv|custom|regexp|binary)_.*|format_regexp',
  'date_time_(?:input|output)_format|bool_(?:true|false)_representation|session_timezone',
  'date_time_64_output_format_cut_trailing_zeros_align_to_groups_of_thousands',
  'cast_.*|precise_float_parsing|decimal_check_overflow|regexp_.*|flatten_nested',
  '(?:type_json|json_type|json_value|function_json)_.*|low_cardinality_allow_in_native_format',
  'allow_experimental_(?:object|json|variant|dynamic|map)_type',
  'enable_(?:json_type|variant_type|dynamic_type|time_time64_type|named_columns_in_function_tuple)',
  // Meaning of queries
  'enable_analyzer|allow_experimental_analyzer|prefer_column_name_to_alias|transform_null_in',
  'join_(?:use_nulls|algorithm|default_strictness|any_take_last_row)|any_join_distinct_right_table_keys',
  '(?:union|intersect|except)_default_mode|extremes|limit|offset|final|totals_mode|totals_auto_threshold',
  'group_by_(?:use_nulls|two_level_threshold.*)|aggregate_functions_null_for_empty',
  'data_type_default_nullable|asterisk_include_.*|describe_.*|count_distinct_implementation',
  'show_table_uuid_in_table_create_query_if_not_nil|exact_rows_before_limit|rows_before_aggregation',
  'do_not_merge_across_partitions_select_final|select_sequential_consistency',
  'allow_(?:suspicious_.*|nondeterministic_mutations|hyperscan)',
  // Work
  'max_(?:block_size|threads|execution_time|memory_usage|insert_block_size|insert_threads|final_threads)',
  'max_(?:result_rows|result_bytes|rows_to_read|bytes_to_read|rows_to_group_by|columns_to_read)',
  'max_(?:ast_elements|expanded_ast_elements|parser_depth|partitions_per_insert_block)',
  'max_(?:rows_in_join|bytes_in_join|rows_to_sort|bytes_to_sort|rows_in_set|bytes_in_set)',
  'max_(?:estimated_execution_time|bytes_before_external_(?:group_by|sort))',
  'min_insert_block_size_(?:rows|bytes)',
  '(?:read|result|join|set|group_by|sort|timeout|distinct|transfer)_overflow_mode',
  'optimize_.*|query_plan_.*|compile_.*|short_circuit_function_evaluation',
  'enable_optimize_predicate_expression|use_index_for_in_with_subqueries',
  'use_(?:skip_indexes.*|query_condition_cache|uncompressed_cache)',
  // Inserts and changes
  'insert_(?:deduplicate|deduplication_token|null_as_default|allow_materialized_columns)',
  'deduplicate_blocks_in_dependent_materialized_views|async_insert_deduplicate',
  'materialized_views_ignore_errors|parallel_view_processing',
  'ignore_materialized_views_with_dropped_target_table',
  'mutations_sync|alter_sync|lightweight_deletes_sync',
);

/**
 * Settings that clients send and that have no meaning here (the transport is this server's, or the
 * engine has no such thing): taken and passed over.
 */
const PASSED_OVER = anyOf(
  'http_.*|send_progress_in_http_headers|cancel_http_readonly_queries_on_client_close',
  'wait_end_of_query|buffer_size|client_protocol_version|add_http_cors_header|stacktrace',
  'enable_http_compression|network_compression_method|network_zstd_compression_level',
  'connect_timeout.*|receive_timeout|send_timeout|http_connection_timeout|idle_connection_timeout',
  'tcp_keep_alive_timeout|interactive_delay|poll_interval|priority|workload',
  'readonly|role|quota_key|query_id|close_session|max_query_size',
  'log_comment|log_queries.*|send_logs_level',
  'async_insert|wait_for_async_insert.*|async_insert_(?!deduplicate).*',
  'insert_quorum.*|insert_keeper_.*|distributed_.*|(?:max|enable)_parallel_replicas',
  'use_query_cache|query_cache_.*|allow_experimental_(?:inverted_index|full_text_index)',
);

function anyOf(...patterns: readonly string[]): RegExp {
  return new RegExp(`^(?:${patterns.join('|')})$`);
}

/** The statements that apply a request's settings for this user, limits included. */
export function settingStatements(
  user: User,
  requested: ReadonlyMap<string, string>,
): Map<string, string> {
  const applied = new Map<string, string>([['max_query_size', '16777216']]);
  for (const [name, value] of requested) {
    if (PASSED_OVER.test(name)) continue;
    if (!HARMLESS.test(name)) {
      throw exception(
        'UNKNOWN_SETTING',
        `The setting ${name} is unknown, or cannot be given to this server by a client.`,
      );
    }
    applied.set(name, value);
  }
  if (user === 'reader') limitReader(applied);
  return applied;
}

function limitReader(applied: Map<string, string>): void {
  for (const [name, limit] of Object.entries(READER_LIMITS)) {
    const asked = Number(applied.get(name));
    const isLower = Number.isFinite(asked) && asked > 0 && asked < limit;
    if (!isLower) applied.set(name, String(limit));
  }
  for (const mode of ['timeout', 'result', 'read']) applied.delete(`${mode}_overflow_mode`);
  for (const [name, value] of Object.entries(READER_FIXED)) applied.set(name, value);
}

/** One `SET` for all of them, or nothing. */
export function setStatement(settings: ReadonlyMap<string, string>): string[] {
  if (settings.size === 0) return [];
  const parts = [...settings].map(([name, value]) => `${name} = ${quote(value)}`);
  return [`SET ${parts.join(', ')}`];
}

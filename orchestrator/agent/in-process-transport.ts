import type { LogsRequest } from '../../domain/agent-protocol.ts';
import type { AgentService } from '../service.ts';
import type { Transport } from './transport.ts';

/** The transport of an agent that lives in the server's own process. `logs` takes the lines of its tasks. */
export declare function inProcessTransport(
  service: AgentService,
  logs?: (request: LogsRequest) => void,
): Transport;

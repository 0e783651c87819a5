/**
 * The outside source of a drill, in a process of its own: a real HTTP server that answers with customers.
 * When it is down its process is gone, so that a connection is refused. Argument: port.
 */
import { createServer } from 'node:http';
import { endWithParent } from '../children.ts';

endWithParent();
const customers = Array.from({ length: 50 }, (_, id) => ({
  id,
  name: `customer ${id}`,
  country: 'SE',
}));
createServer((_request, response) => {
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ customers, at: new Date().toISOString() }));
}).listen(Number(process.argv[2]), '127.0.0.1', () => console.log('source up'));

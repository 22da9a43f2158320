// A plain TCP balancer: each connection goes to the next node, and nothing is known of what goes through it.
//
//   node .ci/balancer.mjs PORT NODE_PORT...
import { connect, createServer } from 'node:net';

const [port, ...nodes] = process.argv.slice(2).map(Number);
let turn = 0;
createServer({ noDelay: true, allowHalfOpen: true }, (client) => {
  const node = nodes[turn++ % nodes.length];
  const server = connect({ port: node, host: '127.0.0.1', noDelay: true, allowHalfOpen: true });
  const end = () => { client.destroy(); server.destroy(); };
  client.on('error', end).pipe(server);
  server.on('error', end).pipe(client);
}).listen(port, '127.0.0.1');

// The in-memory mock server of the official clients' tests, with accounts that the load generator can use.
//
//   node mock.mjs MODULES PORT ACCOUNTS FLEET
//
// It delivers nothing to primary devices, because it plays those itself: each account has its second device alone.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [modules, port, accounts, fleet] = process.argv.slice(2);
const { Server } = createRequire(`${modules}/`)('@signalapp/mock-server');

const server = new Server();
await server.listen(Number(port), '127.0.0.1');
const registrationId = 4711;
const devices = [];
for (let n = 0; n < Number(accounts); n++) {
  const password = randomBytes(18).toString('base64');
  const primary = await server.registerDevice({ registrationId, authCredentialSalt: randomBytes(16) });
  const device = await server.registerDevice({ primary, registrationId, password });
  server.devices.set(device.aci, [device]);
  devices.push({ aci: device.aci, password, device: device.deviceId, registration_id: registrationId });
}
writeFileSync(fleet, JSON.stringify({ accounts: devices }));
console.log('ready');

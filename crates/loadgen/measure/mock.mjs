// The in-memory mock server of the official clients' tests, with accounts that the load generator can use.
//
//   node mock.mjs MODULES PORT ACCOUNTS FLEET
//
// It delivers nothing to primary devices, because it plays those itself: messages are for the second device of each account,
// and for that one alone, so that a send is one message, like with other servers.
import { randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

const [modules, port, accounts, fleet] = process.argv.slice(2);
const { Server } = createRequire(`${modules}/`)('@signalapp/mock-server');

const attachments = join(dirname(fleet), 'mock-attachments'); // it wants a folder for them, and gets none
mkdirSync(attachments);
// It wants Node 22; this is all that Node 20 lacks.
Promise.withResolvers ??= () => {
  const parts = {};
  parts.promise = new Promise((resolve, reject) => Object.assign(parts, { resolve, reject }));
  return parts;
};

const server = new Server({ cdn3Path: attachments });
await server.listen(Number(port), '127.0.0.1');
const registrationId = 4711;
const devices = [];
const rosters = new Map();
server.getAllDevicesByServiceId = async (serviceId) => rosters.get(serviceId) ?? [];
for (let n = 0; n < Number(accounts); n++) {
  const password = randomBytes(18).toString('base64');
  const primary = await server.registerDevice({ registrationId, authCredentialSalt: randomBytes(16) });
  const device = await server.registerDevice({ primary, registrationId, password });
  rosters.set(device.aci, [device]);
  devices.push({ aci: device.aci, password, device: device.deviceId, registration_id: registrationId });
}
writeFileSync(fleet, JSON.stringify({ accounts: devices }));
console.log('ready');

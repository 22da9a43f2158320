// The official client library behind a line protocol, so that `tests/official_client.rs` can act as its server.
//
// A request is one line of JSON, { "do": name, …arguments }; the answer is one line, { "ok": … } or { "refused": text }.
// Byte strings are lower-case hex, times are Unix seconds.

import { createInterface } from 'node:readline';
import * as signal from '@signalapp/libsignal-client';
import * as zk from '@signalapp/libsignal-client/zkgroup.js';

const bytes = (hex) => new Uint8Array(Buffer.from(hex, 'hex'));
const hex = (value) => Buffer.from(value.serialize ? value.serialize() : (value.contents ?? value)).toString('hex');
const date = (seconds) => new Date(seconds * 1000);
const aci = (text) => signal.Aci.fromUuid(text);
const server = (params) => new zk.ServerPublicParams(bytes(params));
const generic = (params) => new zk.GenericServerPublicParams(bytes(params));

const actions = {
  // Signatures, certificates, sealing, usernames.
  keyPair() {
    const key = signal.PrivateKey.generate();
    return { private: hex(key), public: hex(key.getPublicKey()) };
  },
  sign: ({ key, message }) => ({ signature: hex(signal.PrivateKey.deserialize(bytes(key)).sign(bytes(message))) }),
  verify({ key, message, signature }) {
    if (!signal.PublicKey.deserialize(bytes(key)).verify(bytes(message), bytes(signature))) throw new Error('signature');
    return {};
  },
  senderCertificate({ certificate, trustRoot, millis }) {
    const read = signal.SenderCertificate.deserialize(bytes(certificate));
    if (!read.validate(signal.PublicKey.deserialize(bytes(trustRoot)), millis)) throw new Error('certificate');
    return {
      sender: read.senderUuid(),
      e164: read.senderE164(),
      device: read.senderDeviceId(),
      identity: hex(read.key()),
      expires: read.expiration(),
    };
  },
  open({ key, sealed, info, associated }) {
    const plain = signal.PrivateKey.deserialize(bytes(key)).open(bytes(sealed), info, bytes(associated));
    return { plain: hex(plain) };
  },
  username({ name }) {
    const hash = signal.usernames.hash(name);
    return { hash: hex(hash), proof: hex(signal.usernames.generateProof(name)) };
  },
  verifyUsername({ hash, proof }) {
    signal.usernames.verifyProof(bytes(proof), bytes(hash));
    return {};
  },

  // Profile keys.
  profileRequest({ params, account, profileKey }) {
    const key = new zk.ProfileKey(bytes(profileKey));
    const operations = new zk.ClientZkProfileOperations(server(params));
    const context = operations.createProfileKeyCredentialRequestContext(aci(account), key);
    return { context: hex(context), request: hex(context.getRequest()), commitment: hex(key.getCommitment(aci(account))) };
  },
  profileReceive({ params, context, response, now }) {
    const credential = new zk.ClientZkProfileOperations(server(params)).receiveExpiringProfileKeyCredential(
      new zk.ProfileKeyCredentialRequestContext(bytes(context)),
      new zk.ExpiringProfileKeyCredentialResponse(bytes(response)),
      date(now),
    );
    return { expires: credential.getExpirationTime().getTime() / 1000 };
  },

  // Auth credentials, and group send endorsements for the same group.
  authReceive({ params, account, pni, redemption, response }) {
    const operations = new zk.ClientZkAuthOperations(server(params));
    const credential = operations.receiveAuthCredentialWithPniAsServiceId(
      aci(account), signal.Pni.fromUuid(pni), redemption, new zk.AuthCredentialWithPniResponse(bytes(response)),
    );
    const group = zk.GroupSecretParams.generate();
    const shown = operations.createAuthCredentialWithPniPresentation(group, credential);
    return { shown: hex(shown), group: hex(group.getPublicParams()) };
  },
  authReceiveWithoutNumber({ params, account, salt, redemption, response }) {
    const operations = new zk.ClientZkAuthOperations(server(params));
    const received = new zk.AuthCredentialWithPniResponse(bytes(response));
    operations.receiveAuthCredentialWithoutPni(aci(account), bytes(salt), redemption, received);
    return {};
  },
  group({ members }) {
    const group = zk.GroupSecretParams.generate();
    const cipher = new zk.ClientZkGroupCipher(group);
    const encrypted = members.map((id) => hex(cipher.encryptServiceId(signal.ServiceId.parseFromServiceIdString(id))));
    return { group: hex(group), members: encrypted };
  },
  endorsementsReceive({ params, group, members, account, response, now }) {
    const secret = new zk.GroupSecretParams(bytes(group));
    const ids = members.map((id) => signal.ServiceId.parseFromServiceIdString(id));
    const received = new zk.GroupSendEndorsementsResponse(bytes(response));
    const { endorsements, combinedEndorsement } =
      received.receiveWithServiceIds(ids, aci(account), secret, server(params), date(now));
    const token = (endorsement) => hex(endorsement.toFullToken(secret, received.getExpiration()));
    return { each: endorsements.map(token), combined: token(combinedEndorsement) };
  },

  // Call links.
  callLinkAuthReceive({ params, account, redemption, response }) {
    new zk.CallLinkAuthCredentialResponse(bytes(response)).receive(aci(account), redemption, generic(params));
    return {};
  },
  callLinkRequest({ room }) {
    const context = zk.CreateCallLinkCredentialRequestContext.forRoomId(bytes(room));
    return { context: hex(context), request: hex(context.getRequest()) };
  },
  callLinkReceive({ params, context, account, response }) {
    new zk.CreateCallLinkCredentialRequestContext(bytes(context)).receive(
      new zk.CreateCallLinkCredentialResponse(bytes(response)), aci(account), generic(params),
    );
    return {};
  },

  // Backups.
  backupRequest({ backupKey, account }) {
    const context = zk.BackupAuthCredentialRequestContext.create(bytes(backupKey), account);
    return { context: hex(context), request: hex(context.getRequest()) };
  },
  backupReceive({ params, context, response, redemption }) {
    const credential = new zk.BackupAuthCredentialRequestContext(bytes(context)).receive(
      new zk.BackupAuthCredentialResponse(bytes(response)), redemption, generic(params),
    );
    return { shown: hex(credential.present(generic(params))), id: hex(credential.getBackupId()) };
  },

  // Payments.
  receiptRequest({ params, serial }) {
    const operations = new zk.ClientZkReceiptOperations(server(params));
    const context = operations.createReceiptCredentialRequestContext(new zk.ReceiptSerial(bytes(serial)));
    return { context: hex(context), request: hex(context.getRequest()) };
  },
  receiptReceive({ params, context, response }) {
    const operations = new zk.ClientZkReceiptOperations(server(params));
    const credential = operations.receiveReceiptCredential(
      new zk.ReceiptCredentialRequestContext(bytes(context)), new zk.ReceiptCredentialResponse(bytes(response)),
    );
    return { shown: hex(operations.createReceiptCredentialPresentation(credential)) };
  },
  permitsRequest({ count }) {
    const context = zk.DonationPermitRequestContext.forCount(count);
    return { context: hex(context), request: hex(context.request()) };
  },
  permitsReceive({ params, context, response, now }) {
    const received = new zk.DonationPermitRequestContext(bytes(context)).receive(
      new zk.DonationPermitResponse(bytes(response)), server(params), date(now),
    );
    return { permits: received.map(hex) };
  },

  // Avatars.
  avatarRequest({ account, rotation }) {
    const key = zk.ZkCredentialKeyPair.generate();
    const context = zk.AvatarUploadCredentialRequestContext.create(aci(account), key, BigInt(rotation));
    return { context: hex(context), request: hex(context.getRequest()), key: hex(key.getPublicKey()) };
  },
  avatarReceive({ params, context, response, now }) {
    const credential = new zk.AvatarUploadCredentialRequestContext(bytes(context)).receiveResponse(
      new zk.AvatarUploadCredentialResponse(bytes(response)), generic(params), date(now),
    );
    return { shown: hex(credential.present(generic(params))), commitment: hex(credential.getCommitment()) };
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { do: name, ...args } = JSON.parse(line);
  let answer;
  try {
    answer = { ok: actions[name](args) };
  } catch (error) {
    answer = { refused: String(error) };
  }
  process.stdout.write(JSON.stringify(answer) + '\n');
}

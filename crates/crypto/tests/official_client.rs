//! The official client library, from npm, accepts what we issue, and we accept what it makes of it.
//!
//! The vectors fix our randomness; here it is drawn. Without node or npm the test does nothing and says so, except in CI.

#![expect(clippy::unwrap_used, reason = "an unexpected answer is a failed test")]

use std::cell::RefCell;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use crypto::certificate::Sender;
use crypto::keys::EcPrivateKey;
use crypto::secrets::ServerSecrets;
use crypto::username::{self, Username};
use crypto::zk::{Day, GenericSecretParams, GenericVersion};
use crypto::zk::{auth, avatar, backup, call_link, donation, group_send, profile, receipt};
use crypto::{sealing, xeddsa};
use events::{Aci, DeviceId, E164, Pni, ServiceId, Timestamp};
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};
use serde_json::{Value, json};

/// The library in a process of its own.
struct Client {
    process: Child,
    pipes: RefCell<(ChildStdin, BufReader<ChildStdout>)>,
}

impl Client {
    /// Installs the library below the target folder and starts it. None where there is no npm to be had.
    fn start() -> Option<Self> {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("official-client");
        if let Err(reason) = install(&home) {
            assert!(
                std::env::var_os("CI").is_none(),
                "the official client library cannot be installed: {reason}"
            );
            eprintln!("\n!!! SKIPPED: the official client library cannot be installed: {reason}\n");
            return None;
        }
        let mut node = Command::new("node");
        node.arg("client.mjs")
            .current_dir(&home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = node.spawn().unwrap();
        let pipes = (
            process.stdin.take().unwrap(),
            BufReader::new(process.stdout.take().unwrap()),
        );
        Some(Self {
            process,
            pipes: RefCell::new(pipes),
        })
    }

    fn call(&self, what: &str, mut arguments: Value) -> Result<Answer, String> {
        arguments["do"] = what.into();
        let (input, output) = &mut *self.pipes.borrow_mut();
        writeln!(input, "{arguments}").unwrap();
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let mut answer: Value = serde_json::from_str(&line).unwrap();
        match answer["ok"].take() {
            Value::Null => Err(answer["refused"].as_str().unwrap().to_owned()),
            ok => Ok(Answer(ok)),
        }
    }

    /// What the library gives, which it must.
    fn ask(&self, what: &str, arguments: Value) -> Answer {
        self.call(what, arguments)
            .unwrap_or_else(|reason| panic!("{what}: the official library refuses: {reason}"))
    }

    /// Asks with a response as it is, and sees that the same is refused when any byte of it is another.
    fn receive(&self, what: &str, mut arguments: Value, response: &[u8]) -> Answer {
        for changed in [0, response.len() / 3, response.len() - 1] {
            let mut wrong = response.to_vec();
            wrong[changed] ^= 1;
            arguments["response"] = hex(&wrong);
            assert!(
                self.call(what, arguments.clone()).is_err(),
                "{what}: byte {changed} does not matter"
            );
        }
        arguments["response"] = hex(response);
        self.ask(what, arguments)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn install(home: &Path) -> Result<(), String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node");
    std::fs::create_dir_all(home).map_err(|error| error.to_string())?;
    for file in ["package.json", "client.mjs"] {
        std::fs::copy(source.join(file), home.join(file)).map_err(|error| error.to_string())?;
    }
    let installed = home.join("node_modules/@signalapp/libsignal-client/package.json");
    if std::fs::read_to_string(installed)
        .is_ok_and(|manifest| manifest.contains("\"version\": \"0.103.0\""))
    {
        return Ok(());
    }
    let mut npm = Command::new("npm");
    npm.args([
        "install",
        "--no-package-lock",
        "--no-audit",
        "--no-fund",
        "--silent",
    ])
    .current_dir(home);
    // What npm says and notes tells where it gets its packages from. That is nobody's business.
    let output = npm.output().map_err(|error| error.to_string())?;
    let _ = std::fs::remove_file(home.join("node_modules/.package-lock.json"));
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("npm install: {}", output.status))
    }
}

/// An answer of the library: byte strings by their names.
struct Answer(Value);

impl Answer {
    fn bytes(&self, name: &str) -> Vec<u8> {
        unhex(&self.0[name])
    }

    fn list(&self, name: &str) -> Vec<Vec<u8>> {
        self.0[name].as_array().unwrap().iter().map(unhex).collect()
    }
}

fn hex(bytes: impl AsRef<[u8]>) -> Value {
    hex::encode(bytes).into()
}

fn unhex(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

const NOW: u64 = 1_767_225_600 + 12_345;

fn now() -> Timestamp {
    Timestamp::from_epoch_millis(NOW * 1000).unwrap()
}

/// A server, and somebody to serve.
struct Scene {
    client: Client,
    secrets: ServerSecrets,
    rng: ChaCha20Rng,
    aci: Aci,
    pni: Pni,
    today: Day,
}

impl Scene {
    fn new(client: Client) -> Self {
        // Other randomness each time; the seed is printed so that a failure can be repeated.
        let seed = std::process::id();
        println!("seed {seed}");
        let mut rng = ChaCha20Rng::seed_from_u64(u64::from(seed));
        let secrets = ServerSecrets::generate(&mut rng);
        let (mut aci, mut pni) = ([0; 16], [0; 16]);
        rng.fill_bytes(&mut aci);
        rng.fill_bytes(&mut pni);
        Self {
            client,
            secrets,
            rng,
            aci: Aci::from_random(aci),
            pni: Pni::from_random(pni),
            today: Day::of(now()),
        }
    }

    fn group_params(&self) -> Value {
        hex(self.secrets.group.public_bytes())
    }

    fn signatures(&mut self) {
        let key = EcPrivateKey::generate(&mut self.rng);
        for message in [b"".as_slice(), b"a message"] {
            let signature = xeddsa::sign(&key, message, &mut self.rng);
            let arguments = json!({"key": hex(key.public_key()), "message": hex(message), "signature": hex(&signature)});
            self.client.ask("verify", arguments);
            let theirs = self.client.ask(
                "sign",
                json!({"key": hex(key.as_bytes()), "message": hex(message)}),
            );
            let signature = theirs.bytes("signature").try_into().unwrap();
            assert!(xeddsa::verify(&key.public_key(), message, &signature));
        }
    }

    fn certificates(&mut self) {
        let number: E164 = "+14155550123".parse().unwrap();
        let identity = EcPrivateKey::generate(&mut self.rng).public_key();
        let device = DeviceId::try_from(3).unwrap();
        for e164 in [None, Some(&number)] {
            let sender = Sender {
                aci: self.aci,
                e164,
                device,
                identity: &identity,
            };
            let certificate = self
                .secrets
                .certificates
                .issue(&sender, now(), &mut self.rng);
            let arguments = |millis| json!({"certificate": hex(&certificate), "trustRoot": hex(&self.secrets.trust_root), "millis": millis});
            let read = self.client.ask("senderCertificate", arguments(NOW * 1000));
            let expected = json!({
                "sender": self.aci, "e164": e164, "device": 3, "identity": hex(&identity), "expires": NOW * 1000
            });
            assert_eq!(read.0, expected);
            assert!(
                self.client
                    .call("senderCertificate", arguments(NOW * 1000 + 1))
                    .is_err(),
                "it has expired"
            );
        }
    }

    fn sealed_times(&mut self) {
        let key = EcPrivateKey::generate(&mut self.rng);
        let registration_id = 300.try_into().unwrap();
        let sealed = sealing::seal_created_at(
            &key.public_key(),
            DeviceId::PRIMARY,
            registration_id,
            now(),
            &mut self.rng,
        )
        .unwrap();
        let arguments = json!({
            "key": hex(key.as_bytes()), "sealed": hex(&sealed), "info": "deviceCreatedAt", "associated": "010000012c"
        });
        let opened = self.client.ask("open", arguments);
        assert_eq!(opened.bytes("plain"), (NOW * 1000).to_be_bytes());
    }

    fn usernames(&mut self) {
        let theirs = self
            .client
            .ask("username", json!({"name": "Signal_Fan.4711"}));
        let hash = theirs.bytes("hash").try_into().unwrap();
        assert_eq!(username::verify(&hash, &theirs.bytes("proof")), Ok(()));
        let ours: Username = "signal_fan.4711".parse().unwrap();
        assert_eq!(ours.hash(), hash);
        let proof = ours.prove(&mut self.rng);
        self.client.ask(
            "verifyUsername",
            json!({"hash": hex(hash), "proof": hex(proof)}),
        );
    }

    fn profile_keys(&mut self) {
        let arguments =
            json!({"params": self.group_params(), "account": self.aci, "profileKey": hex([9; 32])});
        let asked = self.client.ask("profileRequest", arguments);
        let request = profile::Request::parse(&asked.bytes("request")).unwrap();
        let commitment = profile::Commitment::parse(&asked.bytes("commitment")).unwrap();
        assert_eq!(commitment, profile::Commitment::of(&[9; 32], self.aci));
        let (expiration, params) = (profile::expiration(now()), &self.secrets.group);
        let response = profile::issue(
            params,
            &request,
            self.aci,
            &commitment,
            expiration,
            &mut self.rng,
        )
        .unwrap();
        let arguments =
            json!({"params": self.group_params(), "context": asked.0["context"], "now": NOW});
        let received = self.client.receive("profileReceive", arguments, &response);
        assert_eq!(received.0["expires"], expiration.seconds());
    }

    fn auth_credentials(&mut self) {
        let response = auth::issue(
            &self.secrets.group,
            self.aci,
            self.pni,
            self.today,
            &mut self.rng,
        );
        let arguments = json!({
            "params": self.group_params(), "account": self.aci, "pni": self.pni, "redemption": self.today.seconds()
        });
        let received = self.client.receive("authReceive", arguments, &response);
        let group = auth::GroupPublicParams::parse(&received.bytes("group")).unwrap();
        let shown = auth::Presentation::parse(&received.bytes("shown")).unwrap();
        assert_eq!(shown.verify(&self.secrets.group, &group, now()), Ok(()));

        let substitute = auth::substitute_pni(self.aci, &[8; 16]);
        let response = auth::issue(
            &self.secrets.group,
            self.aci,
            substitute,
            self.today,
            &mut self.rng,
        );
        let arguments = json!({
            "params": self.group_params(), "account": self.aci, "salt": hex([8; 16]), "redemption": self.today.seconds()
        });
        self.client
            .receive("authReceiveWithoutNumber", arguments, &response);
    }

    fn group_send_tokens(&mut self) {
        let members: Vec<ServiceId> = vec![
            self.aci.into(),
            Aci::from_random([1; 16]).into(),
            self.pni.into(),
        ];
        let group = self.client.ask("group", json!({"members": members}));
        let ciphertexts = group.list("members");
        let ciphertexts = ciphertexts
            .iter()
            .map(|member| group_send::MemberCiphertext::parse(member).unwrap());
        let ciphertexts: Vec<_> = ciphertexts.collect();
        let expiration = group_send::expiration(now());
        let params = &self.secrets.group;
        let response = group_send::issue(params, &ciphertexts, expiration, &mut self.rng).unwrap();
        let arguments = json!({
            "params": self.group_params(), "group": group.0["group"], "members": members, "account": self.aci, "now": NOW
        });
        let received = self
            .client
            .receive("endorsementsReceive", arguments, &response);
        for (token, member) in received.list("each").iter().zip(&members) {
            assert_eq!(
                group_send::Token::parse(token)
                    .unwrap()
                    .verify(params, [*member], now()),
                Ok(())
            );
        }
        // The bearer is no recipient.
        let combined = group_send::Token::parse(&received.bytes("combined")).unwrap();
        assert_eq!(
            combined.verify(params, members[1..].iter().copied(), now()),
            Ok(())
        );
        assert!(combined.verify(params, members, now()).is_err());
    }

    fn call_links(&mut self, version: GenericVersion) {
        let params = GenericSecretParams::generate(version, &mut self.rng);
        let public = hex(params.public_bytes());
        let response = call_link::issue_auth(&params, self.aci, self.today, &mut self.rng);
        let arguments =
            json!({"params": public, "account": self.aci, "redemption": self.today.seconds()});
        self.client
            .receive("callLinkAuthReceive", arguments, &response);

        let asked = self
            .client
            .ask("callLinkRequest", json!({"room": hex([7; 32])}));
        let request = call_link::CreateRequest::parse(&asked.bytes("request")).unwrap();
        let response =
            call_link::issue_create(&params, &request, self.aci, self.today, &mut self.rng);
        let arguments =
            json!({"params": public, "context": asked.0["context"], "account": self.aci});
        self.client.receive("callLinkReceive", arguments, &response);
    }

    fn backups(&mut self, version: GenericVersion) {
        let params = GenericSecretParams::generate(version, &mut self.rng);
        let asked = self.client.ask(
            "backupRequest",
            json!({"backupKey": hex([6; 32]), "account": self.aci}),
        );
        let request = backup::Request::parse(&asked.bytes("request")).unwrap();
        for (level, kind) in [
            (backup::Level::Free, backup::Kind::Messages),
            (backup::Level::Paid, backup::Kind::Media),
        ] {
            let response = backup::issue(&params, &request, self.today, level, kind, &mut self.rng);
            let arguments = json!({
                "params": hex(params.public_bytes()), "context": asked.0["context"], "redemption": self.today.seconds()
            });
            let received = self.client.receive("backupReceive", arguments, &response);
            let shown = backup::Presentation::parse(&received.bytes("shown")).unwrap();
            let backup_id_hash = backup::backup_id_hash(&received.bytes("id").try_into().unwrap());
            assert_eq!(
                shown.verify(&params, now()),
                Ok(backup::Verified {
                    backup_id_hash,
                    level,
                    kind
                })
            );
        }
    }

    fn receipts(&mut self) {
        let asked = self.client.ask(
            "receiptRequest",
            json!({"params": self.group_params(), "serial": hex([5; 16])}),
        );
        let request = receipt::Request::parse(&asked.bytes("request")).unwrap();
        let expiration = self.today.plus(30);
        let response = receipt::issue(
            &self.secrets.group,
            &request,
            expiration,
            201,
            &mut self.rng,
        );
        let arguments = json!({"params": self.group_params(), "context": asked.0["context"]});
        let received = self.client.receive("receiptReceive", arguments, &response);
        let shown = receipt::Presentation::parse(&received.bytes("shown")).unwrap();
        let expected = receipt::Receipt {
            expiration: expiration.seconds(),
            level: 201,
            serial: [5; 16],
        };
        assert_eq!(shown.verify(&self.secrets.group), Ok(expected));
    }

    fn donation_permits(&mut self) {
        let asked = self.client.ask("permitsRequest", json!({"count": 4}));
        let request = donation::Request::parse(&asked.bytes("request")).unwrap();
        let params = &self.secrets.group;
        let response =
            donation::issue(params, &request, donation::expiration(now()), &mut self.rng);
        let arguments =
            json!({"params": self.group_params(), "context": asked.0["context"], "now": NOW});
        let received = self.client.receive("permitsReceive", arguments, &response);
        assert_eq!(received.list("permits").len(), request.count());
        for permit in received.list("permits") {
            donation::Permit::parse(&permit)
                .unwrap()
                .verify(params, now())
                .unwrap();
        }
    }

    fn avatars(&mut self, version: GenericVersion) {
        let params = GenericSecretParams::generate(version, &mut self.rng);
        let asked = self.client.ask(
            "avatarRequest",
            json!({"account": self.aci, "rotation": "1234567890123"}),
        );
        let request = avatar::Request::parse(&asked.bytes("request")).unwrap();
        let key = avatar::CredentialPublicKey::parse(&asked.bytes("key")).unwrap();
        let of = (self.aci, 1_234_567_890_123, &key);
        let response = avatar::issue(&params, &request, of, self.today, &mut self.rng).unwrap();
        let arguments = json!({"params": hex(params.public_bytes()), "context": asked.0["context"], "now": NOW});
        let received = self.client.receive("avatarReceive", arguments, &response);
        let shown = avatar::Presentation::parse(&received.bytes("shown")).unwrap();
        assert_eq!(
            shown.verify(&params, now()).unwrap().as_slice(),
            received.bytes("commitment")
        );
    }
}

#[test]
fn the_official_client_takes_what_we_issue_and_we_take_what_it_shows() {
    let Some(client) = Client::start() else {
        return;
    };
    let mut scene = Scene::new(client);
    scene.signatures();
    scene.certificates();
    scene.sealed_times();
    scene.usernames();
    scene.profile_keys();
    scene.auth_credentials();
    scene.group_send_tokens();
    scene.receipts();
    scene.donation_permits();
    for version in [GenericVersion::Legacy, GenericVersion::Standard] {
        scene.call_links(version);
        scene.backups(version);
        scene.avatars(version);
    }
}

//! Starting and stopping, as somebody sees it who has only read the README.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::{Client, Method, StatusCode};
use support::{DevServer, HELIOGRAPH, call, exists, heliograph, next_number, register, signal};

#[tokio::test(flavor = "multi_thread")]
async fn dev_needs_nothing_stops_without_a_trace_and_keeps_its_data() {
    let data = tempfile::tempdir().unwrap();
    let client = Client::new();
    let started = Instant::now();
    let server = DevServer::start(data.path());
    // The bar is 10 s on a quiet machine with a release build; this only catches a start that hangs.
    assert!(started.elapsed() < Duration::from_mins(1));
    assert!(
        server.greeting.contains("ca.pem") && server.greeting.contains("123456"),
        "{}",
        server.greeting
    );
    let health = client
        .get(format!("{}/health/ready", server.admin))
        .send()
        .await
        .unwrap();
    assert_eq!(health.status(), StatusCode::OK);
    let alice = register(&client, &server.http, &next_number(), "secret", None)
        .await
        .unwrap();

    let form = format!("{}/v4/attachments/form/upload", server.http);
    let credentials = Some((alice.aci.as_str(), "secret"));
    let form = call(&client, Method::GET, form, credentials, None).await;
    let form: serde_json::Value = form.unwrap().json().await.unwrap();
    let location = form["signedUploadLocation"].as_str().unwrap();
    let upload = format!("{}/upload/attachments", server.http);
    assert_eq!(location, upload, "the port that was found free, not 0");

    let (pid, postmaster) = (server.pid(), server.postmaster());
    assert!(server.interrupt().success());
    assert!(
        !exists(pid) && !exists(postmaster),
        "a process was left behind"
    );

    let again = DevServer::start(data.path());
    let whoami = format!("{}/v1/accounts/whoami", again.http);
    let answer = call(
        &client,
        Method::GET,
        whoami,
        Some((&alice.aci, "secret")),
        None,
    )
    .await
    .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_takes_its_postgres_along() {
    let data = tempfile::tempdir().unwrap();
    let server = DevServer::start(data.path());
    let postmaster = server.postmaster();
    server.kill();
    let mut waited = Duration::ZERO;
    while exists(postmaster) {
        assert!(
            waited < Duration::from_secs(30),
            "Postgres outlived its server"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
        waited += Duration::from_millis(50);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_postgres_comes_back_under_the_running_server() {
    let data = tempfile::tempdir().unwrap();
    let client = Client::new();
    let server = DevServer::start(data.path());
    let alice = register(&client, &server.http, &next_number(), "secret", None)
        .await
        .unwrap();
    signal("KILL", server.postmaster());
    let whoami = format!("{}/v1/accounts/whoami", server.http);
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let answer = call(
            &client,
            Method::GET,
            whoami.clone(),
            Some((&alice.aci, "secret")),
            None,
        )
        .await
        .unwrap();
        match answer.status() {
            StatusCode::OK => break,
            status => assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE),
        }
        assert!(
            Instant::now() < deadline,
            "the server did not find its way back"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    register(&client, &server.http, &next_number(), "secret", None)
        .await
        .unwrap();
}

#[test]
fn help_names_every_command_and_errors_say_what_to_do() {
    let help = Command::new(HELIOGRAPH).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for command in [
        "dev",
        "serve",
        "worker",
        "migrate",
        "check-config",
        "keygen",
        "replay",
        "audit",
    ] {
        assert!(
            help.contains(&format!("  {command} ")),
            "{command} is missing:\n{help}"
        );
    }
    let nowhere = tempfile::tempdir().unwrap();
    let (status, output) = heliograph(nowhere.path(), &["replay", "status"]);
    assert!(!status.success());
    assert!(output.contains("--database-url"), "{output}");
}

#[test]
fn keys_are_made_once_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secrets.toml");
    let keygen = || {
        Command::new(HELIOGRAPH)
            .arg("keygen")
            .arg(&file)
            .output()
            .unwrap()
    };
    let first = keygen();
    assert!(first.status.success());
    assert!(String::from_utf8_lossy(&first.stdout).contains("trust root"));
    let before = std::fs::read(&file).unwrap();
    let second = keygen();
    assert!(!second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains("exists already"));
    assert_eq!(std::fs::read(&file).unwrap(), before);
}

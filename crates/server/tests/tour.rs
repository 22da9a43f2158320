//! The tour in the README works as it is printed there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::process::Command;

use support::{DevServer, HELIOGRAPH};

const README: &str = include_str!("../../../README.md");

/// The shell block that follows a heading (or a sentence) of the README.
fn block_after(mark: &str) -> &'static str {
    let (_, rest) = README
        .split_once(mark)
        .unwrap_or_else(|| panic!("the README has no {mark:?}"));
    let (_, rest) = rest.split_once("```sh\n").expect("a shell block follows");
    rest.split_once("```").expect("the block ends").0
}

fn shell(script: &str, data: &std::path::Path) -> String {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .env("HELIOGRAPH_DATA", data)
        .output()
        .expect("bash runs");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

#[test]
fn the_tour_registers_sends_receives_and_shows_the_events() {
    let data = tempfile::tempdir().unwrap();
    let server = DevServer::start(data.path());
    // Only what must differ here: the port, and that the binary is built already.
    let adapt = |text: &str| {
        let binary = format!("{HELIOGRAPH} ");
        let text = text.replace("http://127.0.0.1:8080", &server.http);
        text.replace("cargo run --release --quiet -- ", &binary)
            .replace(
                "audit show ",
                &format!("audit --data-dir {} show ", data.path().display()),
            )
            .replace(
                "replay ",
                &format!("replay --data-dir {} ", data.path().display()),
            )
    };
    let said = shell(&adapt(block_after("## A tour with curl")), data.path());
    assert!(
        said.contains("aGVsbG8gYm9i"),
        "the message did not arrive:\n{said}"
    );
    for event in ["AccountRegistered", "MessageQueued", "MessagesDelivered"] {
        assert!(said.contains(event), "{event} is not shown:\n{said}");
    }
    shell(
        &adapt(block_after("Then throw the answers away")),
        data.path(),
    );
}

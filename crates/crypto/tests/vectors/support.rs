//! Reads the vectors that were made with the official library.

use std::ops::Index;

use rand_core::{Infallible, TryCryptoRng, TryRng};
use serde_json::Value;

/// One vector, or another part of a vector file. Indexing panics with the vector's id, which is what a test wants.
#[derive(Clone)]
pub(crate) struct Part(pub(crate) Value);

/// The file's vectors, and the file itself for what they share.
pub(crate) fn load(file: &str) -> (Vec<Part>, Part) {
    let path = format!(
        concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vectors/{}"),
        file
    );
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let whole: Value = serde_json::from_str(&text).expect("a vector file is JSON");
    let vectors: Vec<_> = whole["vectors"]
        .as_array()
        .expect("a vector file has vectors")
        .iter()
        .cloned()
        .map(Part)
        .collect();
    assert!(!vectors.is_empty(), "{path} holds no vectors");
    (vectors, Part(whole))
}

/// The vectors of one kind (or category).
pub(crate) fn of_kind(file: &str, kind: &str) -> Vec<Part> {
    let (all, _) = load(file);
    let some: Vec<_> = all
        .into_iter()
        .filter(|vector| vector.kind() == kind)
        .collect();
    assert!(!some.is_empty(), "{file} holds no vectors of kind {kind}");
    some
}

impl Part {
    pub(crate) fn id(&self) -> &str {
        self.0["id"].as_str().unwrap_or("?")
    }

    pub(crate) fn kind(&self) -> &str {
        self.0["kind"]
            .as_str()
            .or(self.0["category"].as_str())
            .unwrap_or("?")
    }

    pub(crate) fn get(&self, name: &str) -> Option<Self> {
        self.0
            .get(name)
            .filter(|value| !value.is_null())
            .cloned()
            .map(Self)
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self[name]
            .as_str()
            .unwrap_or_else(|| panic!("{}: {name} is no text", self.id()))
    }

    pub(crate) fn number(&self, name: &str) -> u64 {
        self[name]
            .as_u64()
            .unwrap_or_else(|| panic!("{}: {name} is no number", self.id()))
    }

    /// Whether the official library accepts it: `valid`, or `expect` with `ok`.
    pub(crate) fn is_valid(&self) -> bool {
        self.0.get("valid").map_or_else(
            || self.text("expect") == "ok",
            |valid| valid.as_bool().expect("a verdict"),
        )
    }

    pub(crate) fn hex(&self, name: &str) -> Vec<u8> {
        hex::decode(self.text(name))
            .unwrap_or_else(|error| panic!("{}: {name}: {error}", self.id()))
    }

    pub(crate) fn array<const N: usize>(&self, name: &str) -> [u8; N] {
        self.hex(name)
            .try_into()
            .unwrap_or_else(|_| panic!("{}: {name} has not {N} bytes", self.id()))
    }

    pub(crate) fn list(&self, name: &str) -> Vec<Self> {
        let list = self[name]
            .as_array()
            .unwrap_or_else(|| panic!("{}: {name} is no list", self.id()));
        list.iter().cloned().map(Self).collect()
    }

    /// The bytes of a part that is itself a hex text.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        hex::decode(self.0.as_str().expect("a text")).expect("a hex text")
    }
}

impl Index<&str> for Part {
    type Output = Value;

    fn index(&self, name: &str) -> &Value {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("{}: no {name}", self.id()))
    }
}

/// "Randomness" that a vector prescribes. Panics when more is drawn than it holds.
pub(crate) struct Prescribed(Vec<u8>);

impl Prescribed {
    pub(crate) fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }
}

impl TryRng for Prescribed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unimplemented!("only whole byte strings are drawn")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unimplemented!("only whole byte strings are drawn")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        let rest = self.0.split_off(bytes.len());
        bytes.copy_from_slice(&std::mem::replace(&mut self.0, rest));
        Ok(())
    }
}

impl TryCryptoRng for Prescribed {}

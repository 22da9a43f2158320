#![no_main]

#[path = "../parsers.rs"]
#[expect(dead_code, reason = "each target runs one of the parsers")]
mod parsers;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| parsers::keys(bytes));

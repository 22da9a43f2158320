//! What stands in headers and paths: credentials, usernames, captchas, ids in base64.
#![no_main]

use api::http::extract::Basic;
use api::http::extract::basic::Username;
use api::http::extract::path::session_id;
use api::ports::CaptchaToken;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(value) = bytes.try_into() {
        let _ = (Basic::lenient(&value), Basic::strict(&value));
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = text.parse::<Username>();
        let _ = text.parse::<CaptchaToken>();
        let _ = session_id(text);
    }
});

//! Binary messages of a WebSocket: a frame or a refusal, and a frame reads back.
#![no_main]

use api::ws::frame::Frame;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(frame) = Frame::decode(bytes.to_vec().into()) {
        assert_eq!(Frame::decode(frame.clone().encode()).as_ref(), Ok(&frame));
    }
});

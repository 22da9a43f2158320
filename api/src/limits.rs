//! How much a client may send, and for how long.

pub mod buckets;
pub mod rates;
pub(crate) mod trials;

use std::time::Duration;

/// How long the read models may take to catch up with the log before a question is answered without.
pub const CATCH_UP: Duration = Duration::from_secs(2);

/// A request body, unless its endpoint says otherwise. The largest such body, a registration, has about 8 KiB.
pub const BODY: usize = 64 * 1024;

/// The body of a key upload: 100 Kyber keys take about 230 KiB of JSON.
pub const KEYS_BODY: usize = 512 * 1024;

/// The body of a send: [`MESSAGE_CONTENT`] for each of six devices, in base64, and some air. Larger contents are still
/// read as far as this, because the device check comes before the size check.
pub const MESSAGE_BODY: usize = 1024 * 1024;

/// The content of a message for one device: 96 KiB.
pub const MESSAGE_CONTENT: usize = 98_304;

/// The body of a batch of identities: a thousand take about 90 KiB of JSON.
pub const IDENTITY_CHECK_BODY: usize = 256 * 1024;

/// The message of a call over gRPC, with its length before it: 4 MiB, which also is what official clients read.
pub const CALL: usize = 4 * 1024 * 1024 + 5;

/// The manifest of a pack of stickers.
pub const STICKER_MANIFEST: u64 = 10 * 1024;

/// A sticker.
pub const STICKER: u64 = 301 * 1024;

/// A profile's picture.
pub const AVATAR: u64 = 10 * 1024 * 1024;

/// How long a client may take to send a body.
pub const BODY_PATIENCE: Duration = Duration::from_secs(30);

/// How long a request may take in all before it is answered 503.
pub const REQUEST_PATIENCE: Duration = Duration::from_mins(1);

/// What a long poll may take on top of the time that its client gave it.
pub const LONG_POLL_PATIENCE: Duration = Duration::from_mins(61);

/// Limits of provisioning.
pub mod provisioning {
    use std::time::Duration;

    /// Silence after which a socket is closed.
    pub const IDLE: Duration = Duration::from_mins(1);

    /// How long a socket lives at the most, and its address with it.
    pub const LIFETIME: Duration = Duration::from_secs(90);

    /// Characters of base64 in a message.
    pub const MESSAGE: usize = 262_144;

    /// The body that holds it.
    pub const BODY: usize = 320 * 1024;
}

/// How long a client may take to send the head of an HTTP/1.1 request, which is also how long an idle kept-alive
/// connection stays open.
pub const HEAD_PATIENCE: Duration = Duration::from_secs(75);

/// How long a client may take nothing of what is written to it before its connection is given up.
pub const WRITE_PATIENCE: Duration = Duration::from_secs(45);

/// How long a connection may take from TCP to the end of the TLS handshake.
pub const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// The head of a request.
pub const HEAD: usize = 32 * 1024;

/// Header lines of a request.
pub const HEADER_LINES: usize = 100;

/// Streams that one HTTP/2 connection may have open.
pub const STREAMS: u32 = 256;

/// How often an HTTP/2 connection is asked whether it is still there, and how long it may take to answer.
pub const PING_INTERVAL: Duration = Duration::from_mins(1);
/// See [`PING_INTERVAL`].
pub const PING_PATIENCE: Duration = Duration::from_secs(20);

/// After how long a client that found no place for its WebSocket may try again.
pub const NO_PLACE: Duration = Duration::from_secs(30);

/// Limits of one WebSocket.
pub mod socket {
    use std::time::Duration;

    /// A message from the client; a larger one closes the socket with 1009.
    pub const MESSAGE: usize = 512 * 1024;

    /// What is read of a message at most. Up to here a message that is too large is read to its end, so that the close
    /// frame reaches the client; beyond it the connection just ends after the frame.
    pub const MESSAGE_HARD: usize = 2 * MESSAGE;

    /// Silence after which the socket is closed. The official client sends something every 31 s.
    pub const IDLE: Duration = Duration::from_secs(90);

    /// Requests of one socket that are worked on at a time; the next is not read before one of them is answered.
    pub const REQUESTS: usize = 64;

    /// Bytes of request bodies of one socket that are worked on at a time (or one request, if it has more).
    pub const REQUEST_BYTES: usize = MESSAGE;

    /// Large answers (a page of messages has up to six megabytes) of one socket that are being made or wait for the client at
    /// a time. The next is begun when this one is being written, so a client that does not read costs three of them at the
    /// most: one in the buffer of the socket, one that waits behind it, and what that was made from. The small ones
    /// that wait beside are smaller than that all together.
    pub const LARGE_ANSWERS: usize = 1;

    /// Envelopes sent and not yet answered.
    pub const ENVELOPES: usize = 256;

    /// Bytes of envelopes sent and not yet answered (or one envelope, if it has more).
    pub const ENVELOPE_BYTES: usize = 1024 * 1024;

    /// Frames that wait for the client to read, besides what the kernel buffers.
    pub const FRAMES: usize = 8;

    /// Ephemeral messages that wait for their turn; more are dropped, as for a device that is not there.
    pub const EPHEMERAL: usize = 32;

    /// Acknowledgements in one command.
    pub const ACKNOWLEDGEMENTS: usize = 256;

    /// Buffer for reading; larger messages make it grow for as long as they last.
    pub const READ_BUFFER: usize = 4 * 1024;

    /// How long the read models may take to catch up with the log before a page is read anyway.
    pub const CATCH_UP: Duration = Duration::from_secs(10);

    /// How long the close frame may take to reach the client.
    pub const FAREWELL: Duration = Duration::from_secs(2);

    /// How long a socket that was displaced is listened to before its successor may read the inbox. Clients that are there
    /// answer the close frame at once, which ends it.
    pub const LAST_WORDS: Duration = Duration::from_millis(250);
}

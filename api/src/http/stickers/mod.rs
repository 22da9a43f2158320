//! `/v1/sticker`: where new packs of stickers go. The server keeps nothing of them.

pub mod form;

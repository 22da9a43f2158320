//! `/v4/attachments`

pub mod form;

//! `/v1/challenge`: an account that is asked for it shows that somebody is there, by a push or by a captcha.

pub mod answer;
pub mod push;

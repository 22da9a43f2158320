//! Rules of a body that its shape does not show, broken.

use crate::http::problem::Problem;

/// The rules that a body breaks, as `<property path> <rule>`. All are listed, in no order that anybody may rely on.
#[derive(Debug, Default)]
pub struct Violations(Vec<String>);

impl Violations {
    /// Notes a broken rule unless it `holds`.
    pub fn check(&mut self, holds: bool, rule: &str) {
        if !holds {
            self.0.push(rule.to_owned());
        }
    }

    /// The parsed value, or a broken rule in its place.
    pub fn parsed<T, E>(&mut self, parsed: Result<T, E>, rule: &str) -> Option<T> {
        self.check(parsed.is_ok(), rule);
        parsed.ok()
    }

    /// 422 with the broken rules, if there are any.
    pub fn refuse(self) -> Result<(), Problem> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Problem::invalid(self.0))
        }
    }
}

